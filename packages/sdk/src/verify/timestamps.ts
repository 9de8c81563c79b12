import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  CryptoError,
  maximumResponseBytes,
  parseTimestampResponse,
  verifyTimestamp,
} from '@trialkeep/crypto';
import type { Certificate } from '@trialkeep/crypto';
import {
  LedgerError,
  consistencyProof,
  maxNoteBytes,
  parseCheckpoint,
  parseNote,
  stampedNote,
  tilePath,
  verifyConsistency,
} from '@trialkeep/ledger';
import type { Checkpoint, TileAddress } from '@trialkeep/ledger';
import { systemCode } from '../files.ts';
import { ExportFindings } from './export-finding.ts';
import { openRegularFile, timestampsFolder } from './folder.ts';
import { sha256 } from './primitives.ts';
import { timestampFindingTexts } from './timestamp-finding.ts';
import type { TimestampFinding, TimestampFindingCode } from './timestamp-finding.ts';

/** The files of the timestamp of a checkpoint of that size: what was stamped, and the answer of the authority. */
export function timestampPaths(size: number): { checkpoint: string; answer: string } {
  return {
    checkpoint: `${timestampsFolder}/${size}.checkpoint`,
    answer: `${timestampsFolder}/${size}.tsr`,
  };
}

/** What verification says about the timestamps of an export. */
export interface TimestampsResult {
  /** Timestamps that are there. */
  readonly present: number;
  /** Whether roots were given; without them nothing but what was stamped is checked. */
  readonly checked: boolean;
  /** Timestamps that verify. */
  readonly verified: number;
  /** The one of these that covers most. */
  readonly newest?: {
    /** Entries that it covers: they existed at that time. */
    readonly size: number;
    /** Milliseconds since 1970. */
    readonly time: number;
    readonly accuracyMs?: number;
    /** The name in the certificate. */
    readonly authority: string;
  };
  /** Whether something about them is false. */
  readonly failed: boolean;
  /** At most 1,000. */
  readonly findings: readonly TimestampFinding[];
  readonly findingsOmitted: number;
}

/** More files than this are not looked at: ten years of one timestamp an hour. */
const maxTimestamps = 100_000;
/** Hashes in a full tile (C2SP tlog-tiles), and bytes of each. */
const tileWidth = 256;
const hashBytes = 32;
const namePattern = /^([1-9][0-9]{0,15})\.(checkpoint|tsr)$/;
/** The log that the timestamps are held to: what its signed checkpoint states, once it was verified. */
export interface StampedLog {
  readonly origin: string | undefined;
  readonly size: number | undefined;
  readonly root: Uint8Array | undefined;
}

/**
 * Holds the timestamps of an export to the log: each is of a checkpoint that the log continues, which the tiles prove against the signed
 * root whatever else became of them, by an authority that leads to the given roots.
 *
 * @param folder of an export; one without timestamps is no finding
 * @param roots certificates of the authorities, from a trusted place
 */
export async function checkTimestamps(
  folder: string,
  log: StampedLog,
  roots?: readonly Certificate[],
): Promise<TimestampsResult> {
  const findings = new ExportFindings(timestampFindingTexts, 'timestamps');
  const sizes = await stampedSizes(folder, findings);
  let verified = 0;
  let newest: TimestampsResult['newest'];
  for (const size of sizes) {
    try {
      const found = await checkTimestamp(folder, size, log, roots);
      if (found === undefined) continue;
      verified += 1;
      newest = found;
    } catch (error) {
      findings.add(findingOf(error), { index: size - 1 });
    }
  }
  const { failed, list, omitted: findingsOmitted } = findings;
  const counts = { present: sizes.length, checked: roots !== undefined, verified };
  return { ...counts, ...(newest && { newest }), failed, findings: list, findingsOmitted };
}

