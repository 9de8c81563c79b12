import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CryptoError, unwrapKey, wrapKey } from '@trialkeep/crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import type { Database } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import { idBytes } from '../platform/ids.ts';
import { LruMap } from '../platform/lru.ts';
import { checkRow, deriveRowKey } from './row-seal.ts';
import type { SealedFields, SealedTable } from './row-seal.ts';
import * as store from './store.ts';
import type { TenantKeyRow, TenantRootRow } from './store.ts';

/** A tenant's key under the tenant's own root of trust, as its row holds it. */
export interface OwnWrapping {
  readonly tenant: string;
  /** Of the root of trust. */
  readonly root: string;
  readonly place: KeyPlace;
  readonly wrapped: Uint8Array;
  /** How long the key may be held after the root was asked; 0: the root is asked for every operation. */
  readonly leaseMs: number;
}

/** What asks the roots of trust of tenants, and holds what they unwrap for as long as each lease says. */
export interface OwnRoots {
  /** @throws OperationError `tenant.root_refused`, `tenant.root_unreachable`, `server.busy` */
  key(own: OwnWrapping): Promise<KeyObject>;
  /** Ends what is held of the tenant under another wrapping, or another lease; under any, where it has no root of its own. */
  keepOnly(tenant: string, own: OwnWrapping | undefined): void;
}

/** A tenant's key for one use. */
export interface HeldKey {
  readonly key: KeyObject;
  /** Whether what it unwraps may be kept for further uses. */
  readonly isKept: boolean;
}

/** What hangs where: under the tenant's key, or, for tenants with a root of their own, under the instance's. */
interface Known {
  readonly own: OwnWrapping | undefined;
  /** Unwrapped under the instance key, where the tenant's key is under that. */
  readonly key: KeyObject | undefined;
  /** What wraps the payload key of the log and the generators of one-time codes. */
  readonly owner: KeyObject;
  readonly rowKey: KeyObject;
}

/** How many tenants are known at once; the rows of the others are read again. */
const maxTenants = 10_000;

const noRoots: OwnRoots = {
  key: ({ tenant }) => {
    throw new Error(`This process asks no roots of tenants, and the key of tenant ${tenant} is under one.`);
  },
  keepOnly: () => undefined,
};

/**
 * The keys of tenants, each under the instance key or under the tenant's own root of trust (hold your own key, design section 5).
 * What the ledger, authorisation and revocation need hangs under the instance key where the tenant has a root of its own: a refusal has
 * to be recorded, and a right taken away, while that root refuses.
 */
export class TenantKeys {
  readonly #instanceKey: KeyObject;
  readonly #database: Database;
  readonly #roots: OwnRoots;
  readonly #known = new LruMap<string, Promise<Known>>(maxTenants);

  constructor(parts: { instanceKey: KeyObject; database: Database; roots?: OwnRoots | undefined }) {
    this.#instanceKey = parts.instanceKey;
    this.#database = parts.database;
    this.#roots = parts.roots ?? noRoots;
  }

