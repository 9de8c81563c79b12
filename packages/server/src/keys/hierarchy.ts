import type { KeyObject } from 'node:crypto';
import { CryptoError, generateKey, openCompact, sealCompact, unwrapKey, wrapKey } from '@trialkeep/crypto';
import type { CompactKey, KeyMaterial, KeyPlace } from '@trialkeep/crypto';
import type { Database } from '../platform/database.ts';
import { OperationError, StartupError } from '../platform/errors.ts';
import { idBytes, newId } from '../platform/ids.ts';
import { LruMap } from '../platform/lru.ts';
import type { EpochKey, Epochs } from '../roots/index.ts';
import type { ShredStore, ShreddableKey } from '../shred/index.ts';
import { KeyGeneration } from './generation.ts';
import type { MaterialUse } from './generation.ts';
import { deriveRowKey } from './row-seal.ts';
import {
  authenticatorPlace,
  ownPlace,
  payloadPlace,
  shredContext,
  shreddablePlace,
  signingPlace,
  systemPlace,
} from './places.ts';
import * as store from './store.ts';
import type { KeyKind, NewKey } from './new-key.ts';
import { TenantKeys, tenantPlace } from './tenant-keys.ts';
import type { TokenKeys } from './token-keys.ts';
import type { OwnRoots } from './tenant-keys.ts';

export type { KeyKind, NewKey } from './new-key.ts';

/** What a log's signing key is for, by its algorithm: Ed25519, ML-DSA-44. */
export type SigningPurpose = 'sign' | 'sign-pq';

/** The kinds of keys that live in the shred store. */
export type ShreddableKind = 'study' | 'subject';

/** How often the folder of the epochs is read again, where another node changes it at the same time. */
const maxEpochAttempts = 5;

/** How many unwrapped keys are held at once; the others are unwrapped again when they are needed. */
const maxUnwrappedKeys = 10_000;

/**
 * The tree of keys: root of trust → instance key → tenant keys → system keys, and the study and subject keys of the shred
 * store (design section 5). Key material lives in KeyObjects in a bounded cache; what is dropped is released, not wiped.
 */
export class Hierarchy {
  readonly #epochs: Pick<Epochs, 'current' | 'open' | 'refresh'>;
  readonly #instanceKey: KeyObject;
  readonly #instanceRowKey: KeyObject;
  readonly #tenants: TenantKeys;
  readonly #database: Database;
  readonly #shred: ShredStore;
  readonly #generation = new KeyGeneration();
  readonly #tokenKeys: TokenKeys | undefined;
  readonly #unwrapped = new LruMap<string, Promise<KeyObject | undefined>>(maxUnwrappedKeys);
  readonly #shreddables = new LruMap<string, Promise<CompactKey | undefined>>(maxUnwrappedKeys);

  constructor(parts: {
    epochs: Pick<Epochs, 'current' | 'open' | 'refresh'>;
    instanceKey: KeyObject;
    database: Database;
    shred: ShredStore;
    ownRoots?: OwnRoots;
    tokenKeys?: TokenKeys | undefined;
  }) {
    this.#epochs = parts.epochs;
    this.#instanceKey = parts.instanceKey;
    this.#instanceRowKey = deriveRowKey(parts.instanceKey);
    this.#tenants = new TenantKeys({ ...parts, roots: parts.ownRoots });
    this.#database = parts.database;
    this.#shred = parts.shred;
    this.#tokenKeys = parts.tokenKeys;
  }

  /** Whether keys can be made in an HSM here. */
  get hasTokenKeys(): boolean {
    return this.#tokenKeys !== undefined;
  }