/** The sizes that files are named after, ascending. */
async function stampedSizes(
  folder: string,
  findings: ExportFindings<TimestampFindingCode>,
): Promise<number[]> {
  const names = await readdir(join(folder, timestampsFolder)).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  });
  const sizes = new Set<number>();
  for (const name of names.slice(0, 2 * maxTimestamps)) {
    const size = Number(namePattern.exec(name)?.[1]);
    if (Number.isSafeInteger(size)) sizes.add(size);
    else findings.add('timestamp.malformed');
  }
  if (names.length > 2 * maxTimestamps) findings.add('timestamp.malformed');
  return [...sizes].sort((a, b) => a - b);
}

/** The timestamp of that size, where it verifies; undefined where there are no roots to believe it by. */
async function checkTimestamp(
  folder: string,
  size: number,
  log: StampedLog,
  roots: readonly Certificate[] | undefined,
): Promise<TimestampsResult['newest']> {
  const paths = timestampPaths(size);
  const note = await readWhole(join(folder, paths.checkpoint), maxNoteBytes);
  const answer = await readWhole(join(folder, paths.answer), maximumResponseBytes);
  if (note === undefined || answer === undefined) throw new Wrong('timestamp.malformed');
  const checkpoint = stampedCheckpoint(note);
  if (checkpoint.size !== size || !(await isContinued(folder, checkpoint, log))) {
    throw new Wrong('timestamp.foreign');
  }
  const token = parseTimestampResponse(answer);
  if (roots === undefined) return undefined;
  const { time, accuracyMs, authority } = await verifyTimestamp(token, { data: note, roots });
  return { size, time, ...(accuracyMs !== undefined && { accuracyMs }), authority };
}

/**
 * Whether the log begins with the entries under the checkpoint. The tiles are read once more for it, and need not be the ones that were
 * verified: what they give is a consistency proof, which is checked against the signed root.
 */
async function isContinued(
  folder: string,
  from: Checkpoint,
  { origin, size, root }: StampedLog,
): Promise<boolean> {
  if (from.origin !== origin || size === undefined || root === undefined) return false;
  try {
    const proof = await consistencyProof(sha256, from.size, size, (address) => readTile(folder, address));
    verifyConsistency(sha256, { from: from.size, to: size, fromRoot: from.root, toRoot: root, proof });
    return true;
  } catch (error) {
    if (error instanceof LedgerError) return false;
    throw error;
  }
}

/** A tile of the tree, or the full one that it became. */
async function readTile(folder: string, address: TileAddress): Promise<Uint8Array> {
  for (const width of [address.width, tileWidth]) {
    const hashes = await readWhole(join(folder, tilePath({ ...address, width })), width * hashBytes);
    if (hashes?.length === width * hashBytes) return hashes;
  }
  throw new LedgerError('ledger.proof_invalid', 'a tile is missing');
}

/** What kind of finding is behind a failure. */
class Wrong extends Error {
  readonly finding: TimestampFindingCode;

  constructor(finding: TimestampFindingCode) {
    super(finding);
    this.finding = finding;
  }
}

/** What was stamped, in the one form that is stamped: text and lines of the log. Its root is proven by the log, not by them. */
function stampedCheckpoint(note: Uint8Array): Checkpoint {
  try {
    if (Buffer.compare(stampedNote(note), note) !== 0) throw new Wrong('timestamp.malformed');
    return parseCheckpoint(parseNote(note).text);
  } catch (error) {
    throw error instanceof LedgerError ? new Wrong('timestamp.malformed') : error;
  }
}

function findingOf(error: unknown): TimestampFindingCode {
  if (error instanceof Wrong) return error.finding;
  if (!(error instanceof CryptoError)) throw error;
  if (error.code === 'crypto.timestamp_untrusted') return 'timestamp.untrusted';
  return error.code === 'crypto.timestamp_certificate' ? 'timestamp.certificate' : 'timestamp.invalid';
}

/** A regular file of at most so many bytes; undefined for anything else. */
async function readWhole(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  const file = await openRegularFile(path);
  if (file === undefined) return undefined;
  try {
    const { size } = await file.stat();
    if (size > maxBytes) return undefined;
    const bytes = await file.readFile();
    return bytes.length > maxBytes ? undefined : bytes;
  } finally {
    await file.close();
  }
}
