import { timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { wrapKey } from '@trialkeep/crypto';
import { rewrapAuthenticators } from '../access/index.ts';
import { authenticatorAnew, payloadKeyAnew, tenantPlace, wrappingOf, wrapRowKey } from '../keys/index.ts';
import type { Hierarchy, OwnWrapping } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import type { RootOfTrust } from '../roots/index.ts';
import type { TenantRootFolder } from './folder.ts';
import { refusalOf } from './leases.ts';
import * as store from './store.ts';
import type { Wrappings } from './store.ts';

export interface MoveParts {
  readonly hierarchy: Hierarchy;
  readonly instanceKey: KeyObject;
  readonly folder: TenantRootFolder;
}

/** A tenant's key as it lies in the place that it is moved to: shown to open there, and stored nowhere yet. */
export interface Prepared {
  readonly tenantKey: KeyObject;
  readonly wrapped: Uint8Array;
}

/**
 * Wraps the tenant's key where it is to be, and unwraps it there: only what has been seen to open takes the place of another wrapping.
 *
 * @param to a root of the tenant's own; null for the instance key
 * @throws OperationError `tenant.root_refused`, `tenant.root_unreachable`, `tenant.root_unknown`, `tenant.root_unsuitable`
 */
export async function prepareMove(
  { hierarchy, instanceKey, folder }: MoveParts,
  { key, root: old }: Wrappings,
  to: string | null,
): Promise<Prepared> {
  // A root that refuses says so to a move too: what a lease holds is for uses.
  const tenantKey =
    old === undefined || old.root === null
      ? await hierarchy.tenantKey(key.id)
      : await underOwnRoot(folder, wrappingOf(key, { ...old, root: old.root }));
  const place = tenantPlace(key.id, key.key_version);
  if (to === null)
    return { tenantKey, wrapped: wrapKey({ wrappingKey: instanceKey, place, key: tenantKey }) };
  const wrapped = await asking(folder, { tenant: key.id, root: to }, async (root) => {
    await root.check();
    const made = await root.wrap(place, tenantKey);
    assertSame(tenantKey, await root.unwrap(place, made));
    return made;
  });
  return { tenantKey, wrapped };
}

function underOwnRoot(folder: TenantRootFolder, own: OwnWrapping): Promise<KeyObject> {
  return asking(folder, own, (root) => root.unwrap(own.place, own.wrapped), refusalOf);
}

async function asking<T>(
  folder: TenantRootFolder,
  { tenant, root: id }: { readonly tenant: string; readonly root: string },
  work: (root: RootOfTrust) => Promise<T>,
  refusal = (error: unknown) => (error instanceof StartupError ? refusalOf(error) : error),
): Promise<T> {
  try {
    const root = await folder.open(tenant, id);
    try {
      return await work(root);
    } finally {
      await root.close();
    }
  } catch (error) {
    throw refusal(error);
  }
}

function assertSame(one: KeyObject, other: KeyObject): void {
  const [a, b] = [one.export(), other.export()];
  const isSame = a.length === b.length && timingSafeEqual(a, b);
  a.fill(0);
  b.fill(0);
  if (!isSame) throw new StartupError('root.failed', 'It gave back another key than it was given.');
}

/**
 * Puts the tenant's key in its new place and takes it from the old one, in one transaction; and, where it leaves the instance key for the
 * first time, hangs under that what has to open while the tenant's root refuses: the payload key of the ledger, the generators of
 * one-time codes and the key of the rows (docs/how-to/hold-your-own-key.md).
 */
export async function applyMove(
  tx: Tx,
  { instanceKey }: Pick<MoveParts, 'instanceKey'>,
  { key, root: old }: Wrappings,
  rowKey: KeyObject,
  move: Prepared & {
    readonly to: string | null;
    readonly leaseSeconds: number;
    readonly version: number;
    readonly time: number;
  },
): Promise<void> {
  const { to, wrapped, leaseSeconds, version, time } = move;
  const none = new Uint8Array(0);
  if (old === undefined) await hangUnderInstance(tx, key.id, rowKey, { ...move, instanceKey });
  await store.put(
    tx,
    rowKey,
    { ...key, wrapped_key: to === null ? wrapped : none },
    {
      tenant: key.id,
      root: to,
      wrapped_key: to === null ? none : wrapped,
      wrapped_row_key: old?.wrapped_row_key ?? wrapRowKey(instanceKey, key, rowKey),
      lease_seconds: leaseSeconds,
      version,
      changed_at: time,
    },
  );
}

async function hangUnderInstance(
  tx: Tx,
  tenant: string,
  rowKey: KeyObject,
  { tenantKey, instanceKey }: { readonly tenantKey: KeyObject; readonly instanceKey: KeyObject },
): Promise<void> {
  const change = { before: tenantKey, after: instanceKey };
  const payload = await store.payloadKey(tx, tenant);
  await store.putPayloadKey(tx, { ...payload, wrapped: payloadKeyAnew(change, tenant, payload) });
  await rewrapAuthenticators(tx, rowKey, payload.log, ({ person, id, secret }) =>
    authenticatorAnew(change, tenant, { id, person, wrapped: secret }),
  );
}
