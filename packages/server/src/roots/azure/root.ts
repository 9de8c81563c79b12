import { createCipheriv, createDecipheriv, createSecretKey, randomBytes, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CryptoError, decodeKeyStructure, encodeKeyStructure } from '@trialkeep/crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import { StartupError } from '../../platform/errors.ts';
import { encodeRootContext, rootContext } from '../cloud/context.ts';
import type { CryptographicModule, RootOfTrust } from '../root.ts';
import { maxModulusBytes } from './key.ts';
import type { VaultKey, VaultKeyFacts } from './key.ts';

const version = 1;
const service = 2;
const headBytes = 20;
const contentKeyBytes = 32;
const authTagLength = 16;
const maxStructureBytes = 4096;
const zeroNonce = Buffer.alloc(12);
const label = Buffer.from('trialkeep/root/azure/v1\0');

/** A root of trust whose key never leaves a vault of Azure. */
export class AzureRoot implements RootOfTrust {
  readonly kind = 'azure-key-vault';
  readonly id: string;
  readonly module: CryptographicModule;
  readonly #key: VaultKey;
  /** The version that wraps: the newest when it was last looked at. */
  #current: string;

  constructor(id: string, key: VaultKey, { keyType, id: keyId, version: current }: VaultKeyFacts) {
    this.id = id;
    this.#key = key;
    this.#current = current;
    const model = `Azure Key Vault (${keyType})`;
    this.module = { manufacturer: 'Microsoft Azure', model, version: current, key: keyId };
  }

  async wrap(place: KeyPlace, key: KeyObject): Promise<Uint8Array> {
    const contentKey = randomBytes(contentKeyBytes);
    const structure = encodeKeyStructure(place, key);
    try {
      const head = await this.#wrapContentKey(contentKey);
      const cipher = createCipheriv('aes-256-gcm', createSecretKey(contentKey), zeroNonce, { authTagLength });
      cipher.setAAD(this.#authenticated(head, place));
      const ciphertext = Buffer.concat([cipher.update(structure), cipher.final()]);
      return Buffer.concat([head, ciphertext, cipher.getAuthTag()]);
    } finally {
      contentKey.fill(0);
      structure.fill(0);
    }
  }

  async unwrap(place: KeyPlace, wrapped: Uint8Array): Promise<KeyObject> {
    const { head, vaultVersion, wrappedContentKey, ciphertext, tag } = parse(wrapped);
    const contentKey = await this.#openContentKey(vaultVersion, wrappedContentKey);
    let structure: Buffer | undefined;
    try {
      if (contentKey.length !== contentKeyBytes) throw new StartupError('root.wrong');
      const cipher = createDecipheriv('aes-256-gcm', createSecretKey(contentKey), zeroNonce, {
        authTagLength,
      });
      cipher.setAAD(this.#authenticated(head, place)).setAuthTag(tag);
      structure = cipher.update(ciphertext);
      finish(() => cipher.final());
      return decodeKeyStructure(place, structure);
    } catch (error) {
      if (error instanceof CryptoError) throw new StartupError('root.wrong', undefined, error);
      throw error;
    } finally {
      contentKey.fill(0);
      structure?.fill(0);
    }
  }

  /** Looks at the newest version, then lets it wrap and unwrap: that it may be read does not say that it may be used. */
  async check(): Promise<void> {
    this.#current = (await this.#key.describe()).version;
    const probe = randomBytes(contentKeyBytes);
    await this.#wrapContentKey(probe);
  }

  /** Nothing of it stays open: the library's connections close by themselves. */
  async close(): Promise<void> {}

  /** The blob up to the ciphertext. What was wrapped is unwrapped once, so that a faulty service cannot lose a key. */
  async #wrapContentKey(contentKey: Uint8Array): Promise<Buffer> {
    const wrapped = await this.#key.wrap(this.#current, contentKey);
    const opened = await this.#key.unwrap(this.#current, wrapped);
    const isSame = opened.length === contentKey.length && timingSafeEqual(opened, contentKey);
    opened.fill(0);
    if (!isSame) throw new StartupError('root.failed', 'The vault does not open what it has just wrapped.');
    const length = Buffer.alloc(2);
    length.writeUInt16BE(wrapped.length);
    return Buffer.concat([Buffer.of(version, service), Buffer.from(this.#current, 'hex'), length, wrapped]);
  }

  /** A blob names a version, which the vault may not have: whether the key is gone, or the blob altered, shows when ours is asked. */
  async #openContentKey(vaultVersion: string, wrapped: Uint8Array): Promise<Uint8Array> {
    try {
      return await this.#key.unwrap(vaultVersion, wrapped);
    } catch (error) {
      if (!(error instanceof StartupError) || error.code !== 'root.key_gone') throw error;
      await this.check();
      if (await this.#key.hasVersion(vaultVersion)) throw error;
      throw new StartupError('root.wrong', error.detail);
    }
  }

  #authenticated(head: Uint8Array, place: KeyPlace): Buffer {
    return Buffer.concat([label, head, encodeRootContext(rootContext(this.id, place))]);
  }
}

function finish(final: () => Uint8Array): void {
  try {
    final();
  } catch {
    throw new StartupError('root.wrong');
  }
}

/** @throws StartupError `root.wrong` unless the lengths are those of the format */
function parse(wrapped: Uint8Array) {
  const bytes = Buffer.from(wrapped.buffer, wrapped.byteOffset, wrapped.byteLength);
  const n = bytes.length < headBytes ? 0 : bytes.readUInt16BE(headBytes - 2);
  const rest = bytes.length - headBytes - n - authTagLength;
  const isWhole = n > 0 && n <= maxModulusBytes && rest > 0 && rest <= maxStructureBytes;
  if (!isWhole || bytes[0] !== version || bytes[1] !== service) throw new StartupError('root.wrong');
  return {
    head: bytes.subarray(0, headBytes + n),
    vaultVersion: bytes.subarray(2, headBytes - 2).toString('hex'),
    wrappedContentKey: bytes.subarray(headBytes, headBytes + n),
    ciphertext: bytes.subarray(headBytes + n, -authTagLength),
    tag: bytes.subarray(-authTagLength),
  };
}
