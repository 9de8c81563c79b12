import { Alignment, type ProvenEntry } from './alignment.ts';
import { AuthenticTiles } from './authenticate.ts';
import { equalBytes } from './bytes.ts';
import { parseCheckpoint, type Checkpoint } from './checkpoint.ts';
import { LedgerError } from './errors.ts';
import { Findings, type Finding } from './finding.ts';
import { hashBytes, leafHashes, type Sha256 } from './merkle.ts';
import { openNote, type Verifier } from './note.ts';
import type { Policy } from './policy.ts';
import { checkpointPath, findBundle, findCheckpoint, type LogSource } from './source.ts';
import {
  bundlePath,
  bundlesOfSize,
  isPruned,
  parseTilePath,
  rightEdgeOfSize,
  tileWidth,
  widthInTree,
} from './tile.ts';
import { rootOfRightEdge } from './tree.ts';
import { openCheckpoint, type Cosignature, type CosignedCheckpoint, type Witness } from './trust.ts';

export type VerifyOptions = {
  readonly sha256: Sha256;
  /**
   * The log's own keys, from a trusted place. Any one of them is enough, so that a log can change its key; one
   * that signed wrongly rejects the checkpoint. A witness's signature does not stand in for the log's.
   */
  readonly verifiers: readonly Verifier[];
  /** Which witnesses must have cosigned the checkpoint, and their keys as `trustOf` makes them. */
  readonly policy?: Policy;
  readonly witnesses?: readonly Witness[];
  readonly source: LogSource;
  /**
   * The log's name. Given or not, a key that signed must carry the name in the checkpoint, as C2SP
   * tlog-checkpoint recommends.
   */
  readonly origin?: string;
  /**
   * A checkpoint of the same log (a signed note) that was kept earlier, out of reach of whoever could alter
   * the log.
   */
  readonly kept?: Uint8Array;
  /**
   * The minimum index of a log that was pruned (C2SP tlog-tiles, pruning): full tiles and bundles that end at
   * or before it may be missing, and their entries are then not checked. 0 where it is not given.
   */
  readonly prunedBelow?: number;
  /**
   * Called for each entry that is proven to stand at `index`, in order. `entry` is valid until the call, or
   * its promise, ends.
   */
  onEntry?(index: number, entry: Uint8Array): void | Promise<void>;
  onProgress?(entriesDone: number, entriesTotal: number): void;
};

export type VerifyResult = {
  /**
   * `verified`: whole, and a continuation of the kept checkpoint or cosigned by a quorum of the policy.
   * `consistent`: whole, but neither shows that it is the newest state and the only history. `failed`: see the
   * findings.
   */
  readonly verdict: 'verified' | 'consistent' | 'failed';
  /** What the state's age rests on. Witnesses say when they saw it; a kept checkpoint, that it is not older. */
  readonly freshness: 'witnesses' | 'kept checkpoint' | 'unproven';
  /**
   * The time, in seconds of the POSIX epoch, at which a quorum of witnesses knew nothing newer; undefined
   * without one.
   */
  readonly freshAt: number | undefined;
  /** The policy's witnesses that cosigned the checkpoint. */
  readonly cosignatures: readonly Cosignature[];
  /** The given keys that signed the checkpoint. */
  readonly signedBy: readonly { readonly name: string; readonly keyId: number }[];
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
  /** The number of entries below the minimum index that could not be checked. */
  readonly entriesPruned: number;
};

const maxFindings = 1000;

/**
 * Verifies a whole log from its files (C2SP tlog-tiles), whatever its entries mean. Believes the keys, the
 * kept checkpoint, the minimum index and nothing else. Streams: memory does not grow with the log. Findings are returned; it
 * throws only what `source` and the callbacks throw.
 */
export async function verifyLog(options: VerifyOptions): Promise<VerifyResult> {
  const findings = new Findings(maxFindings);
  const opened = await openLatest(options, findings);
  if (opened === undefined) return resultOf(findings, undefined, false, noEntries);
  const { checkpoint } = opened;
  const { sha256, source, prunedBelow = 0 } = options;
  if (prunedBelow > checkpoint.size) findings.add('log.pruned_beyond');
  const tiles = await AuthenticTiles.under(checkpoint, { sha256, source, prunedBelow }, findings);
  const entries = tiles ? await checkEntries(options, checkpoint.size, tiles, findings) : noEntries;
  const continues = await checkKept(options, checkpoint, tiles, findings);
  await checkPaths(options.source, checkpoint.size, findings);
  return resultOf(findings, opened, continues, entries);
}

