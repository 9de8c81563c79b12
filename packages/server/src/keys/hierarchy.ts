import type { KeyObject } from 'node:crypto';
import { CryptoError, generateKey, openCompact, sealCompact, unwrapKey, wrapKey } from '@trialkeep/crypto';
import type { CompactKey, KeyPlace } from '@trialkeep/crypto';
import type { Database } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import { idBytes, newId, noTenant } from '../platform/ids.ts';
import { LruMap } from '../platform/lru.ts';
import type { Epochs } from '../roots/index.ts';
import type { ShredStore } from '../shred/index.ts';
import { deriveRowKey } from './row-seal.ts';
import * as store from './store.ts';

/** A key that was just made, as its row holds it. */
export interface NewKey {
  readonly versionId: string;
  readonly wrapped: Uint8Array;
}

/** What a log's signing key is for, by its algorithm: Ed25519, ML-DSA-44. */
export type SigningPurpose = 'sign' | 'sign-pq';

/** The kinds of keys that live in the shred store. */
export type ShreddableKind = 'study' | 'subject';

/** How many unwrapped keys are held at once; the others are unwrapped again when they are needed. */
const maxUnwrappedKeys = 10_000;

/**
 * The tree of keys: root of trust → instance key → tenant keys → system keys, and the study and subject keys of the shred
 * store (design section 5). Key material lives in KeyObjects in a bounded cache; what is dropped is released, not wiped.
 */
export class Hierarchy {
  readonly #epochs: Pick<Epochs, 'current'>;
  readonly #instanceKey: KeyObject;
  readonly #database: Database;
  readonly #shred: ShredStore;
  readonly #unwrapped = new LruMap<string, Promise<KeyObject | undefined>>(maxUnwrappedKeys);
  readonly #shreddables = new LruMap<string, Promise<CompactKey | undefined>>(maxUnwrappedKeys);

  constructor(parts: {
    epochs: Pick<Epochs, 'current'>;
    instanceKey: KeyObject;
    database: Database;
    shred: ShredStore;
  }) {
    this.#epochs = parts.epochs;
    this.#instanceKey = parts.instanceKey;
    this.#database = parts.database;
    this.#shred = parts.shred;
  }

  /** Makes a tenant's key, wrapped under the instance key, and known from now on. */
  newTenantKey(tenant: string): NewKey & { readonly key: KeyObject } {
    const made = newWrapped(this.#instanceKey, (versionId) => tenantPlace(tenant, versionId));
    const place = tenantPlace(tenant, made.versionId);
    return { ...made, key: unwrapKey({ wrappingKey: this.#instanceKey, place, wrapped: made.wrapped }) };
  }

  tenantKey(tenant: string): Promise<KeyObject> {
    return this.#required(`tenant ${tenant}`, async () => {
      const row = await this.#database.read((snapshot) => store.findTenantKey(snapshot, tenant));
      const place = tenantPlace(tenant, row.key_version);
      return unwrapStored(`key of tenant ${tenant}`, this.#instanceKey, place, row.wrapped_key);
    });
  }

  /** What wraps the keys of a tenant's ledger, or of the instance's where there is no tenant. */
  async ownerKey(tenant: string | null): Promise<KeyObject> {
    return tenant === null ? this.#instanceKey : this.tenantKey(tenant);
  }

  /** The key that seals the rows of a tenant, or of the instance. */
  rowKey(tenant: string | null): Promise<KeyObject> {
    const name = `rows ${tenant ?? 'instance'}`;
    return this.#required(name, async () => deriveRowKey(await this.ownerKey(tenant)));
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

  /** Makes a version of a system's key, wrapped under the tenant's key. */
  async newSystemKeyVersion(tenant: string, key: string): Promise<NewKey> {
    return newWrapped(await this.tenantKey(tenant), (versionId) => systemPlace(tenant, key, versionId));
  }

  /** A version of a system's key, ready for the compact form; undefined where the key has no such version. */
  async systemKeyVersion(tenant: string, key: string, versionId: string): Promise<CompactKey | undefined> {
    const unwrapped = await this.#optional(`${tenant} system ${key} ${versionId}`, async () => {
      const row = await this.#database.read((snapshot) => store.findVersion(snapshot, key, versionId));
      if (row === undefined) return undefined;
      const place = systemPlace(tenant, key, versionId);
      return unwrapStored(`secret of key ${key}`, await this.tenantKey(tenant), place, row.wrapped_secret);
    });
    return unwrapped && compactKey(unwrapped, tenant, key, versionId);
  }

  /**
   * Makes the key of a study or subject and stores it durably in the shred store: wrapped under the tenant's key, and that
   * under the epoch key. `id` is the study's id, or the subject's alias in the form of a UUID.
   */
  async createShreddable(tenant: string, kind: ShreddableKind, id: string): Promise<CompactKey> {
    const epoch = await this.#epochs.current();
    const key = generateKey('AES_256');
    const versionId = newId();
    const place = shreddablePlace(kind, tenant, id, versionId);
    const inner = wrapKey({ wrappingKey: await this.tenantKey(tenant), place, key });
    const wrapped = sealCompact({ ...epoch.key, context: shredContext(kind), plaintext: inner });
    await this.#shred.put({
      id,
      tenant,
      kind,
      version: versionId,
      epoch: epoch.number,
      wrapped_secret: wrapped,
    });
    this.#shreddables.delete(shreddableName(tenant, kind, id));
    return compactKey(key, tenant, id, versionId);
  }

