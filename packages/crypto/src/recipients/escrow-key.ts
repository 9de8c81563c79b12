import { createHash, createSecretKey, randomBytes, type KeyObject } from 'node:crypto';
import { CryptoError } from '../errors.ts';
import {
  deriveFromPassword,
  normalizePassword,
  passwordLength,
  passwordSaltBytes,
  passwordScheme,
} from '../password.ts';
import { decrypt, encrypt, hkdfExpand, zeroNonce } from '../primitives.ts';
import { aes256Gcm, escrowProfiles, generateKey, type EscrowProfile, type HpkeSuite } from '../registry.ts';
import { equalSecrets } from '../secrets.ts';
import { ed25519PrivateKey, ed25519PublicKey, ed25519Seed } from '../signature.ts';
import {
  commitmentBytes,
  escrowId,
  formatKeyFile,
  formatRecipientFile,
  headOfKeyFile,
  isEscrowTime,
  parseKeyFile,
  parseRecipientFile,
  requireEscrowName,
  signEscrowPart,
  type EscrowKeyFile,
  type EscrowKeyHead,
  type EscrowPart,
} from './escrow-file.ts';
import {
  generateHpkeKey,
  hpkeIdentity,
  hpkePrivateKeyBytes,
  hpkeRecipient,
  type HpkeIdentity,
  type HpkeRecipient,
} from './hpke.ts';

/** A key pair that is made and kept offline (docs/formats/escrow-key.md). */

/** What the public file tells. */
export type EscrowRecipient = Readonly<{
  recipient: HpkeRecipient;
  /** 64 hexadecimal digits; to be compared with the owner's, by another way than the file came */
  id: string;
  name: string;
  /** ISO 8601, UTC, milliseconds */
  createdAt: string;
  /** `mlkem768-p256` is the one for the regulated profile */
  suite: HpkeSuite;
  /** Ed25519, 32 bytes: verifies the list of what was opened */
  verificationKey: Uint8Array;
}>;

/** What private file and passphrase give. */
export type EscrowKey = Readonly<{
  identity: HpkeIdentity;
  /** Ed25519 private key: signs the list of what was opened */
  signer: KeyObject;
  publicPart: EscrowRecipient;
  /** as it was made */
  publicFile: string;
}>;

/** The fewest code points of a passphrase: NIST SP 800-63B-4 section 3.1.1.2 for a password that stands alone. */
export const minimumPassphraseCharacters = 15;

const label = Buffer.from('trialkeep/escrow-key/v1\0');

/**
 * Makes a key pair. Takes seconds, and 256 MiB under the profile `evaluation`: the passphrase is stretched off the
 * main thread.
 *
 * @param o.name 1 to 100 printable characters in NFC, without control or format characters; public
 * @param o.passphrase at least 15 characters; normalised as passwords are
 * @param o.profile `evaluation` by default; `regulated` for algorithms that FIPS approves
 * @param o.timeMs when: milliseconds since the Unix epoch
 * @param o.cost less or more than the profile's, within the bounds of the registry
 * @returns both files as text, the private one with all that the public one says; and the id
 * @throws CryptoError `crypto.passphrase_too_short`, `crypto.password_invalid`, `crypto.argument_invalid`,
 *   `crypto.algorithm_unknown`
 */
export async function createEscrowKey(o: {
  readonly name: string;
  readonly passphrase: string;
  readonly profile?: EscrowProfile;
  readonly timeMs: number;
  readonly cost?: Readonly<Record<string, number>>;
}): Promise<{ publicFile: string; privateFile: string; id: string }> {
  const { profile = 'evaluation', passphrase } = o;
  if (!Object.hasOwn(escrowProfiles, profile)) throw new CryptoError('crypto.algorithm_unknown', 'profile');
  requireEscrowName(o.name);
  if (passwordLength(passphrase) < minimumPassphraseCharacters) {
    throw new CryptoError('crypto.passphrase_too_short');
  }
  const { suite, algorithm, cost } = escrowProfiles[profile];
  const scheme = passwordScheme({ algorithm, cost: { ...cost, ...o.cost } });
  const createdAt = isoTime(o.timeMs);

  const { privateKey, publicKey } = await generateHpkeKey(suite);
  const signer = generateKey('ED25519');
  const part: EscrowPart = {
    suite,
    name: o.name,
    createdAt,
    encryptionKey: publicKey,
    verificationKey: ed25519PublicKey(signer),
  };
  const head = { recipient: signEscrowPart(part, signer), scheme, salt: randomBytes(passwordSaltBytes) };
  const seed = ed25519Seed(signer);
  const secrets = Buffer.concat([privateKey, seed]);
  privateKey.fill(0);
  seed.fill(0);
  return {
    publicFile: formatRecipientFile(head.recipient),
    privateFile: formatKeyFile(await sealSecrets(head, passphrase, secrets)),
    id: escrowId(part),
  };
}

