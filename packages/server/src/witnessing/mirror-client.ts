import {
  addEntriesMediaType,
  formatAddEntries,
  formatPackage,
  maxMirrorInfoBytes,
  maxRequestPackages,
  mirrorInfoMediaType,
  packagesBetween,
  parseMirrorInfo,
  subtreeProof,
} from '@trialkeep/ledger';
import type { MirrorInfo } from '@trialkeep/ledger';
import { readEntries, sha256 } from '../audit/index.ts';
import type { Database } from '../platform/database.ts';
import { maxAnswerBytes, tileReader } from './checkpoint.ts';
import { CosignerFault } from './faults.ts';
import { askCosigner } from './outward.ts';
import { wellFormed } from './witness-client.ts';

/** A mirror gets so long for one request with its 8,192 entries, and for committing them. */
const uploadTimeoutMs = 120_000;

/** Entries that a mirror is sent: those from `start` on, of the log as it was at `end` entries. */
export interface Upload {
  readonly id: number;
  readonly origin: string;
  readonly database: Database;
  readonly start: number;
  readonly end: number;
  /** The mirror's own, out of its last answer. */
  readonly ticket: Uint8Array;
}

/** What came of one request: cosignature lines once all is there; else where to go on. */
export type Uploaded = { readonly lines: Uint8Array } | { readonly goOn: MirrorInfo };

/**
 * Sends one request of at most 32 packages (C2SP tlog-mirror, add-entries), a package in memory at a time.
 *
 * @throws CosignerFault
 */
export async function addEntries(prefix: string, upload: Upload, signal?: AbortSignal): Promise<Uploaded> {
  let failure: unknown;
  const { status, contentType, body } = await askCosigner({
    method: 'POST',
    url: `${prefix}/add-entries`,
    headers: { 'content-type': addEntriesMediaType },
    body: noting(bodyOf(upload), (error) => (failure = error)),
    timeoutMs: uploadTimeoutMs,
    maxBytes: Math.max(maxAnswerBytes, maxMirrorInfoBytes),
    ...(signal !== undefined && { signal }),
  }).catch((error: unknown) => {
    // What could not be read here is no fault of the mirror.
    throw failure ?? error;
  });
  if (status === 200) return { lines: body };
  if (status === 202 || status === 409) {
    if (!contentType.startsWith(mirrorInfoMediaType)) throw new CosignerFault('malformed', contentType);
    return { goOn: wellFormed(() => parseMirrorInfo(body)) };
  }
  if (status === 404) throw new CosignerFault('log-unknown');
  if (status === 422) throw new CosignerFault('inconsistent');
  throw new CosignerFault('status', String(status));
}

async function* bodyOf({ id, origin, database, start, end, ticket }: Upload): AsyncGenerator<Uint8Array> {
  yield formatAddEntries({ origin, uploadStart: start, uploadEnd: end, ticket });
  const tiles = tileReader(database, id);
  let packages = 0;
  for (const { entries, subtree } of packagesBetween(start, end)) {
    if (packages++ === maxRequestPackages) return;
    const count = entries.end - entries.start;
    const content = await database.read((snapshot) => readEntries(snapshot, id, entries.start, count));
    if (content.length !== count) throw new Error(`Entries of log ${origin} are not there.`);
    yield formatPackage(content, await subtreeProof(sha256, subtree, end, tiles));
  }
}

/** The same pieces; what ends them early is told. */
async function* noting(
  pieces: AsyncIterable<Uint8Array>,
  tell: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* pieces;
  } catch (error) {
    tell(error);
    throw error;
  }
}
