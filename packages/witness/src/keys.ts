import { argon2, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  CryptoError,
  ed25519PublicKey,
  generateKey,
  mlDsa44PublicKey,
  randomId,
  signEd25519,
  signMlDsa44,
  unwrapKey,
  verifyEd25519,
  verifyMlDsa44,
  wrapKey,
  type KeyPlace,
} from '@trialkeep/crypto';
import {
  formatVerifierKey,
  noteTypes,
  type CosignatureType,
  type SignaturePrimitives,
} from '@trialkeep/ledger';
import { WitnessError } from './errors.ts';
import { writeFileDurably } from './files.ts';
import { asArray, asBytes, asInteger, asObject, asText, readJsonObject } from './json-file.ts';
import { sha256 } from './primitives.ts';

/** What a process is: it cosigns heads, or it keeps whole copies. */
export type Role = 'witness' | 'mirror';

/** The ledger's signature checks by this package's real primitives. */
export const signaturePrimitives: SignaturePrimitives = { ed25519: verifyEd25519, mlDsa44: verifyMlDsa44 };

/** A key that cosigns. `sign` works on the message of C2SP tlog-cosignature. */
export interface OwnKey {
  readonly type: CosignatureType;
  readonly publicKey: Uint8Array;
  readonly verifierKey: string;
  sign(message: Uint8Array): Uint8Array;
}

/** Who signs: the name on the signature lines, and a key of each kind. */
export interface Identity {
  readonly role: Role;
  readonly name: string;
  readonly keys: readonly OwnKey[];
}

/** The two kinds of key, in the order in which their signature lines stand. */
const kinds = [
  {
    type: noteTypes.ed25519Cosignature,
    algorithm: 'ED25519',
    purpose: 'sign',
    publicKeyOf: ed25519PublicKey,
    signWith: signEd25519,
  },
  {
    type: noteTypes.mlDsa44,
    algorithm: 'ML_DSA_44',
    purpose: 'sign-pq',
    publicKeyOf: mlDsa44PublicKey,
    signWith: signMlDsa44,
  },
] as const;
type Kind = (typeof kinds)[number];

/** RFC 9106 section 4, second recommended option: 64 MiB, three passes. */
const argon2idDefaults = { memoryKiB: 65_536, passes: 3 };
const argon2idBounds = { memoryKiB: [19_456, 1_048_576], passes: [1, 20] } as const;
const saltBytes = 16;
const maxKeyFileBytes = 65_536;
const maxPassphraseBytes = 4096;
/** The ML-DSA-44 message has the name behind one byte of length (C2SP tlog-cosignature). */
const maxNameBytes = 255;
const noTenant = new Uint8Array(16);

const keyFilePath = (folder: string): string => join(folder, 'keys.json');
export const defaultPassphraseFile = (folder: string): string => join(folder, 'passphrase');

/** What Argon2id takes, within `argon2idBounds`. */
export type DerivationCost = Readonly<{ memoryKiB: number; passes: number }>;
type Derivation = DerivationCost & Readonly<{ salt: Buffer }>;

/**
 * Makes the keys of a witness or a mirror in its new folder. The private keys lie in `keys.json`, wrapped under a key that follows from the
 * passphrase (Argon2id, RFC 9106). Where the passphrase file is not there, a passphrase of 256 random bits is made (mode 0600).
 *
 * @param cost of the derivation; more or less than usual
 * @throws WitnessError `witness.key_name`, `witness.passphrase_missing`, `witness.secret_exposed`
 */
export async function createKeys(
  folder: string,
  { role, name }: { readonly role: Role; readonly name: string },
  passphraseFile: string,
  cost: DerivationCost = argon2idDefaults,
): Promise<Identity> {
  checkName(name);
  if (!existsSync(passphraseFile)) {
    writeFileDurably(passphraseFile, `${randomBytes(32).toString('base64url')}\n`);
  }
  const derivation = { salt: randomBytes(saltBytes), ...cost };
  const wrappingKey = await deriveKey(derivation, passphraseFile);
  const made = kinds.map((kind) => ({ kind, id: randomId(), key: generateKey(kind.algorithm) }));
  const keys = made.map(({ kind, id, key }) => ({
    id: id.toString('hex'),
    verifierKey: formatVerifierKey(sha256, name, kind.type, kind.publicKeyOf(key)),
    wrapped: wrapKey({ wrappingKey, place: placeOf(kind, id), key }).toString('base64'),
  }));
  const content = {
    format: 1,
    role,
    name,
    derivation: { algorithm: 'argon2id', ...cost, salt: derivation.salt.toString('base64') },
    keys,
  };
  writeFileDurably(keyFilePath(folder), `${JSON.stringify(content, null, 2)}\n`);
  return { role, name, keys: made.map(({ kind, key }) => ownKey(name, kind, key)) };
}

/** What `keys.json` says without the passphrase. @throws WitnessError `witness.data_missing`, `witness.file_malformed` */
export function readIdentity(folder: string): { role: Role; name: string; verifierKeys: readonly string[] } {
  const { role, name, keys } = readKeyFile(folder);
  return { role, name, verifierKeys: keys.map(({ verifierKey }) => verifierKey) };
}