/**
 * Opens a private file. Takes as long as making it did. Attacker-controlled: nothing in the file is trusted before the
 * passphrase has authenticated it, and its cost is within the bounds of the registry.
 *
 * @throws CryptoError `crypto.escrow_key_malformed`, `crypto.passphrase_wrong` for another passphrase or an altered
 *   file, `crypto.password_invalid`, `crypto.version_unknown`, `crypto.algorithm_unknown`,
 *   `crypto.public_key_invalid`, `crypto.key_unsuitable` where the keys are no pairs
 */
export async function openEscrowKey(privateFile: string, passphrase: string): Promise<EscrowKey> {
  const file = parseKeyFile(privateFile);
  const secrets = await openSecrets(file, passphrase);
  try {
    const signer = ed25519PrivateKey(secrets.subarray(hpkePrivateKeyBytes));
    const { suite, encryptionKey, verificationKey } = file.recipient;
    if (!ed25519PublicKey(signer).equals(verificationKey)) {
      throw new CryptoError('crypto.key_unsuitable', 'the signing key is not that of the verification key');
    }
    const privateKey = secrets.subarray(0, hpkePrivateKeyBytes);
    return Object.freeze({
      identity: await hpkeIdentity({ suite, publicKey: encryptionKey, verificationKey, privateKey }),
      signer,
      publicPart: await escrowRecipient(file.recipient),
      publicFile: formatRecipientFile(file.recipient),
    });
  } finally {
    secrets.fill(0);
  }
}

/**
 * Reads a public file. That it is whole says nothing about whose it is: compare the id.
 *
 * @throws CryptoError `crypto.escrow_key_malformed`, `crypto.public_key_invalid`, `crypto.version_unknown`,
 *   `crypto.algorithm_unknown`
 */
export async function parseEscrowRecipient(publicFile: string): Promise<EscrowRecipient> {
  return escrowRecipient(parseRecipientFile(publicFile));
}

async function escrowRecipient(part: EscrowPart): Promise<EscrowRecipient> {
  const { suite, name, createdAt, encryptionKey, verificationKey } = part;
  const recipient = await hpkeRecipient({ suite, publicKey: encryptionKey, verificationKey });
  return Object.freeze({ recipient, id: escrowId(part), name, createdAt, suite, verificationKey });
}

/** Seals the private keys, one after the other, and zeroes them. */
async function sealSecrets(head: EscrowKeyHead, passphrase: string, secrets: Buffer): Promise<EscrowKeyFile> {
  try {
    const { key, commitment } = await deriveKey(head, passphrase);
    const { ciphertext, tag } = encrypt(key, zeroNonce, headOfKeyFile(head), secrets);
    return { ...head, commitment, sealed: Buffer.concat([ciphertext, tag]) };
  } finally {
    secrets.fill(0);
  }
}

/** The private keys, one after the other; the caller zeroes them. */
async function openSecrets(file: EscrowKeyFile, passphrase: string): Promise<Buffer> {
  const { key, commitment } = await deriveKey(file, passphrase);
  if (!equalSecrets(commitment, file.commitment)) throw new CryptoError('crypto.passphrase_wrong');
  const tagStart = file.sealed.length - aes256Gcm.tagBytes;
  const secrets = decrypt(
    key,
    zeroNonce,
    headOfKeyFile(file),
    file.sealed.subarray(0, tagStart),
    file.sealed.subarray(tagStart),
  );
  if (secrets === undefined) throw new CryptoError('crypto.passphrase_wrong');
  return secrets;
}

async function deriveKey(
  file: EscrowKeyHead,
  passphrase: string,
): Promise<{ key: KeyObject; commitment: Buffer }> {
  const root = await deriveFromPassword(file.scheme, normalizePassword(passphrase), file.salt);
  const head = createHash('sha256').update(headOfKeyFile(file)).digest();
  const okm = hkdfExpand(createSecretKey(root), Buffer.concat([label, head]));
  root.fill(0);
  const key = createSecretKey(okm.subarray(0, aes256Gcm.keyBytes));
  const commitment = Buffer.from(okm.subarray(aes256Gcm.keyBytes, aes256Gcm.keyBytes + commitmentBytes));
  okm.fill(0);
  return { key, commitment };
}

function isoTime(timeMs: number): string {
  const time = new Date(Number.isInteger(timeMs) ? timeMs : NaN);
  const text = Number.isNaN(time.getTime()) ? '' : time.toISOString();
  if (!isEscrowTime(text)) throw new CryptoError('crypto.argument_invalid', 'timeMs');
  return text;
}