/** Reads the log's checkpoint and checks its signatures and its name, before anything in it is used. */
async function openLatest(
  { source, verifiers, witnesses = [], policy, origin }: VerifyOptions,
  findings: Findings,
): Promise<CosignedCheckpoint | undefined> {
  const note = await findCheckpoint(source);
  if (note === undefined) {
    findings.add('checkpoint.missing');
    return undefined;
  }
  try {
    const trust = { logs: verifiers, witnesses, ...(policy !== undefined && { policy }) };
    const opened = await openCheckpoint(note, trust, origin);
    if (opened.forged.length > 0) findings.add('cosignature.false', { names: opened.forged });
    if (opened.quorum === 'unmet') findings.add('policy.quorum', { names: opened.missing });
    return opened;
  } catch (error) {
    if (!(error instanceof LedgerError)) throw error;
    findings.add(
      error.code === 'ledger.origin_unknown' ? 'checkpoint.origin' : `checkpoint.${whatIsWrong(error)}`,
    );
    return undefined;
  }
}

/** Whether the log is shown to continue the kept checkpoint; where it is not, a finding says why. */
async function checkKept(
  { kept: note, sha256, verifiers }: VerifyOptions,
  checkpoint: Checkpoint,
  tiles: AuthenticTiles | undefined,
  findings: Findings,
): Promise<boolean> {
  if (note === undefined) return false;
  const kept = await openKept(note, verifiers);
  if (kept === undefined) {
    findings.add('kept.unusable');
    return false;
  }
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

type EntryCounts = { readonly checked: number; readonly pruned: number };

const noEntries: EntryCounts = { checked: 0, pruned: 0 };

/** Compares every entry with its authentic leaf hash, from left to right. Returns how many are proven. */
async function checkEntries(
  { sha256, source, onEntry, onProgress, prunedBelow = 0 }: VerifyOptions,
  size: number,
  tiles: AuthenticTiles,
  findings: Findings,
): Promise<EntryCounts> {
  const alignment = new Alignment(findings);
  let [checked, pruned] = [0, 0];
  async function accept(entries: Iterable<ProvenEntry>): Promise<void> {
    for (const { index, entry } of entries) {
      checked++;
      if (onEntry) await onEntry(index, entry);
    }
  }

  for (const { index: bundleIndex, width } of bundlesOfSize(size)) {
    const firstIndex = bundleIndex * tileWidth;
    const range = { index: firstIndex, lastIndex: firstIndex + width - 1 };
    const place = { path: bundlePath(bundleIndex, width), ...range };
    const expected = await tiles.hashes(0, bundleIndex);
    const bundle = await findBundle(source, bundleIndex, width);
    if (expected === undefined || bundle === undefined) await accept(alignment.finish('gap'));
    if (bundle !== undefined && !bundle.whole) findings.add('bundle.malformed', place);
    if (expected !== undefined && bundle !== undefined) {
      const found = leafHashes(sha256, bundle.entries);
      const intact = alignment.idle && equalBytes(found, expected);
      await accept(
        intact
          ? bundle.entries.map((entry, i) => ({ index: firstIndex + i, entry }))
          : alignment.push(firstIndex, expected, bundle.entries, found),
      );
    } else if (isPruned({ level: 0, index: bundleIndex, width }, prunedBelow)) {
      pruned += width;
      findings.add('log.pruned', range);
    } else if (bundle === undefined) findings.add('bundle.missing', place);
    onProgress?.(firstIndex + width, size);
  }
  await accept(alignment.finish('end of log'));
  return { checked, pruned };
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

/** The kept checkpoint; undefined where none of the verifiers signed it, or it is none. */
async function openKept(note: Uint8Array, verifiers: readonly Verifier[]): Promise<Checkpoint | undefined> {
  try {
    return parseCheckpoint((await openNote(note, verifiers)).text);
  } catch (error) {
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}

function whatIsWrong({ code }: LedgerError): 'signature' | 'malformed' {
  return code === 'ledger.note_signature' || code === 'ledger.note_unsigned' ? 'signature' : 'malformed';
}

function resultOf(
  findings: Findings,
  opened: CosignedCheckpoint | undefined,
  continues: boolean,
  { checked, pruned }: EntryCounts,
): VerifyResult {
  const checkpoint = opened?.checkpoint;
  const cosigned = opened?.quorum === 'met';
  // Nothing wrong found is not enough: every entry must have been proven, or be known to be pruned.
  const whole = !findings.failed && checked + pruned === checkpoint?.size;
  const verdict = continues || cosigned ? 'verified' : 'consistent';
  const withoutWitnesses = continues ? 'kept checkpoint' : 'unproven';
  return {
    verdict: whole ? verdict : 'failed',
    freshness: cosigned ? 'witnesses' : withoutWitnesses,
    freshAt: opened?.freshAt,
    cosignatures: opened?.cosignatures ?? [],
    signedBy: opened?.signedBy.map(({ name, keyId }) => ({ name, keyId })) ?? [],
    origin: checkpoint?.origin,
    size: checkpoint?.size,
    root: checkpoint?.root,
    findings: findings.list(),
    findingsOmitted: findings.omitted,
    entriesChecked: checked,
    entriesPruned: pruned,
  };
}