  /** Every use of what is under the tenant's key comes through here, also of what is held unwrapped already. */
  async hold(tenant: string): Promise<HeldKey> {
    const { own, key } = await this.#of(tenant);
    if (own !== undefined) return { key: await this.#roots.key(own), isKept: own.leaseMs > 0 };
    if (key === undefined) throw new Error(`Tenant ${tenant} has no key.`);
    return { key, isKept: true };
  }

  async owner(tenant: string): Promise<KeyObject> {
    return (await this.#of(tenant)).owner;
  }

  async rowKey(tenant: string): Promise<KeyObject> {
    return (await this.#of(tenant)).rowKey;
  }

  /** Reads again how the tenant's key is wrapped, when it is asked for next. */
  forget(tenant: string): void {
    this.#known.delete(tenant);
  }

  #of(tenant: string): Promise<Known> {
    const known = this.#known.get(tenant);
    if (known !== undefined) return known;
    const fresh = this.#load(tenant);
    this.#known.set(tenant, fresh);
    // Another may have been begun meanwhile.
    const isNewest = (): boolean => this.#known.get(tenant) === fresh;
    fresh.then(
      ({ own }) => isNewest() && this.#roots.keepOnly(tenant, own),
      () => isNewest() && this.#known.delete(tenant),
    );
    return fresh;
  }

  async #load(tenant: string): Promise<Known> {
    const { key: row, root } = await this.#database.read((snapshot) => store.findWrappings(snapshot, tenant));
    if (row.wrapped_row_key !== null) {
      // The tenant has left: its key is destroyed.
      const rowKey = openRowKey(this.#instanceKey, row, { wrapped_row_key: row.wrapped_row_key });
      return { own: undefined, key: undefined, owner: this.#instanceKey, rowKey };
    }
    if (root === undefined) {
      const key = this.#underInstance(tenant, row);
      return { own: undefined, key, owner: key, rowKey: deriveRowKey(key) };
    }
    const rowKey = openRowKey(this.#instanceKey, row, root);
    checkTenantRoot(rowKey, root);
    const rest = { owner: this.#instanceKey, rowKey };
    if (root.root === null) return { ...rest, own: undefined, key: this.#underInstance(tenant, row) };
    if (row.wrapped_key.length > 0) throw altered(`Tenant ${tenant} has its key twice.`);
    return { ...rest, key: undefined, own: wrappingOf(row, { ...root, root: root.root }) };
  }

  #underInstance(tenant: string, row: TenantKeyRow): KeyObject {
    const place = tenantPlace(tenant, row.key_version);
    return opened(`key of tenant ${tenant}`, this.#instanceKey, place, row.wrapped_key);
  }
}

export function wrappingOf(
  { id, key_version }: TenantKeyRow,
  { root, wrapped_key, lease_seconds }: TenantRootRow & { readonly root: string },
): OwnWrapping {
  const place = tenantPlace(id, key_version);
  return { tenant: id, root, place, wrapped: wrapped_key, leaseMs: lease_seconds * 1000 };
}

export function tenantPlace(tenant: string, versionId: string): KeyPlace {
  const id = idBytes(tenant);
  return { kind: 'tenant', tenantId: id, keyId: id, versionId: idBytes(versionId), purpose: 'wrap' };
}

function rowKeyPlace({ id, key_version }: TenantKeyRow): KeyPlace {
  return { ...tenantPlace(id, key_version), purpose: 'mac' };
}

/** The key that seals the tenant's rows, for the time in which the tenant's key may be out of reach. */
export function wrapRowKey(instanceKey: KeyObject, row: TenantKeyRow, rowKey: KeyObject): Uint8Array {
  return wrapKey({ wrappingKey: instanceKey, place: rowKeyPlace(row), key: rowKey });
}

function openRowKey(
  instanceKey: KeyObject,
  row: TenantKeyRow,
  root: Pick<TenantRootRow, 'wrapped_row_key'>,
): KeyObject {
  return opened(`key of the rows of tenant ${row.id}`, instanceKey, rowKeyPlace(row), root.wrapped_row_key);
}

export function tenantRootFields(row: Omit<TenantRootRow, 'seal'>): SealedFields {
  const wrapped = createHash('sha256').update(row.wrapped_key).digest('hex');
  return [row.tenant, row.root, wrapped, row.lease_seconds, row.version, row.changed_at];
}

/** @throws StartupError `database.altered` */
export function checkTenantRoot(rowKey: KeyObject, row: TenantRootRow): void {
  checkRow(rowKey, 'tenant_root', tenantRootFields(row), row.seal);
}

function opened(name: string, wrappingKey: KeyObject, place: KeyPlace, wrapped: Uint8Array): KeyObject {
  try {
    return unwrapKey({ wrappingKey, place, wrapped });
  } catch (error) {
    if (error instanceof CryptoError) throw altered(`The ${name} does not open.`, error);
    throw error;
  }
}

function altered(detail: string, cause?: unknown): StartupError {
  return new StartupError('database.altered', detail, cause);
}

/** How the rows of tenants' own roots are sealed. */
export const tenantRootTables: readonly SealedTable[] = [
  { table: 'tenant_root', identity: ['tenant'], owner: 'tenant', forms: [tenantRootFields] },
];

/** A tenant's key from before a replacement of the root of trust, under the instance key. @throws StartupError `database.altered` */
export function openTenantKeyOf(
  instanceKey: KeyObject,
  tenant: string,
  version: string,
  wrapped: Uint8Array,
): KeyObject {
  return opened(`former key of tenant ${tenant}`, instanceKey, tenantPlace(tenant, version), wrapped);
}
