import { Alignment, type ProvenEntry } from './alignment.ts';
import { AuthenticTiles } from './authenticate.ts';
import { equalBytes } from './bytes.ts';
import { parseCheckpoint, type Checkpoint } from './checkpoint.ts';
import { LedgerError } from './errors.ts';
import { Findings, type Finding } from './finding.ts';
import { hashBytes, leafHashes, type Sha256 } from './merkle.ts';
import { openNote, type Verifier } from './note.ts';
import { checkpointPath, findBundle, findCheckpoint, type LogSource } from './source.ts';
import { bundlePath, bundlesOfSize, parseTilePath, rightEdgeOfSize, tileWidth, widthInTree } from './tile.ts';
import { rootOfRightEdge } from './tree.ts';

export type VerifyOptions = {
  readonly sha256: Sha256;
  /** The log's own keys, from a trusted place; a witness's signature does not stand in for the log's. */
  readonly verifiers: readonly Verifier[];
  readonly source: LogSource;
  /**
   * The log's name. Where it is not given, a key that signed must carry the log's name, as C2SP
   * tlog-checkpoint recommends.
   */
  readonly origin?: string;
  /**
   * A checkpoint of the same log (a signed note) that was kept earlier, out of reach of whoever could alter
   * the log.
   */
  readonly kept?: Uint8Array;
  /**
   * Called for each entry that is proven to stand at `index`, in order. `entry` is valid until the call, or
   * its promise, ends.
   */
  onEntry?(index: number, entry: Uint8Array): void | Promise<void>;
  onProgress?(entriesDone: number, entriesTotal: number): void;
};

export type VerifyResult = {
  /**
   * `verified`: whole, and a continuation of the kept checkpoint. `consistent`: whole, but nothing was kept
   * to show that it is the newest state and the only history. `failed`: see the findings.
   */
  readonly verdict: 'verified' | 'consistent' | 'failed';
  readonly freshness: 'kept checkpoint' | 'unproven';
  /** What the signed checkpoint says; undefined where it could not be believed. */
  readonly origin: string | undefined;
  readonly size: number | undefined;
  readonly root: Uint8Array | undefined;
  /** At most 1,000. */
  readonly findings: readonly Finding[];
  /** Further findings that are not listed. */
  readonly findingsOmitted: number;
  /** The number of entries that are proven to stand where the log committed to them. */
  readonly entriesChecked: number;
};

const maxFindings = 1000;

/**
 * Verifies a whole log from its files (C2SP tlog-tiles), whatever its entries mean. Believes the verifiers,
 * the kept checkpoint and nothing else. Streams: memory does not grow with the log. Findings are returned; it
 * throws only what `source` and the callbacks throw.
 */
export async function verifyLog(options: VerifyOptions): Promise<VerifyResult> {
  const findings = new Findings(maxFindings);
  const checkpoint = await openCheckpoint(options, findings);
  if (checkpoint === undefined) return resultOf(findings, undefined, false, 0);
  const tiles = await AuthenticTiles.under(checkpoint, options.sha256, options.source, findings);
  const entriesChecked = tiles ? await checkEntries(options, checkpoint.size, tiles, findings) : 0;
  const continues = await checkKept(options, checkpoint, tiles, findings);
  await checkPaths(options.source, checkpoint.size, findings);
  return resultOf(findings, checkpoint, continues, entriesChecked);
}

/** Reads the log's checkpoint and checks its signature and its name, before anything in it is used. */
async function openCheckpoint(options: VerifyOptions, findings: Findings): Promise<Checkpoint | undefined> {
  const note = await findCheckpoint(options.source);
  if (note === undefined) {
    findings.add('checkpoint.missing');
    return undefined;
  }
  const opened = await openSigned(note, options.verifiers);
  if (typeof opened === 'string') {
    findings.add(opened === 'signature' ? 'checkpoint.signature' : 'checkpoint.malformed');
    return undefined;
  }
  const names = options.origin === undefined ? opened.signerNames : [options.origin];
  if (!names.includes(opened.checkpoint.origin)) {
    findings.add('checkpoint.origin');
    return undefined;
  }
  return opened.checkpoint;
}

/** Whether the log is shown to continue the kept checkpoint; where it is not, a finding says why. */
async function checkKept(
  { kept: note, sha256, verifiers }: VerifyOptions,
  checkpoint: Checkpoint,
  tiles: AuthenticTiles | undefined,
  findings: Findings,
): Promise<boolean> {
  if (note === undefined) return false;
  const opened = await openSigned(note, verifiers);
  if (typeof opened === 'string') {
    findings.add('kept.unusable');
    return false;
  }
  const kept = opened.checkpoint;
  if (kept.origin !== checkpoint.origin) findings.add('kept.origin');
  else if (kept.size > checkpoint.size) findings.add('log.truncated');
  else {
    const root =
      kept.size === checkpoint.size ? checkpoint.root : tiles && (await rootAt(kept.size, tiles, sha256));
    if (root !== undefined && equalBytes(root, kept.root)) return true;
    findings.add(root === undefined ? 'log.unproven' : 'log.forked');
  }
  return false;
}

