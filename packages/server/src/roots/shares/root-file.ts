import { createHash, createSecretKey, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import {
  CryptoError,
  combineShares,
  generateHpkeKey,
  openCompact,
  sealCompact,
  shareFingerprint,
} from '@trialkeep/crypto';
import type { HpkeSuite, Share } from '@trialkeep/crypto';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { StartupError } from '../../platform/errors.ts';
import { writeFileDurably } from '../../platform/files.ts';
import { idBytes, noTenant } from '../../platform/ids.ts';
import { readJson } from '../read-json.ts';
import { rootHead } from '../root.ts';

const base64 = Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$', maxLength: 4000 });
const sha256Hex = Type.String({ pattern: '^[0-9a-f]{64}$' });
const closed = { additionalProperties: false };
/** root.json of the kind `shares` (docs/formats/share.md). No share is in it, and nothing that a share follows from. */
const rootFile = Type.Object(
  {
    ...rootHead,
    kind: Type.Literal('shares'),
    set: Type.String({ pattern: '^[0-9A-HJKMNP-TV-Z]{8}$' }),
    threshold: Type.Integer({ minimum: 2, maximum: 16 }),
    count: Type.Integer({ minimum: 2, maximum: 16 }),
    commitment: sha256Hex,
    fingerprints: Type.Array(sha256Hex, { minItems: 2, maxItems: 16 }),
    rootKey: base64,
    backup: Type.Object({ suite: Type.Enum(['mlkem768-p256']), publicKey: base64, sealed: base64 }, closed),
  },
  closed,
);
export type RootFile = Static<typeof rootFile>;

/** All shares of a new set, as its custodians have given them back, and the commitment to their secret. */
export interface ShareSet {
  readonly shares: readonly Share[];
  readonly commitment: string;
}

/** FIPS 140-3 approves both halves of it. */
const backupSuite = 'mlkem768-p256' satisfies HpkeSuite;

/** Reads root.json. @throws StartupError `data.unreadable`, `config.invalid` */
export function readRootFile(folder: string): RootFile {
  const path = join(folder, 'root.json');
  const file = readJson(path, rootFile);
  if (file.threshold > file.count || file.fingerprints.length !== file.count) {
    throw new StartupError('config.invalid', `${path}: threshold and count.`);
  }
  return file;
}

export function writeRootFile(folder: string, file: RootFile): void {
  writeFileDurably(join(folder, 'root.json'), `${JSON.stringify(file, null, 2)}\n`);
}

/** Makes a root key and its root.json for a set of shares. @throws StartupError `root.shares_refused` */
export async function newRootFile(
  id: string,
  set: ShareSet,
): Promise<{ file: RootFile; rootKey: KeyObject }> {
  const secret = randomBytes(32);
  const { privateKey, publicKey } = await generateHpkeKey(backupSuite);
  try {
    const rootKey = createSecretKey(secret);
    const encoded = Buffer.from(publicKey).toString('base64');
    const sealed = sealUnder(rootKey, id, backupKeyContext(id, encoded), privateKey);
    const backup = { suite: backupSuite, publicKey: encoded, sealed } as const;
    const common = { format: 1, id, kind: 'shares', backup } as const;
    return { file: { ...common, ...sealedFor(id, rootKey, set) }, rootKey };
  } finally {
    secret.fill(0);
    privateKey.fill(0);
  }
}

/** The same root for another set of shares: the old ones open nothing that is in the new file. */
export function resharedFile(file: RootFile, rootKey: KeyObject, set: ShareSet): RootFile {
  return { ...file, ...sealedFor(file.id, rootKey, set) };
}

/**
 * The root key out of as many shares of the file's set as it needs, or more.
 *
 * @throws StartupError `root.shares_refused` for others; `root.wrong` where shares are right and the file was altered
 */
export function rootKeyFrom(file: RootFile, shares: readonly Share[]): KeyObject {
  for (const share of shares) requireShareOf(file, share);
  const secret = combined(shares, file.commitment);
  try {
    const key = createSecretKey(secret);
    const context = rootKeyContext(file.id, file.set);
    const secretKey = openUnder(key, file.id, context, file.rootKey);
    const rootKey = createSecretKey(secretKey);
    secretKey.fill(0);
    backupPrivateKey(file, rootKey).fill(0);
    return rootKey;
  } finally {
    secret.fill(0);
  }
}

/** The private half of the key pair that backups are sealed to; 32 bytes, which the caller zeroes. */
export function backupPrivateKey({ id, backup }: RootFile, rootKey: KeyObject): Buffer {
  return openUnder(rootKey, id, backupKeyContext(id, backup.publicKey), backup.sealed);
}

/** Whether a share is one of the file's set. Each by itself: the file has the fingerprint of every share. */
export function isShareOf({ set, threshold, count, fingerprints }: RootFile, share: Share): boolean {
  return (
    share.set === set &&
    share.threshold === threshold &&
    share.count === count &&
    fingerprints[share.index - 1] === shareFingerprint(share)
  );
}

function requireShareOf(file: RootFile, share: Share): void {
  if (isShareOf(file, share)) return;
  const which =
    share.set === file.set ? `Share ${share.index} is wrong.` : `A share is of the set ${share.set}.`;
  throw new StartupError('root.shares_refused', `${which} The root is opened by the set ${file.set}.`);
}

function sealedFor(id: string, rootKey: KeyObject, { shares, commitment }: ShareSet) {
  const ordered = [...shares].sort((a, b) => a.index - b.index);
  const [first] = ordered;
  if (first === undefined || ordered.length !== first.count) {
    throw new StartupError('root.shares_refused', 'A new set needs every one of its shares.');
  }
  const { set, threshold, count } = first;
  const secret = combined(ordered, commitment);
  try {
    const sealed = rootKey.export();
    try {
      const context = rootKeyContext(id, set);
      return {
        set,
        threshold,
        count,
        commitment,
        fingerprints: ordered.map(shareFingerprint),
        rootKey: sealUnder(createSecretKey(secret), id, context, sealed),
      };
    } finally {
      sealed.fill(0);
    }
  } finally {
    secret.fill(0);
  }
}

function combined(shares: readonly Share[], commitment: string): Buffer {
  try {
    return combineShares(shares, commitment);
  } catch (error) {
    if (error instanceof CryptoError) throw new StartupError('root.shares_refused', error.message, error);
    throw error;
  }
}

/** Binds the public key too: one that was exchanged is noticed when people open the root. */
function backupKeyContext(id: string, publicKey: string): Record<string, string> {
  const digest = createHash('sha256').update(publicKey).digest('hex');
  return { 'trialkeep:root': id, 'trialkeep:backup-key': digest };
}

function rootKeyContext(id: string, set: string): Record<string, string> {
  return { 'trialkeep:root': id, 'trialkeep:share-set': set };
}

function sealUnder(
  key: KeyObject,
  id: string,
  context: Record<string, string>,
  plaintext: Uint8Array,
): string {
  return sealCompact({ ...compactKey(key, id), context, plaintext }).toString('base64');
}

function openUnder(key: KeyObject, id: string, context: Record<string, string>, sealed: string): Buffer {
  try {
    return openCompact({ ...compactKey(key, id), context, ciphertext: Buffer.from(sealed, 'base64') });
  } catch (error) {
    if (error instanceof CryptoError) throw new StartupError('root.wrong', undefined, error);
    throw error;
  }
}

function compactKey(key: KeyObject, id: string) {
  return { key, tenantId: noTenant, keyId: idBytes(id), keyVersionId: idBytes(id) };
}
