import { argon2Sync, createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CryptoError, generateKey, unwrapKey, wrapKey } from '@trialkeep/crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import { Type } from 'typebox';
import type { Static, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { StartupError } from '../platform/errors.ts';
import { writeFileDurably } from '../platform/files.ts';
import { idBytes, newId, noTenant } from '../platform/ids.ts';
import type { EpochKey, RootOfTrust } from './root.ts';

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
/** epoch.json: the shred store's present epoch key, wrapped under the root key. */
const epochFile = Type.Object(
  {
    format: Type.Literal(1),
    epoch: Type.Integer({ minimum: 1 }),
    id: parameters.properties.id,
    wrapped: base64,
  },
  closed,
);

/** RFC 9106 section 4, second recommended option: 64 MiB, three passes. */
const argon2idDefaults = { memoryKiB: 65_536, passes: 3 };

function readJson<S extends TSchema>(file: string, schema: S): Static<S> {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new StartupError('data.unreadable', file, error);
  }
  if (!Value.Check(schema, value)) throw new StartupError('config.invalid', file);
  return value;
}

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

function rootPlace(id: string): KeyPlace {
  return {
    kind: 'instance',
    tenantId: noTenant,
    keyId: idBytes(id),
    versionId: idBytes(id),
    purpose: 'wrap',
  };
}

class PassphraseRoot implements RootOfTrust {
  readonly kind = 'passphrase';
  readonly id: string;
  readonly #rootKey: KeyObject;
  readonly #folder: string;
  #epochKey: EpochKey | undefined;

  constructor(folder: string, passphraseFile: string, { id, derivation }: Static<typeof parameters>) {
    this.id = id;
    this.#folder = folder;
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

  async epochKey(): Promise<EpochKey> {
    if (this.#epochKey !== undefined) return this.#epochKey;
    const { epoch, id, wrapped } = readJson(join(this.#folder, 'epoch.json'), epochFile);
    const key = await this.unwrap(epochPlace(id), Buffer.from(wrapped, 'base64'));
    const ids = { keyVersionId: idBytes(id), tenantId: noTenant, keyId: idBytes(id) };
    this.#epochKey = { number: epoch, key: { key, ...ids } };
    return this.#epochKey;
  }

  /** Makes the first epoch key of a new installation. */
  async createEpochKey(): Promise<void> {
    const id = newId();
    const wrapped = await this.wrap(epochPlace(id), generateKey('AES_256'));
    const content = { format: 1, epoch: 1, id, wrapped: Buffer.from(wrapped).toString('base64') };
    writeFileDurably(join(this.#folder, 'epoch.json'), `${JSON.stringify(content, null, 2)}\n`);
  }
}

function epochPlace(id: string): KeyPlace {
  return { ...rootPlace(id), kind: 'epoch' };
}

/**
 * Makes a root of trust in a new folder: a random passphrase of 256 bits (mode 0600), its derivation and the first epoch key.
 * A passphrase that the operator has put there already is used as it is.
 */
export async function createPassphraseRoot(folder: string): Promise<RootOfTrust> {
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
  const root = new PassphraseRoot(folder, file, content);
  await root.createEpochKey();
  return root;
}

/**
 * Opens the root of trust that lies in a folder, with the passphrase of that folder unless another file is named. The epoch key
 * shows that the passphrase is the right one before anything is wrapped.
 */
export async function openPassphraseRoot(
  folder: string,
  passphrase = passphraseFile(folder),
): Promise<RootOfTrust> {
  const root = new PassphraseRoot(folder, passphrase, readJson(join(folder, 'root.json'), parameters));
  await root.epochKey();
  return root;
}
