import type { KeyObject } from 'node:crypto';
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { CryptoError, decodeKeyStructure, encodeKeyStructure } from '@trialkeep/crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import { StartupError } from '../../platform/errors.ts';
import { rootContext } from '../cloud/context.ts';
import type { CryptographicModule, RootOfTrust } from '../root.ts';
import { maxCiphertextBytes } from './key.ts';
import type { KmsKey, KmsKeyFacts } from './key.ts';

const version = 1;
const service = 1;
const headBytes = 4;

/** A root of trust whose key never leaves AWS KMS. */
export class AwsKmsRoot implements RootOfTrust {
  readonly kind = 'aws-kms';
  readonly id: string;
  readonly module: CryptographicModule;
  readonly #key: KmsKey;

  constructor(id: string, key: KmsKey, { origin, manager }: KmsKeyFacts) {
    this.id = id;
    this.#key = key;
    const model = `AWS KMS (origin ${origin}, managed by ${manager})`;
    this.module = { manufacturer: 'Amazon Web Services', model, version: 'TrentService', key: key.arn };
  }

  async wrap(place: KeyPlace, key: KeyObject): Promise<Uint8Array> {
    const context = rootContext(this.id, place);
    const structure = encodeKeyStructure(place, key);
    let opened: Uint8Array | undefined;
    try {
      const blob = await this.#key.encrypt(structure, context);
      opened = await this.#key.decrypt(blob, context);
      if (opened.length !== structure.length || !timingSafeEqual(opened, structure))
        throw new StartupError('root.failed', 'AWS KMS does not open what it has just encrypted.');
      const head = Buffer.of(version, service, 0, 0);
      head.writeUInt16BE(blob.length, 2);
      return Buffer.concat([head, blob]);
    } finally {
      structure.fill(0);
      opened?.fill(0);
    }
  }

  async unwrap(place: KeyPlace, wrapped: Uint8Array): Promise<KeyObject> {
    const head = Buffer.from(wrapped.subarray(0, headBytes));
    const length = wrapped.length - headBytes;
    if (length < 1 || length > maxCiphertextBytes) throw new StartupError('root.wrong');
    if (head[0] !== version || head[1] !== service || head.readUInt16BE(2) !== length)
      throw new StartupError('root.wrong');
    const structure = await this.#open(wrapped.subarray(headBytes), place);
    try {
      return decodeKeyStructure(place, structure);
    } catch (error) {
      if (error instanceof CryptoError) throw new StartupError('root.wrong', undefined, error);
      throw error;
    } finally {
      structure.fill(0);
    }
  }

  /**
   * A blob names a key inside, which the service may refuse or not find. Whether that is ours, or one that was put in its place, shows
   * when ours is asked.
   */
  async #open(blob: Uint8Array, place: KeyPlace): Promise<Uint8Array> {
    try {
      return await this.#key.decrypt(blob, rootContext(this.id, place));
    } catch (error) {
      const isDoubtful =
        error instanceof StartupError && ['root.refused', 'root.key_gone'].includes(error.code);
      if (!isDoubtful) throw error;
      await this.check();
      throw new StartupError('root.wrong');
    }
  }

  /** Describes the key, then lets it encrypt and decrypt: that it may be described does not say that it may be used. */
  async check(): Promise<void> {
    await this.#key.describe();
    const probe = randomBytes(32);
    const context = { 'trialkeep:kind': 'check', 'trialkeep:root': this.id };
    const opened = await this.#key.decrypt(await this.#key.encrypt(probe, context), context);
    if (opened.length !== probe.length || !timingSafeEqual(opened, probe))
      throw new StartupError('root.failed', 'AWS KMS does not open what it has just encrypted.');
  }

  async close(): Promise<void> {
    this.#key.close();
  }
}
