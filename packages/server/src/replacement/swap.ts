import { createHmac, createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { generateKey, wrapKey } from '@trialkeep/crypto';
import { secretAnew } from '../access/index.ts';
import { instancePlace, putReplacedRoots } from '../instance/index.ts';
import type { OpenInstance } from '../instance/index.ts';
import {
  authenticatorAnew,
  deriveRowKey,
  Hierarchy,
  isSealed,
  payloadKeyAnew,
  sealRow,
  signingKeyAnew,
  tenantPlace,
  versionAnew,
  wrapRowKey,
} from '../keys/index.ts';
import type { SealedFields, SealedTable, WrappingChange } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import { takePermit } from '../root-permits/index.ts';
import type { RootOfTrust } from '../roots/index.ts';
import { sealedTables, wrappedColumns } from './sealed-tables.ts';
import * as store from './store.ts';
import type { AnyRow } from './store.ts';

/** The keys of the instance, or of a tenant, before and from now on. */
export interface OwnerChange {
  readonly tenant: string | null;
  /** What wraps the payload key of the log and the generators of one-time codes. */
  readonly owner: WrappingChange;
  /** What seals rows. */
  readonly rows: WrappingChange;
  /** The tenant's key; absent where it is under a root of the tenant's own, and stays. */
  readonly tenantKey?: WrappingChange & {
    readonly oldVersion: string;
    readonly key_version: string;
    readonly wrapped_key: Uint8Array;
    /** The one from before, under the instance key of now. */
    readonly oldKey: Uint8Array;
  };
  /** Whether the tenant's key was destroyed, because the tenant has left. */
  readonly hasLeft: boolean;
  /** Of a tenant that has or had a root of its own, or has left. */
  readonly wrapped_row_key?: Uint8Array;
}

/** All that a replacement needs to know before its transaction. */
export interface SwapPlan {
  readonly id: string;
  readonly reason: string;
  readonly root: RootOfTrust;
  readonly folder: string;
  readonly place: string;
  readonly instanceKey: KeyObject;
  readonly wrappedInstanceKey: Uint8Array;
  readonly epoch: number;
  /** Whether it goes by a permit of people, which it uses up. */
  readonly isPermitted: boolean;
  readonly breakGlass: string | undefined;
  readonly owners: ReadonlyMap<string | null, OwnerChange>;
}

/** Makes an instance key, and a key for every tenant, and wraps them; nothing is stored. */
export async function planSwap(
  instance: OpenInstance,
  instanceId: string,
  next: Pick<
    SwapPlan,
    'id' | 'reason' | 'root' | 'folder' | 'place' | 'epoch' | 'isPermitted' | 'breakGlass'
  >,
): Promise<SwapPlan> {
  const { database, hierarchy, instanceKey: before, epochs, shred } = instance;
  const instanceKey = generateKey('AES_256');
  const place = instancePlace(instanceId);
  const wrappedInstanceKey = await next.root.wrap(place, instanceKey);
  if (!instanceKey.equals(await next.root.unwrap(place, wrappedInstanceKey)))
    throw new StartupError('root.failed');
  const after = new Hierarchy({ epochs, instanceKey, database, shred });
  const wrapping = { before, after: instanceKey };
  const owners = new Map<string | null, OwnerChange>();
  const rows = { before: await hierarchy.rowKey(null), after: deriveRowKey(instanceKey) };
  owners.set(null, { tenant: null, owner: wrapping, rows, hasLeft: false });
  const { tenants, roots } = await database.read(async (snapshot) => ({
    tenants: await store.listTenantKeys(snapshot),
    roots: new Map((await store.listTenantRoots(snapshot)).map((row) => [row.tenant, row])),
  }));
  for (const row of tenants) {
    const root = roots.get(row.id);
    // Under the tenant's own root of trust, or destroyed because the tenant has left.
    const isOwn = root !== undefined && root.root !== null;
    const hasLeft = row.wrapped_row_key !== null;
    const tenantKey = isOwn || hasLeft ? undefined : await nextTenantKey(hierarchy, after, instanceKey, row);
    const rowKeyBefore = await hierarchy.rowKey(row.id);
    const ofTenant = tenantKey !== undefined && root === undefined;
    const rowKey = ofTenant ? deriveRowKey(tenantKey.after) : newRowKey();
    const keyed = { ...row, key_version: tenantKey?.key_version ?? row.key_version };
    owners.set(row.id, {
      tenant: row.id,
      owner: ofTenant ? tenantKey : wrapping,
      rows: { before: rowKeyBefore, after: rowKey },
      ...(tenantKey && { tenantKey }),
      hasLeft,
      ...((root !== undefined || hasLeft) && { wrapped_row_key: wrapRowKey(instanceKey, keyed, rowKey) }),
    });
  }
  return { ...next, instanceKey, wrappedInstanceKey, owners };
}

async function nextTenantKey(
  hierarchy: Hierarchy,
  next: Hierarchy,
  instanceKey: KeyObject,
  row: { readonly id: string; readonly key_version: string },
): Promise<NonNullable<OwnerChange['tenantKey']>> {
  const before = await hierarchy.tenantKey(row.id);
  const made = next.newTenantKey(row.id);
  return {
    before,
    after: made.key,
    oldVersion: row.key_version,
    key_version: made.versionId,
    wrapped_key: made.wrapped,
    oldKey: wrapKey({ wrappingKey: instanceKey, place: tenantPlace(row.id, row.key_version), key: before }),
  };
}

/** A key that seals rows and follows from no other, where the tenant's key may be out of reach. */
function newRowKey(): KeyObject {
  const seed = generateKey('AES_256');
  const bytes = createHmac('sha256', seed).update('trialkeep/row/v1\0').digest();
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return key;
}

/** @throws StartupError `root.replacement_unknown` where the database has seals or wrapped keys that this does not know */
export async function assertAllKnown(tx: Tx): Promise<void> {
  const known = new Set([
    ...sealedTables.map(({ table }) => `${table}.seal`),
    'instance_root.seal',
    ...wrappedColumns,
  ]);
  const unknown = (await store.sealsAndWrappings(tx)).filter((place) => !known.has(place));
  if (unknown.length > 0) throw new StartupError('root.replacement_unknown', unknown.join(', '));
}

/**
 * Puts the new keys in the place of the old ones, in one transaction of the main database: what was wrapped under the old instance key
 * or a tenant's is wrapped under the new one, every seal is checked under the old key and written under the new one, and the roots from
 * before are retired. Nothing of it is seen, or all of it.
 *
 * @throws StartupError `database.altered` where a row is not as it was written; `root.replacement_unknown`
 */
export async function swap(tx: Tx, plan: SwapPlan): Promise<void> {
  await assertAllKnown(tx);
  const time = await store.readTime(tx);
  const tenants = await store.listTenantKeys(tx);
  if (tenants.length !== plan.owners.size - 1 || tenants.some(({ id }) => !plan.owners.has(id)))
    throw new StartupError('root.replacement_disturbed', 'There are other tenants than before.');
  const logs = await store.listLogRows(tx);
  const places: Places = {
    tenantOf: new Map(logs.map(({ id, tenant }) => [id, tenant])),
    kinds: await store.keyKinds(tx),
    owners: plan.owners,
  };
  for (const table of sealedTables) await sealTableAnew(tx, table, places);
  for (const { id, tenant, payload_key_version: versionId, wrapped_payload_key: wrapped } of logs) {
    await store.setPayloadKey(
      tx,
      id,
      payloadKeyAnew(ownerIn(plan, tenant).owner, tenant, { versionId, wrapped }),
    );
  }
  const instance = ownerIn(plan, null).owner;
  for (const { id, log, algorithm, wrapped_key: wrapped } of await store.listSigningKeys(tx)) {
    const purpose = algorithm === 'ED25519' ? 'sign' : 'sign-pq';
    const tenant = places.tenantOf.get(log) ?? null;
    await store.setSigningKey(tx, id, signingKeyAnew(instance, tenant, { id, purpose, wrapped }));
  }
  for (const { tenant, tenantKey, hasLeft, wrapped_row_key } of plan.owners.values()) {
    if (tenant === null) continue;
    if (hasLeft && wrapped_row_key !== undefined) await store.setTenantKey(tx, tenant, { wrapped_row_key });
    if (tenantKey === undefined) continue;
    const { key_version, wrapped_key } = tenantKey;
    await store.setTenantKey(tx, tenant, { key_version, wrapped_key });
  }
  const { root, folder, place, wrappedInstanceKey } = plan;
  const rowKeys = ownerIn(plan, null).rows;
  await putReplacedRoots(tx, rowKeys, { root, folder, place, wrapped_key: wrappedInstanceKey, time });
  const log = logs.find(({ tenant }) => tenant === null)?.id;
  if (log === undefined) throw new StartupError('database.damaged', 'The instance has no log.');
  const wanted = { change: 'replace', root: null, log, time } as const;
  const used = plan.isPermitted ? await takePermit(tx, rowKeys.after, wanted) : {};
  const goesBy = { approval: used.approval ?? null, break_glass: plan.breakGlass ?? null };
  const row = { id: plan.id, root: root.id, reason: plan.reason, ...goesBy, epoch: plan.epoch };
  await store.putReplacement(tx, rowKeys.after, { ...row, state: 'open', begun_at: time, ended_at: null });
  for (const { id: owned, tenant } of logs) {
    const { oldVersion = '', oldKey = new Uint8Array(0) } = ownerIn(plan, tenant).tenantKey ?? {};
    const left = {
      replacement: plan.id,
      log: owned,
      old_version: oldVersion,
      old_key: oldKey,
      state: 'open',
    } as const;
    await store.putLog(tx, rowKeys.after, left);
  }
}

interface Places {
  /** Of each log. */
  readonly tenantOf: ReadonlyMap<number, string | null>;
  readonly kinds: Awaited<ReturnType<typeof store.keyKinds>>;
  readonly owners: ReadonlyMap<string | null, OwnerChange>;
}

function ownerIn({ owners }: Pick<Places, 'owners'>, tenant: string | null): OwnerChange {
  const owner = owners.get(tenant);
  if (owner === undefined) throw new StartupError('database.altered', `There is no tenant ${tenant}.`);
  return owner;
}

/** Says of each row of a table whose it is. */
async function ownerOfRows(
  tx: Tx,
  table: SealedTable,
  places: Places,
): Promise<(row: AnyRow) => OwnerChange> {
  const { owner } = table;
  const ofLog = (log: unknown): OwnerChange => ownerIn(places, places.tenantOf.get(log as number) ?? null);
  const ofTenant = (tenant: unknown): OwnerChange => ownerIn(places, tenant as string);
  if (owner === 'instance') return () => ownerIn(places, null);
  if (owner === 'log') return (row) => ofLog(row['log']);
  if (owner === 'tenant') return (row) => ofTenant(row['tenant']);
  const parent = sealedTables.find((each) => each.table === owner.table)?.owner;
  if (parent !== 'log' && parent !== 'tenant')
    throw new Error(`Whose the rows of ${owner.table} are is not said.`);
  const parents = await store.ownersIn(tx, owner.table, parent);
  return (row) => {
    const found = parents.get(row[owner.column] as string);
    if (found === undefined)
      throw new StartupError('database.altered', `A row of ${table.table} belongs to nothing.`);
    return parent === 'log' ? ofLog(found) : ofTenant(found);
  };
}

async function sealTableAnew(tx: Tx, table: SealedTable, places: Places): Promise<void> {
  const ownerOf = await ownerOfRows(tx, table, places);
  const [write] = table.forms;
  if (write === undefined) return;
  const fieldsBy = (form: (row: never) => SealedFields, row: AnyRow): SealedFields => form(row as never);
  for await (const page of store.pagesOf(tx, table)) {
    for (const row of page) {
      const owner = ownerOf(row);
      const seal = row['seal'] as Uint8Array;
      const { before, after } = owner.rows;
      if (!table.forms.some((form) => isSealed(before, table.table, fieldsBy(form, row), seal))) {
        const named = table.identity.map((column) => String(row[column])).join(', ');
        throw new StartupError('database.altered', `Table ${table.table}, row ${named}.`);
      }
      const change = wrappedAnew(table.table, row, owner, places);
      const next = sealRow(after, table.table, fieldsBy(write, { ...row, ...change }));
      await store.updateRow(tx, table, row, { ...change, seal: next });
    }
  }
}

/** The columns of a sealed row that hold what is wrapped under its owner's keys. */
function wrappedAnew(table: string, row: AnyRow, owner: OwnerChange, places: Places): AnyRow {
  const text = (column: string): string => row[column] as string;
  const bytes = (column: string): Uint8Array => row[column] as Uint8Array;
  const { tenant } = owner;
  if (table === 'credential' && row['wrapped_secret'] !== null) {
    const secret = { credential: text('id'), wrapped: bytes('wrapped_secret') };
    return { wrapped_secret: secretAnew(ownerIn(places, null).owner, tenant, secret) };
  }
  if (table === 'authenticator' && row['type'] === 'totp') {
    const secret = { id: text('id'), person: text('person'), wrapped: bytes('secret') };
    return { secret: authenticatorAnew(owner.owner, tenant, secret) };
  }
  if (table === 'tenant_root') return { wrapped_row_key: owner.wrapped_row_key };
  if (table !== 'key_version' || owner.tenantKey === undefined || bytes('wrapped_secret').length === 0)
    return {};
  const kind = places.kinds.get(text('key'));
  if (kind === undefined || tenant === null)
    throw new StartupError('database.altered', 'A version has no key.');
  const version = { key: text('key'), id: text('id'), kind, wrapped: bytes('wrapped_secret') };
  return { wrapped_secret: versionAnew(owner.tenantKey, tenant, version) };
}
