import { argon2Sync, createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CryptoError, unwrapKey, wrapKey } from '@trialkeep/crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { StartupError } from '../platform/errors.ts';
import { writeFileDurably } from '../platform/files.ts';
import { newId } from '../platform/ids.ts';
import { readJson } from './read-json.ts';
import type { RootOfTrust } from './root.ts';

const closed = { additionalProperties: false };
const base64 = Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$', maxLength: 2000 });
/** root.json: how the root key follows from the passphrase. RFC 9106 section 4 gives the parameters' meaning. */
const parameters = Type.Object(
  {
    format: Type.Literal(1),
    id: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
    derivation: Type.Object(
      {
        algorithm: Type.Literal('argon2id'),
        salt: base64,
        memoryKiB: Type.Integer({ minimum: 19_456, maximum: 1_048_576 }),
        passes: Type.Integer({ minimum: 1, maximum: 20 }),
      },
      closed,
    ),
  },
  closed,
);
/** RFC 9106 section 4, second recommended option: 64 MiB, three passes. */
const argon2idDefaults = { memoryKiB: 65_536, passes: 3 };

/** The passphrase file: beside the data by default, or wherever the operator keeps it. */
export function passphraseFile(folder: string): string {
  return process.env['TRIALKEEP_PASSPHRASE_FILE'] ?? join(folder, 'passphrase');
}

function readPassphrase(file: string): Buffer {
  if (!existsSync(file)) throw new StartupError('root.passphrase_missing', file);
  if ((statSync(file).mode & 0o077) !== 0) throw new StartupError('root.passphrase_exposed', file);
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new StartupError('data.unreadable', file, error);
  }
  if (text === '') throw new StartupError('root.passphrase_missing', file);
  return Buffer.from(text, 'utf8');
}

class PassphraseRoot implements RootOfTrust {
  readonly kind = 'passphrase';
  readonly id: string;
  readonly #rootKey: KeyObject;

  constructor(passphraseFile: string, { id, derivation }: Static<typeof parameters>) {
    this.id = id;
    const passphrase = readPassphrase(passphraseFile);
    const derived = argon2Sync('argon2id', {
      message: passphrase,
      nonce: Buffer.from(derivation.salt, 'base64'),
      parallelism: 1,
      tagLength: 32,
      memory: derivation.memoryKiB,
      passes: derivation.passes,
    });
    this.#rootKey = createSecretKey(derived);
    derived.fill(0);
    passphrase.fill(0);
  }

  async wrap(place: KeyPlace, key: KeyObject): Promise<Uint8Array> {
    return wrapKey({ wrappingKey: this.#rootKey, place, key });
  }

  async unwrap(place: KeyPlace, wrapped: Uint8Array): Promise<KeyObject> {
    try {
      return unwrapKey({ wrappingKey: this.#rootKey, place, wrapped });
    } catch (error) {
      if (error instanceof CryptoError) throw new StartupError('root.passphrase_wrong', undefined, error);
      throw error;
    }
  }
}

/**
 * Makes a root of trust in a new folder: a random passphrase of 256 bits (mode 0600), and its derivation.
 * A passphrase that the operator has put there already is used as it is.
 */
export function createPassphraseRoot(folder: string): RootOfTrust {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  const file = passphraseFile(folder);
  if (!existsSync(file)) writeFileDurably(file, `${randomBytes(32).toString('base64url')}\n`);
  const content: Static<typeof parameters> = {
    format: 1,
    id: newId(),
    derivation: { algorithm: 'argon2id', salt: randomBytes(16).toString('base64'), ...argon2idDefaults },
  };
  writeFileDurably(join(folder, 'root.json'), `${JSON.stringify(content, null, 2)}\n`);
  return new PassphraseRoot(file, content);
}

/** Opens the root of trust that lies in a folder. Whether the passphrase is the right one shows when something is unwrapped. */
export function openPassphraseRoot(folder: string, passphrase: string): RootOfTrust {
  return new PassphraseRoot(passphrase, readJson(join(folder, 'root.json'), parameters));
}
