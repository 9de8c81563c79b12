import { argon2Sync, createSecretKey, pbkdf2Sync, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CryptoError, unwrapKey, wrapKey } from '@trialkeep/crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { Value } from 'typebox/value';
import { StartupError } from '../platform/errors.ts';
import { writeFileDurably } from '../platform/files.ts';
import { newId } from '../platform/ids.ts';
import { readJson } from './read-json.ts';
import { readSecretFile } from './secret-file.ts';
import { rootHead } from './root.ts';
import type { RootMaker, RootOfTrust, RootOpening } from './root.ts';

const closed = { additionalProperties: false };
const salt = Type.String({ pattern: '^[A-Za-z0-9+/]{22,86}={0,2}$' });
/** How the root key follows from the passphrase. RFC 9106 section 4 gives the parameters' meaning. */
const argon2id = Type.Object(
  {
    algorithm: Type.Literal('argon2id'),
    salt,
    memoryKiB: Type.Integer({ minimum: 19_456, maximum: 1_048_576 }),
    passes: Type.Integer({ minimum: 1, maximum: 20 }),
  },
  closed,
);
/** RFC 8018 section 5.2, for modules that do not approve Argon2id (NIST SP 800-132; docs/decisions/0002). */
const pbkdf2 = Type.Object(
  {
    algorithm: Type.Literal('pbkdf2-hmac-sha-512'),
    salt,
    iterations: Type.Integer({ minimum: 210_000, maximum: 10_000_000 }),
  },
  closed,
);
const derivations = Type.Union([argon2id, pbkdf2]);
type Derivation = Static<typeof derivations>;
const parameters = Type.Object(
  { ...rootHead, kind: Type.Optional(Type.Literal('passphrase')), derivation: derivations },
  closed,
);
const settings = Type.Object(
  {
    kind: Type.Literal('passphrase'),
    derivation: Type.Optional(Type.Enum(['argon2id', 'pbkdf2-hmac-sha-512'])),
    certificate: rootHead.certificate,
  },
  closed,
);

/** RFC 9106 section 4, second recommended option: 64 MiB, three passes. */
const argon2idDefaults = { memoryKiB: 65_536, passes: 3 };
/** OWASP, Password Storage Cheat Sheet: 210,000 with HMAC-SHA-512 (600,000 with SHA-256). Ours are random and rarely derived. */
const pbkdf2Defaults = { iterations: 600_000 };

function newDerivation(algorithm: Derivation['algorithm']): Derivation {
  const salt = randomBytes(32).toString('base64');
  return algorithm === 'argon2id'
    ? { algorithm, salt, ...argon2idDefaults }
    : { algorithm, salt, ...pbkdf2Defaults };
}

/** @returns 32 secret bytes, owned by the caller, who zeroes them */
function derive(passphrase: Buffer, derivation: Derivation): Buffer {
  const nonce = Buffer.from(derivation.salt, 'base64');
  if (derivation.algorithm === 'pbkdf2-hmac-sha-512')
    return pbkdf2Sync(passphrase, nonce, derivation.iterations, 32, 'sha512');
  return argon2Sync('argon2id', {
    message: passphrase,
    nonce,
    parallelism: 1,
    tagLength: 32,
    memory: derivation.memoryKiB,
    passes: derivation.passes,
  });
}

/** The passphrase file: beside the data by default, or, of the root that is started with, wherever the operator keeps it. */
export function passphraseFile({ secretsFolder, isFirst }: RootOpening): string {
  const named = isFirst ? process.env['TRIALKEEP_PASSPHRASE_FILE'] : undefined;
  return named ?? join(secretsFolder, 'passphrase');
}

class PassphraseRoot implements RootOfTrust {
  readonly kind = 'passphrase';
  readonly id: string;
  readonly #rootKey: KeyObject;

  constructor(passphraseFile: string, { id, derivation }: Static<typeof parameters>) {
    this.id = id;
    const passphrase = readSecretFile(passphraseFile, {
      missing: 'root.passphrase_missing',
      exposed: 'root.passphrase_exposed',
    });
    const derived = derive(passphrase, derivation);
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

  async check(): Promise<void> {
    // It is this process: what has opened is there.
  }

  async close(): Promise<void> {
    // The key is released with the last reference to it.
  }
}

export const passphraseRoot: RootMaker = {
  /**
   * Makes a random passphrase of 256 bits (mode 0600), and its derivation. A passphrase that the operator has put there already
   * is used as it is.
   */
  async create(folder, given, opening) {
    if (!Value.Check(settings, given)) throw new StartupError('config.invalid', 'root of kind passphrase');
    const file = passphraseFile(opening);
    if (!existsSync(file)) writeFileDurably(file, `${randomBytes(32).toString('base64url')}\n`);
    const content: Static<typeof parameters> = {
      format: 1,
      id: newId(),
      ...(given.certificate !== undefined && { certificate: given.certificate }),
      derivation: newDerivation(given.derivation ?? 'argon2id'),
    };
    const root = new PassphraseRoot(file, content);
    writeFileDurably(join(folder, 'root.json'), `${JSON.stringify(content, null, 2)}\n`);
    return root;
  },

  /** Whether the passphrase is the right one shows when something is unwrapped. */
  async open(folder, opening) {
    return new PassphraseRoot(passphraseFile(opening), readJson(join(folder, 'root.json'), parameters));
  },
};

/** Whether a folder's passphrase root derives its key in a way that FIPS approves. */
export function isApprovedDerivation(folder: string): boolean {
  const { derivation } = readJson(join(folder, 'root.json'), parameters);
  return derivation.algorithm === 'pbkdf2-hmac-sha-512';
}
