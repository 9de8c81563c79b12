import type { KeyObject } from 'node:crypto';
import { CryptoError, decodeKeyStructure, encodeKeyStructure } from '@trialkeep/crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import { StartupError } from '../../platform/errors.ts';
import { idBytes } from '../../platform/ids.ts';
import type { CryptographicModule, RootOfTrust } from '../root.ts';
import type { ModuleProcess } from './module-process.ts';
import type { Mechanism, Pkcs11Root as Described } from './settings.ts';

const version = 1;
const suites: Readonly<Record<Mechanism, number>> = { 'aes-gcm': 1, 'aes-kwp': 2 };
const headBytes = 2;
const structureBytes = 83;
/** Bytes of a wrapped key: docs/formats/root-wrap.md. */
const wrappedBytes: Readonly<Record<Mechanism, number>> = {
  'aes-gcm': headBytes + 12 + structureBytes + 16,
  'aes-kwp': headBytes + 96,
};
const label = Buffer.from('trialkeep/root/v1\0');

/** A root of trust whose key was made in a token and never leaves it. */
export class Pkcs11Root implements RootOfTrust {
  readonly kind = 'pkcs11';
  readonly id: string;
  readonly module: CryptographicModule;
  readonly #process: ModuleProcess;
  readonly #mechanism: Mechanism;
  readonly #head: Buffer;
  readonly #aad: Buffer;

  constructor(described: Described, module: CryptographicModule, process: ModuleProcess) {
    this.id = described.id;
    this.module = module;
    this.#process = process;
    this.#mechanism = described.mechanism;
    this.#head = Buffer.of(version, suites[described.mechanism]);
    this.#aad = Buffer.concat([label, this.#head, idBytes(described.id)]);
  }

  async wrap(place: KeyPlace, key: KeyObject): Promise<Uint8Array> {
    const input = encodeKeyStructure(place, key);
    try {
      const question = { ask: 'wrap', mechanism: this.#mechanism, input, aad: this.#aad } as const;
      const wrapped = Buffer.concat([this.#head, await this.#process.ask(question)]);
      if (wrapped.length !== wrappedBytes[this.#mechanism])
        throw new StartupError('root.failed', `What it wrapped has ${wrapped.length} bytes.`);
      return wrapped;
    } finally {
      input.fill(0);
    }
  }

  async unwrap(place: KeyPlace, wrapped: Uint8Array): Promise<KeyObject> {
    const bytes = Buffer.from(wrapped);
    if (bytes.length !== wrappedBytes[this.#mechanism] || !bytes.subarray(0, headBytes).equals(this.#head))
      throw new StartupError('root.wrong');
    const input = bytes.subarray(headBytes);
    const opened = Buffer.from(
      await this.#process.ask({ ask: 'unwrap', mechanism: this.#mechanism, input, aad: this.#aad }),
    );
    try {
      // Some tokens leave the padding of AES-KWP in place.
      if (opened.subarray(structureBytes).some((byte) => byte !== 0)) throw new StartupError('root.wrong');
      return decodeKeyStructure(place, opened.subarray(0, structureBytes));
    } catch (error) {
      if (error instanceof CryptoError) throw new StartupError('root.wrong', undefined, error);
      throw error;
    } finally {
      opened.fill(0);
    }
  }

  async check(): Promise<void> {
    await this.#process.ask({ ask: 'check', mechanism: this.#mechanism });
  }

  async close(): Promise<void> {
    await this.#process.close();
  }
}
