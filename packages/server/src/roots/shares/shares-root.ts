import { createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CryptoError, hpkeIdentity, hpkeRecipient, unwrapKey, wrapKey } from '@trialkeep/crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import { StartupError } from '../../platform/errors.ts';
import { newId } from '../../platform/ids.ts';
import type { RootMaker, RootOfTrust, RootSettings } from '../root.ts';
import { heldRootKey, holdRootKey } from './held.ts';
import { backupPrivateKey, newRootFile, readRootFile, writeRootFile } from './root-file.ts';
import type { RootFile, ShareSet } from './root-file.ts';

const providerId = 'trialkeep-hpke-mlkem768-p256';
/** What a sealed root gives back without its shares: so many keys that it has just wrapped itself for a backup. */
const maxOwn = 16;

/**
 * A root whose key shares have opened, or one that is sealed: that one can wrap for backups, because they are sealed to a public key,
 * and open nothing.
 */
class SharesRoot implements RootOfTrust {
  readonly kind = 'shares';
  readonly id: string;
  readonly #file: RootFile;
  #rootKey: KeyObject | undefined;
  /** A backup is opened again before it counts as one. */
  readonly #own = new Map<string, KeyObject>();

  constructor(file: RootFile, rootKey: KeyObject | undefined) {
    this.id = file.id;
    this.#file = file;
    this.#rootKey = rootKey;
  }

  async wrap(place: KeyPlace, key: KeyObject): Promise<Uint8Array> {
    if (place.kind !== 'backup') return wrapKey({ wrappingKey: this.#opened(), place, key });
    const { suite, publicKey } = this.#file.backup;
    const recipient = await hpkeRecipient({ suite, publicKey: Buffer.from(publicKey, 'base64') });
    const secret = key.export();
    const { ciphertext } = await recipient
      .wrap(secret, backupContext(this.id, place))
      .finally(() => secret.fill(0));
    const [oldest] = this.#own.keys();
    if (this.#own.size >= maxOwn && oldest !== undefined) this.#own.delete(oldest);
    this.#own.set(nameOf(place, ciphertext), key);
    return ciphertext;
  }

  async unwrap(place: KeyPlace, wrapped: Uint8Array): Promise<KeyObject> {
    try {
      if (place.kind !== 'backup') return unwrapKey({ wrappingKey: this.#opened(), place, wrapped });
      return this.#own.get(nameOf(place, wrapped)) ?? (await this.#unwrapBackup(place, wrapped));
    } catch (error) {
      if (error instanceof CryptoError) throw new StartupError('root.wrong', undefined, error);
      throw error;
    }
  }

  async check(): Promise<void> {
    this.#opened();
  }

  async close(): Promise<void> {
    this.#rootKey = undefined;
    this.#own.clear();
  }

  async #unwrapBackup(place: KeyPlace, wrapped: Uint8Array): Promise<KeyObject> {
    const { suite, publicKey } = this.#file.backup;
    const privateKey = backupPrivateKey(this.#file, this.#opened());
    try {
      const identity = await hpkeIdentity({ suite, publicKey: Buffer.from(publicKey, 'base64'), privateKey });
      const encrypted = { providerId, providerInfo: identity.id, ciphertext: wrapped };
      const secret = await identity.unwrap(encrypted, backupContext(this.id, place));
      if (secret === undefined) throw new StartupError('root.wrong');
      const key = createSecretKey(secret);
      secret.fill(0);
      return key;
    } finally {
      privateKey.fill(0);
    }
  }

  #opened(): KeyObject {
    if (this.#rootKey === undefined) throw new StartupError('root.sealed');
    return this.#rootKey;
  }
}

/** Every part of the place, as what `wrapKey` authenticates. */
function backupContext(root: string, place: KeyPlace): Record<string, string> {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return {
    'trialkeep:root': root,
    'trialkeep:kind': place.kind,
    'trialkeep:purpose': place.purpose,
    'trialkeep:tenant': hex(place.tenantId),
    'trialkeep:key': hex(place.keyId),
    'trialkeep:version': hex(place.versionId),
  };
}

function nameOf(place: KeyPlace, wrapped: Uint8Array): string {
  return JSON.stringify([backupContext('', place), Buffer.from(wrapped).toString('base64')]);
}

/** What `create` takes beside the kind. The shares are values of this process: a settings file, which is JSON, cannot hold them. */
function shareSetOf({ set }: RootSettings): ShareSet {
  const given = set as Partial<ShareSet> | undefined;
  const areShares = given?.shares?.every((share) => share.value instanceof Uint8Array) === true;
  if (!areShares || typeof given.commitment !== 'string') {
    throw new StartupError('root.ceremony_needed');
  }
  return given as ShareSet;
}

/** Makes and opens roots of the kind `shares`. An opened process opens it; in another it is sealed. */
export const sharesRoot: RootMaker = {
  async create(folder, settings) {
    const { file, rootKey } = await newRootFile(newId(), shareSetOf(settings));
    writeRootFile(folder, file);
    holdRootKey(file.id, rootKey);
    return new SharesRoot(file, rootKey);
  },
  async open(folder) {
    const file = readRootFile(folder);
    return new SharesRoot(file, heldRootKey(file.id));
  },
};