/** @throws WitnessError as `readIdentity`, `witness.passphrase_missing`, `witness.passphrase_wrong`, `witness.secret_exposed` */
export async function openKeys(folder: string, passphraseFile: string): Promise<Identity> {
  const { role, name, derivation, keys } = readKeyFile(folder);
  const wrappingKey = await deriveKey(derivation, passphraseFile);
  const opened = keys.map(({ kind, id, wrapped, verifierKey }) => {
    const key = unwrap(wrappingKey, placeOf(kind, id), wrapped);
    const own = ownKey(name, kind, key);
    if (own.verifierKey !== verifierKey) {
      throw new WitnessError('witness.file_malformed', `${keyFilePath(folder)}: verifierKey`);
    }
    return own;
  });
  return { role, name, keys: opened };
}

function readKeyFile(folder: string) {
  const path = keyFilePath(folder);
  if (!existsSync(path)) throw new WitnessError('witness.data_missing', folder);
  const file = readJsonObject(path, maxKeyFileBytes);
  asInteger(file['format'], 1, 1, `${path}: format`);
  const role = asText(file['role'], `${path}: role`);
  const name = asText(file['name'], `${path}: name`);
  if (role !== 'witness' && role !== 'mirror')
    throw new WitnessError('witness.file_malformed', `${path}: role`);
  const from = asObject(file['derivation'], `${path}: derivation`);
  const algorithm = asText(from['algorithm'], `${path}: derivation`);
  const derivation: Derivation = {
    salt: asBytes(from['salt'], `${path}: salt`),
    memoryKiB: asInteger(from['memoryKiB'], ...argon2idBounds.memoryKiB, `${path}: memoryKiB`),
    passes: asInteger(from['passes'], ...argon2idBounds.passes, `${path}: passes`),
  };
  const rows = asArray(file['keys'], `${path}: keys`);
  if (algorithm !== 'argon2id' || derivation.salt.length !== saltBytes || rows.length !== kinds.length) {
    throw new WitnessError('witness.file_malformed', path);
  }
  const keys = kinds.map((kind, i) => {
    const row = asObject(rows[i], `${path}: keys`);
    const id = Buffer.from(asText(row['id'], `${path}: id`), 'hex');
    if (id.length !== 16) throw new WitnessError('witness.file_malformed', `${path}: id`);
    const verifierKey = asText(row['verifierKey'], `${path}: verifierKey`);
    return { kind, id, verifierKey, wrapped: asBytes(row['wrapped'], `${path}: wrapped`) };
  });
  return { role, name, derivation, keys } as const;
}

function checkName(name: string): void {
  const isName = /^[^\s+\u0000-\u001f\u007f]+$/u.test(name) && name.isWellFormed();
  if (!isName || Buffer.byteLength(name) > maxNameBytes) throw new WitnessError('witness.key_name');
}

function placeOf({ purpose }: Kind, id: Uint8Array): KeyPlace {
  return { kind: 'ledger', tenantId: noTenant, keyId: id, versionId: id, purpose };
}

function unwrap(wrappingKey: KeyObject, place: KeyPlace, wrapped: Uint8Array): KeyObject {
  try {
    return unwrapKey({ wrappingKey, place, wrapped });
  } catch (error) {
    if (error instanceof CryptoError) throw new WitnessError('witness.passphrase_wrong', undefined, error);
    throw error;
  }
}

function ownKey(name: string, { type, publicKeyOf, signWith }: Kind, key: KeyObject): OwnKey {
  const publicKey = publicKeyOf(key);
  const verifierKey = formatVerifierKey(sha256, name, type, publicKey);
  return { type, publicKey, verifierKey, sign: (message) => signWith(key, message) };
}

const deriveBytes = promisify(argon2);

async function deriveKey({ salt, memoryKiB, passes }: Derivation, file: string): Promise<KeyObject> {
  const message = readPassphrase(file);
  const cost = { memory: memoryKiB, passes, parallelism: 1, tagLength: 32 };
  const derived = await deriveBytes('argon2id', { message, nonce: salt, ...cost });
  const key = createSecretKey(derived);
  derived.fill(0);
  message.fill(0);
  return key;
}

function readPassphrase(file: string): Buffer {
  if (!existsSync(file)) throw new WitnessError('witness.passphrase_missing', file);
  checkSecretFile(file);
  let text: string;
  try {
    text = readFileSync(file, 'utf8').trim();
  } catch (error) {
    throw new WitnessError('witness.data_unusable', file, error);
  }
  if (text === '' || Buffer.byteLength(text) > maxPassphraseBytes) {
    throw new WitnessError('witness.passphrase_missing', file);
  }
  return Buffer.from(text, 'utf8');
}

/** @throws WitnessError `witness.secret_exposed` where others than the owner can read or change the file */
export function checkSecretFile(file: string): void {
  if ((statSync(file).mode & 0o077) !== 0) throw new WitnessError('witness.secret_exposed', file);
}