  /** The HSM that keys stay in. @throws OperationError `key.module_unreachable` where none is configured */
  get tokenKeys(): TokenKeys {
    if (this.#tokenKeys === undefined) throw new OperationError('key.module_unreachable');
    return this.#tokenKeys;
  }

  /** Keys that are held unwrapped now. */
  get unwrappedKeys(): number {
    return this.#unwrapped.size + this.#shreddables.size;
  }

  /** Makes a tenant's key, wrapped under the instance key, and known from now on. */
  newTenantKey(tenant: string): NewKey & { readonly key: KeyObject } {
    const made = newWrapped(this.#instanceKey, (versionId) => tenantPlace(tenant, versionId));
    const place = tenantPlace(tenant, made.versionId);
    return { ...made, key: unwrapKey({ wrappingKey: this.#instanceKey, place, wrapped: made.wrapped }) };
  }

  /** @throws OperationError of the tenant's own root, where it has one: `tenant.root_refused`, `tenant.root_unreachable` */
  async tenantKey(tenant: string): Promise<KeyObject> {
    return (await this.#tenants.hold(tenant)).key;
  }

  /**
   * What wraps the keys of a tenant's ledger, or of the instance's where there is no tenant: the tenant's key, unless a root of the
   * tenant's own may refuse that.
   */
  async ownerKey(tenant: string | null): Promise<KeyObject> {
    return tenant === null ? this.#instanceKey : this.#tenants.owner(tenant);
  }

  /** The key that seals the rows of a tenant, or of the instance. */
  async rowKey(tenant: string | null): Promise<KeyObject> {
    return tenant === null ? this.#instanceRowKey : this.#tenants.rowKey(tenant);
  }

  /** The instance key wraps the signing keys of ledgers, so that a tenant's refused root does not silence its ledger. */
  wrapSigningKey(tenant: string | null, id: string, purpose: SigningPurpose, key: KeyObject): Uint8Array {
    return wrapKey({ wrappingKey: this.#instanceKey, place: signingPlace(tenant, id, purpose), key });
  }

  unwrapSigningKey(
    tenant: string | null,
    id: string,
    purpose: SigningPurpose,
    wrapped: Uint8Array,
  ): KeyObject {
    const place = signingPlace(tenant, id, purpose);
    return unwrapStored('signing key of a log', this.#instanceKey, place, wrapped);
  }

  /** Wraps the secret of a person's generator of one-time codes under the tenant's key, or the instance's. */
  async wrapAuthenticator(
    tenant: string | null,
    person: string,
    id: string,
    key: KeyObject,
  ): Promise<Uint8Array> {
    const wrappingKey = await this.ownerKey(tenant);
    return wrapKey({ wrappingKey, place: authenticatorPlace(tenant, person, id), key });
  }

  async unwrapAuthenticator(
    tenant: string | null,
    person: string,
    id: string,
    wrapped: Uint8Array,
  ): Promise<KeyObject> {
    const place = authenticatorPlace(tenant, person, id);
    return unwrapStored(`authenticator of person ${person}`, await this.ownerKey(tenant), place, wrapped);
  }

  /** Makes the key for those payloads of a ledger that name no subject; `owner` is the tenant's key, or the instance's. */
  newPayloadKey(tenant: string | null, owner: KeyObject): NewKey {
    return newWrapped(owner, (versionId) => payloadPlace(tenant, versionId));
  }

  openPayloadKey(tenant: string | null, owner: KeyObject, { versionId, wrapped }: NewKey): CompactKey {
    const key = unwrapStored('payload key of a log', owner, payloadPlace(tenant, versionId), wrapped);
    return { ...ownPlace(tenant), key, keyVersionId: idBytes(versionId) };
  }

  /** Fresh key material; of RSA this can take seconds, beside the event loop. @throws OperationError `server.busy` */
  newMaterial(tenant: string, algorithm: string, use: MaterialUse): Promise<KeyMaterial> {
    return this.#generation.make(tenant, algorithm, use);
  }

  /** Makes a version of a system's key, wrapped under the tenant's key or in the HSM. @throws OperationError `server.busy`, and those of the HSM */
  async newSystemKeyVersion(
    tenant: string,
    key: string,
    kind: KeyKind,
    versionId = newId(),
  ): Promise<NewKey> {
    if (kind.protection === 'hsm') {
      const made = await this.tokenKeys.make({ tenant, key, version: versionId }, kind);
      return { versionId, wrapped: new Uint8Array(0), ...made };
    }
    const place = systemPlace(tenant, key, versionId, kind);
    const [wrappingKey, material] = await Promise.all([
      this.tenantKey(tenant),
      this.newMaterial(tenant, kind.algorithm, 'key'),
    ]);
    const { secret, publicKey } = material;
    const wrapped = wrapKey({ wrappingKey, place, key: secret });
    return { versionId, wrapped, ...(publicKey !== undefined && { publicKey }) };
  }

  /** A version of a system's key, ready for the compact form; undefined where the key has no such version. */
  async systemKeyVersion(tenant: string, key: string, versionId: string): Promise<CompactKey | undefined> {
    const unwrapped = await this.systemSecret(tenant, { id: key, ...encryption }, versionId);
    return unwrapped && compactKey(unwrapped, tenant, key, versionId);
  }

  /** The symmetric or private key of a version; undefined where the key has no such version. @throws OperationError `key.resident` */
  systemSecret(
    tenant: string,
    { id, algorithm, purpose }: KeyKind & { readonly id: string },
    versionId: string,
  ): Promise<KeyObject | undefined> {
    return this.#held(this.#unwrapped, tenant, `system ${id} ${versionId}`, async (tenantKey) => {
      const row = await this.#database.read((snapshot) => store.findVersion(snapshot, id, versionId));
      if (row === undefined) return undefined;
      if (row.token !== null) throw new OperationError('key.resident', { field: '/key' });
      const place = systemPlace(tenant, id, versionId, { algorithm, purpose });
      return unwrapStored(`secret of key ${id}`, tenantKey, place, row.wrapped_secret);
    });
  }

  /**
   * Makes the key of a study or subject and stores it durably in the shred store: wrapped under the tenant's key, and that
   * under the epoch key. `id` is the study's id, or the subject's alias in the form of a UUID.
   */
  async createShreddable(tenant: string, kind: ShreddableKind, id: string): Promise<CompactKey> {
    const key = generateKey('AES_256');
    const versionId = newId();
    const place = shreddablePlace(kind, tenant, id, versionId);
    const inner = wrapKey({ wrappingKey: await this.tenantKey(tenant), place, key });
    for (let attempt = 1; ; attempt++) {
      const epochKey = await this.#epochs.current();
      const epoch = epochKey.number;
      const wrapped = sealCompact({ ...epochKey.key, context: shredContext(kind), plaintext: inner });
      const row = { id, tenant, kind, version: versionId, epoch, wrapped_secret: wrapped };
      if (await this.#shred.put(row, epochKey)) break;
      if (attempt === maxEpochAttempts) throw new StartupError('root.epoch_missing', `After epoch ${epoch}.`);
      // Another node has begun the next epoch.
      this.#epochs.refresh();
    }
    this.#shreddables.delete(shreddableName(tenant, kind, id));
    return compactKey(key, tenant, id, versionId);
  }

  /** The key of a study or subject; undefined once it is forgotten. */
  shreddable(tenant: string, kind: ShreddableKind, id: string): Promise<CompactKey | undefined> {
    return this.#held(this.#shreddables, tenant, `${kind} ${id}`, (tenantKey) =>
      this.#loadShreddable({ tenant, kind, id, tenantKey }),
    );
  }

  async #loadShreddable({
    tenant,
    kind,
    id,
    tenantKey,
  }: {
    readonly tenant: string;
    readonly kind: ShreddableKind;
    readonly id: string;
    readonly tenantKey: KeyObject;
  }): Promise<CompactKey | undefined> {
    const found = await this.#findUnderEpoch(id);
    if (found === undefined || found.row.tenant !== tenant || found.row.kind !== kind) return undefined;
    const { row, epoch } = found;
    const name = `key of ${kind} ${id}`;
    let wrapped: Buffer;
    try {
      wrapped = openStored(name, () => openShredRow(row, epoch));
    } catch (error) {
      // Nobody altered the row where this node alone has another key.
      await this.#shred.requireKey(epoch);
      throw error;
    }
    const place = shreddablePlace(kind, tenant, id, row.version);
    const key = unwrapStored(name, tenantKey, place, wrapped);
    return compactKey(key, tenant, id, row.version);
  }

  /** A row with the key of its epoch; read again where the row has moved to the next one, and the old one is gone, in between. */
  async #findUnderEpoch(id: string): Promise<{ row: ShreddableKey; epoch: EpochKey } | undefined> {
    for (let attempt = 1; ; attempt++) {
      const row = await this.#shred.find(id);
      if (row === undefined) return undefined;
      try {
        return { row, epoch: await this.#epochs.open(row.epoch) };
      } catch (error) {
        const isMissing = error instanceof StartupError && error.code === 'root.epoch_missing';
        if (!isMissing || attempt === maxEpochAttempts) throw error;
      }
    }
  }

  /** Releases the unwrapped keys of a tenant: some of them may have been destroyed. What is still needed is unwrapped again. */
  releaseTenant(tenant: string): void {
    this.#unwrapped.deleteWhere((name) => name.startsWith(`${tenant} `));
    this.#shreddables.deleteWhere((name) => name.startsWith(`${tenant} `));
  }

  /** Reads again under what the tenant's key is: a change may have moved it. What its root has unwrapped is held as its lease says. */
  forgetTenantKey(tenant: string): void {
    this.#tenants.forget(tenant);
  }

  /** What is under the tenant's key, out of the cache where it may be held there. The tenant's key itself is asked for in any case. */
  async #held<K>(
    cache: LruMap<string, Promise<K | undefined>>,
    tenant: string,
    what: string,
    load: (tenantKey: KeyObject) => Promise<K | undefined>,
  ): Promise<K | undefined> {
    const { key: tenantKey, isKept } = await this.#tenants.hold(tenant);
    if (!isKept) return load(tenantKey);
    const name = `${tenant} ${what}`;
    const known = cache.get(name);
    if (known !== undefined) return known;
    const loading = load(tenantKey);
    cache.set(name, loading);
    loading.then(
      (found) => found ?? cache.delete(name),
      () => cache.delete(name),
    );
    return loading;
  }
}

/** What a row of the shred store holds under its epoch's key: a key wrapped under its tenant's. */
export function openShredRow(row: ShreddableKey, { key }: EpochKey): Buffer {
  return openCompact({ ...key, context: shredContext(row.kind), ciphertext: row.wrapped_secret });
}

/** The same row under another epoch. */
export function underEpoch(row: ShreddableKey, from: EpochKey, to: EpochKey): ShreddableKey {
  const plaintext = openStored(`key of ${row.kind} ${row.id}`, () => openShredRow(row, from));
  const wrapped_secret = sealCompact({ ...to.key, context: shredContext(row.kind), plaintext });
  plaintext.fill(0);
  return { ...row, epoch: to.number, wrapped_secret };
}

export function unwrapStored(
  name: string,
  wrappingKey: KeyObject,
  place: KeyPlace,
  wrapped: Uint8Array,
): KeyObject {
  return openStored(name, () => unwrapKey({ wrappingKey, place, wrapped }));
}

/** What does not open at its own place is not what was stored there: nobody's ciphertext is to blame. */
function openStored<T>(name: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    if (error instanceof CryptoError)
      throw new StartupError('database.altered', `The ${name} does not open.`, error);
    throw error;
  }
}

/** Never by the id alone: another tenant may name it. */
function shreddableName(tenant: string, kind: ShreddableKind, id: string): string {
  return `${tenant} ${kind} ${id}`;
}

function newWrapped(wrappingKey: KeyObject, place: (versionId: string) => KeyPlace): NewKey {
  const versionId = newId();
  return {
    versionId,
    wrapped: wrapKey({ wrappingKey, place: place(versionId), key: generateKey('AES_256') }),
  };
}

function compactKey(key: KeyObject, tenant: string, id: string, versionId: string): CompactKey {
  return { key, keyVersionId: idBytes(versionId), tenantId: idBytes(tenant), keyId: idBytes(id) };
}

/** What the compact form and data keys are made with. */
const encryption = { algorithm: 'AES_256', purpose: 'encrypt' } as const;
