import {
  consistencyProof,
  parseCheckpoint,
  parseNote,
  cosignatureTime,
  LedgerError,
} from '@trialkeep/ledger';
import type { Checkpoint, TileReader } from '@trialkeep/ledger';
import { readTile, sha256 } from '../audit/index.ts';
import type { Database } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import { CosignerFault } from './faults.ts';
import type { Cosigner } from './policy.ts';

/** A checkpoint of one of our logs, as it was signed. */
export interface SignedCheckpoint extends Checkpoint {
  readonly note: Uint8Array;
  /** What is signed. */
  readonly text: string;
}

/** A cosignature that has been verified. */
export interface Cosignature {
  readonly cosigner: Cosigner;
  /** With its newline. */
  readonly line: string;
  /** Seconds since 1970, by the cosigner's clock. */
  readonly time: number;
}

/** Longest signature line, bytes: a name, and an ML-DSA-44 signature in base64. */
const maxLineBytes = 4096;
/** Lines that are looked at: an answer holds one for each key of a witness. */
const maxLines = 64;
export const maxAnswerBytes = maxLineBytes * maxLines;

/** One of our own checkpoints, whose signatures are not looked at again. */
export function signedCheckpoint(note: Uint8Array): SignedCheckpoint {
  const { text } = parseNote(note);
  return { ...parseCheckpoint(text), note, text };
}

/** Reads the stored tiles of a log, cut to the width that is asked for. */
export function tileReader(database: Database, log: number): TileReader {
  return async ({ level, index, width }) => {
    const hashes = await database.read((snapshot) => readTile(snapshot, log, level, index));
    if (hashes === undefined || hashes.length < width * 32) {
      throw new StartupError('database.altered', `Tile ${level}/${index} of log ${log} is missing.`);
    }
    return hashes.subarray(0, width * 32);
  };
}

/** That the log of `to` entries begins with that of `from`; an empty one is a prefix of every log, and needs no proof. */
export async function proofBetween(
  database: Database,
  log: number,
  from: number,
  to: number,
): Promise<Uint8Array[]> {
  return from === 0 ? [] : consistencyProof(sha256, from, to, tileReader(database, log));
}

/**
 * The cosignatures of a checkpoint in an answer (C2SP tlog-witness, add-checkpoint): of each of these cosigners its line, or what
 * is wrong with it. Lines of other keys are ignored.
 */
export async function readCosignatures(
  body: Uint8Array,
  text: string,
  cosigners: readonly Cosigner[],
): Promise<Map<string, Cosignature | CosignerFault>> {
  const lines = linesOf(body, text);
  const found = new Map<string, Cosignature | CosignerFault>();
  for (const cosigner of cosigners) found.set(cosigner.id, await cosignatureBy(cosigner, lines, text));
  return found;
}

interface Line {
  readonly line: string;
  readonly name: string;
  readonly keyId: number;
  readonly signature: Uint8Array;
}

/** @throws CosignerFault `malformed` */
function linesOf(body: Uint8Array, text: string): Line[] {
  try {
    const { signatures } = parseNote(Buffer.concat([Buffer.from(`${text}\n`, 'utf8'), body]));
    const lines = Buffer.from(body).toString('utf8').split('\n');
    return signatures.map((signature, i) => ({ ...signature, line: `${lines[i]}\n` }));
  } catch (error) {
    if (error instanceof LedgerError) throw new CosignerFault('malformed', error.message, error);
    throw error;
  }
}

async function cosignatureBy(
  cosigner: Cosigner,
  lines: readonly Line[],
  text: string,
): Promise<Cosignature | CosignerFault> {
  const { name, keyId, verify } = cosigner.verifier;
  const own = lines.filter((line) => line.name === name && line.keyId === keyId);
  const bytes = Buffer.from(text, 'utf8');
  for (const { signature } of own) {
    if (!(await verify(bytes, signature))) return new CosignerFault('wrong-cosignature');
  }
  const [first] = own;
  if (first === undefined) return new CosignerFault('no-cosignature');
  const time = cosignatureTime(first.signature);
  if (time === 0 || !Number.isSafeInteger(time * 1000)) return new CosignerFault('no-time');
  return { cosigner, line: first.line, time };
}

/** The checkpoint with further signature lines. */
export function withLines(note: Uint8Array, lines: readonly string[]): Uint8Array {
  return Buffer.concat([note, Buffer.from(lines.join(''), 'utf8')]);
}