  /** The key of a study or subject; undefined once it is forgotten. */
  shreddable(tenant: string, kind: ShreddableKind, id: string): Promise<CompactKey | undefined> {
    const name = shreddableName(tenant, kind, id);
    const known = this.#shreddables.get(name);
    if (known !== undefined) return known;
    const key = this.#loadShreddable(tenant, kind, id);
    this.#shreddables.set(name, key);
    key.then(
      (found) => found ?? this.#shreddables.delete(name),
      () => this.#shreddables.delete(name),
    );
    return key;
  }

  async #loadShreddable(tenant: string, kind: ShreddableKind, id: string): Promise<CompactKey | undefined> {
    const row = await this.#shred.find(id);
    if (row === undefined || row.tenant !== tenant || row.kind !== kind) return undefined;
    const epoch = await this.#epochs.current();
    const name = `key of ${kind} ${id}`;
    const wrapped = openStored(name, () =>
      openCompact({ ...epoch.key, context: shredContext(kind), ciphertext: row.wrapped_secret }),
    );
    const place = shreddablePlace(kind, tenant, id, row.version);
    const key = unwrapStored(name, await this.tenantKey(tenant), place, wrapped);
    return compactKey(key, tenant, id, row.version);
  }

  /** Releases the unwrapped keys of a tenant: some of them may have been destroyed. What is still needed is unwrapped again. */
  releaseTenant(tenant: string): void {
    this.#unwrapped.deleteWhere((name) => name.startsWith(`${tenant} `));
    this.#shreddables.deleteWhere((name) => name.startsWith(`${tenant} `));
  }

  async #required(name: string, load: () => Promise<KeyObject>): Promise<KeyObject> {
    const key = await this.#optional(name, load);
    if (key === undefined) throw new Error(`There is no key for ${name}.`);
    return key;
  }

  #optional(name: string, load: () => Promise<KeyObject | undefined>): Promise<KeyObject | undefined> {
    const known = this.#unwrapped.get(name);
    if (known !== undefined) return known;
    const key = load();
    this.#unwrapped.set(name, key);
    key.then(
      (found) => found ?? this.#unwrapped.delete(name),
      () => this.#unwrapped.delete(name),
    );
    return key;
  }
}

function unwrapStored(name: string, wrappingKey: KeyObject, place: KeyPlace, wrapped: Uint8Array): KeyObject {
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

function tenantPlace(tenant: string, versionId: string): KeyPlace {
  const id = idBytes(tenant);
  return { kind: 'tenant', tenantId: id, keyId: id, versionId: idBytes(versionId), purpose: 'wrap' };
}

function systemPlace(tenant: string, key: string, versionId: string): KeyPlace {
  return {
    kind: 'system',
    tenantId: idBytes(tenant),
    keyId: idBytes(key),
    versionId: idBytes(versionId),
    purpose: 'encrypt',
  };
}

function shreddablePlace(kind: ShreddableKind, tenant: string, id: string, versionId: string): KeyPlace {
  return {
    kind,
    tenantId: idBytes(tenant),
    keyId: idBytes(id),
    versionId: idBytes(versionId),
    purpose: 'encrypt',
  };
}

/** Beside the compact form's own binding: a study's row does not open as a subject's. */
function shredContext(kind: ShreddableKind): Record<string, string> {
  return { 'trialkeep:shred-store': kind };
}

function ownPlace(tenant: string | null): Pick<KeyPlace, 'tenantId' | 'keyId'> {
  const tenantId = tenant === null ? noTenant : idBytes(tenant);
  return { tenantId, keyId: tenantId };
}

function signingPlace(tenant: string | null, id: string, purpose: SigningPurpose): KeyPlace {
  return { ...ownPlace(tenant), kind: 'ledger', versionId: idBytes(id), purpose };
}

function payloadPlace(tenant: string | null, versionId: string): KeyPlace {
  return { ...ownPlace(tenant), kind: 'payload', versionId: idBytes(versionId), purpose: 'encrypt' };
}

function authenticatorPlace(tenant: string | null, person: string, id: string): KeyPlace {
  const { tenantId } = ownPlace(tenant);
  return {
    kind: 'authenticator',
    tenantId,
    keyId: idBytes(person),
    versionId: idBytes(id),
    purpose: 'authenticate',
  };
}
