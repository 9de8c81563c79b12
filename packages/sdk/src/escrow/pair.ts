import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createEscrowKey, openEscrowKey, parseEscrowRecipient } from '@trialkeep/crypto';
import type { EscrowProfile, EscrowRecipient } from '@trialkeep/crypto';
import { SealError, sdkError } from '../errors.ts';
import { createTargetFile, systemCode } from '../files.ts';
import type { TargetFile } from '../files.ts';

export interface EscrowPairOptions {
  /** Where both files go; made (mode 0700) where it is missing. */
  readonly folder: string;
  /** Whose it is: 1 to 100 printable characters; public. */
  readonly name: string;
  /** Gives the passphrase, at least 15 characters; asked once it is known that the files can be written. */
  readonly passphrase: () => Promise<string>;
  /** `evaluation` by default; `regulated` for algorithms that FIPS approves. */
  readonly profile?: EscrowProfile;
  /** When, ms since 1970. */
  readonly timeMs: number;
  /** Less or more than what the profile makes a guess at the passphrase cost, within the bounds of docs/formats/escrow-key.md. */
  readonly cost?: Readonly<Record<string, number>>;
  /** Ends the work early, with nothing made; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface EscrowPair {
  readonly recipient: EscrowRecipient;
  /** Paths of the two files. */
  readonly publicFile: string;
  readonly privateFile: string;
}

/** Names of the two files, and of the list of what was opened that lies beside the private one. */
export const escrowFileNames = {
  public: 'escrow.public',
  private: 'escrow.private',
  openings: 'openings.jsonl',
} as const;

/** A file of an escrow pair, told by its text. */
export interface EscrowFile {
  readonly kind: 'public' | 'private';
  readonly recipient: EscrowRecipient;
}

/** The longest file of a pair, characters (docs/formats/escrow-key.md). */
const maxFileCharacters = 16_384;
const privateType = 'trialkeep-escrow-key';

/**
 * Makes an escrow pair, without any server. The private file is read back and opened with the passphrase before the public one
 * appears, so that nobody seals to a pair that does not open. Both files come into being, mode 0600, or neither; nothing is replaced. Where
 * the folder fails so that a public file may have stayed, its private one does too.
 *
 * @throws TrialkeepError `escrow.pair_exists`, `escrow.key_not_kept`; SealError `seal.target_unwritable`, `seal.no_space`; CryptoError `crypto.passphrase_too_short`, `crypto.password_invalid`, `crypto.argument_invalid` for the name
 */
export async function makeEscrowPair(options: EscrowPairOptions): Promise<EscrowPair> {
  const { folder, passphrase, signal, ...more } = options;
  const publicFile = join(folder, escrowFileNames.public);
  const privateFile = join(folder, escrowFileNames.private);
  await makeFolder(folder);
  const targets: TargetFile[] = [];
  try {
    for (const path of [publicFile, privateFile]) targets.push(await newFile(path));
    const secret = await passphrase();
    const made = await createEscrowKey({ ...more, passphrase: secret });
    signal?.throwIfAborted();
    const [publicTarget, privateTarget] = targets;
    try {
      await writeWhole(privateTarget, made.privateFile);
      await checkKept(privateFile, made, secret);
      signal?.throwIfAborted();
      await writeWhole(publicTarget, made.publicFile);
    } catch (error) {
      await withdrawInOrder([publicTarget, privateTarget]);
      throw error;
    }
    return { recipient: await parseEscrowRecipient(made.publicFile), publicFile, privateFile };
  } finally {
    for (const target of targets) await target.abandon();
  }
}

/**
 * Reads a file of a pair, as far as it opens without the passphrase. What a private file says of itself is what its public part says,
 * signed; that the keys inside are those of it only the passphrase shows.
 *
 * @throws CryptoError as `parseEscrowRecipient`
 */
export async function readEscrowFile(text: string): Promise<EscrowFile> {
  const inner = publicPartOf(text);
  const recipient = await parseEscrowRecipient(inner ?? text);
  return { kind: inner === undefined ? 'public' : 'private', recipient };
}

/** The public file within a private one; undefined where it is none. */
function publicPartOf(text: string): string | undefined {
  if (text.length > maxFileCharacters) return undefined;
  try {
    const { type, recipient } = JSON.parse(text) as { type?: unknown; recipient?: unknown };
    return type === privateType ? `${JSON.stringify(recipient)}\n` : undefined;
  } catch {
    return undefined;
  }
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new SealError('seal.target_unwritable', path, { detail: systemCode(error), cause: error });
  }
}

async function newFile(path: string): Promise<TargetFile> {
  try {
    return await createTargetFile(path);
  } catch (error) {
    const isThere = ['seal.target_exists', 'seal.target_not_a_file'].includes(systemCode(error));
    throw isThere ? sdkError('escrow.pair_exists', { detail: path, cause: error }) : error;
  }
}

async function writeWhole(target: TargetFile | undefined, text: string): Promise<void> {
  await target?.write(Buffer.from(text));
  await target?.commit();
}

/**
 * Takes files back that have their names already, each only once the one before is gone for good: somebody might seal to a public file
 * that has lost its private one. Never throws: it runs where an error is already under way.
 */
async function withdrawInOrder(targets: readonly (TargetFile | undefined)[]): Promise<void> {
  try {
    for (const target of targets) await target?.withdraw();
  } catch {
    // What could not be taken back stays, with what it needs.
  }
}

/** Opens what was written, as it will be opened some day. */
async function checkKept(
  path: string,
  made: { readonly privateFile: string; readonly publicFile: string },
  passphrase: string,
): Promise<void> {
  try {
    const text = await readFile(path, 'utf8');
    const key = await openEscrowKey(text, passphrase);
    if (text === made.privateFile && key.publicFile === made.publicFile) return;
  } catch (cause) {
    throw sdkError('escrow.key_not_kept', { cause });
  }
  throw sdkError('escrow.key_not_kept');
}