/**
 * The root over the first `size` entries, from authentic tiles: each partial tile of then is the beginning of
 * a tile of now.
 */
async function rootAt(size: number, tiles: AuthenticTiles, sha256: Sha256): Promise<Uint8Array | undefined> {
  const rightEdge: Uint8Array[] = [];
  for (const { level, index, width } of rightEdgeOfSize(size)) {
    const hashes = await tiles.hashes(level, index);
    if (hashes === undefined) return undefined;
    rightEdge[level] = hashes.subarray(0, width * hashBytes);
  }
  return rootOfRightEdge(sha256, rightEdge);
}

/** Compares every entry with its authentic leaf hash, from left to right. Returns how many are proven. */
async function checkEntries(
  { sha256, source, onEntry, onProgress }: VerifyOptions,
  size: number,
  tiles: AuthenticTiles,
  findings: Findings,
): Promise<number> {
  const alignment = new Alignment(findings);
  let proven = 0;
  async function accept(entries: Iterable<ProvenEntry>): Promise<void> {
    for (const { index, entry } of entries) {
      proven++;
      if (onEntry) await onEntry(index, entry);
    }
  }

  for (const { index: bundleIndex, width } of bundlesOfSize(size)) {
    const firstIndex = bundleIndex * tileWidth;
    const place = {
      path: bundlePath(bundleIndex, width),
      index: firstIndex,
      lastIndex: firstIndex + width - 1,
    };
    const expected = await tiles.hashes(0, bundleIndex);
    const bundle = await findBundle(source, bundleIndex, width);
    if (expected === undefined || bundle === undefined) await accept(alignment.finish('gap'));
    if (bundle === undefined) findings.add('bundle.missing', place);
    else if (!bundle.whole) findings.add('bundle.malformed', place);
    if (expected !== undefined && bundle !== undefined) {
      const found = leafHashes(sha256, bundle.entries);
      const intact = alignment.idle && equalBytes(found, expected);
      await accept(
        intact
          ? bundle.entries.map((entry, i) => ({ index: firstIndex + i, entry }))
          : alignment.push(firstIndex, expected, bundle.entries, found),
      );
    }
    onProgress?.(firstIndex + width, size);
  }
  await accept(alignment.finish('end of log'));
  return proven;
}

/**
 * Names the files that are no part of the tree. Narrower tiles and bundles of earlier sizes may remain (C2SP
 * tlog-tiles).
 */
async function checkPaths(source: LogSource, size: number, findings: Findings): Promise<void> {
  for await (const path of source.paths?.() ?? []) {
    if (path !== checkpointPath && !isInTree(path, size)) findings.add('log.extra_file', { path });
  }
}

function isInTree(path: string, size: number): boolean {
  try {
    const { kind, address } = parseTilePath(path);
    const level = kind === 'tile' ? address.level : 0;
    return address.width <= widthInTree(size, level, address.index);
  } catch (error) {
    if (error instanceof LedgerError) return false;
    throw error;
  }
}

/**
 * The checkpoint in a note that at least one of the verifiers signed, and who did; or what is wrong with it.
 */
async function openSigned(
  note: Uint8Array,
  verifiers: readonly Verifier[],
): Promise<{ checkpoint: Checkpoint; signerNames: string[] } | 'form' | 'signature'> {
  try {
    const { text, signedBy } = await openNote(note, verifiers);
    return { checkpoint: parseCheckpoint(text), signerNames: signedBy.map(({ name }) => name) };
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    return error.code === 'ledger.note_signature' || error.code === 'ledger.note_unsigned'
      ? 'signature'
      : 'form';
  }
}

function resultOf(
  findings: Findings,
  checkpoint: Checkpoint | undefined,
  continues: boolean,
  entriesChecked: number,
): VerifyResult {
  // Nothing wrong found is not enough: every entry must have been proven.
  const whole = !findings.failed && entriesChecked === checkpoint?.size;
  const verdict = continues ? 'verified' : 'consistent';
  return {
    verdict: whole ? verdict : 'failed',
    freshness: continues ? 'kept checkpoint' : 'unproven',
    origin: checkpoint?.origin,
    size: checkpoint?.size,
    root: checkpoint?.root,
    findings: findings.list(),
    findingsOmitted: findings.omitted,
    entriesChecked,
  };
}
