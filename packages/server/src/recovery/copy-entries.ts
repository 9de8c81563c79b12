import {
  LedgerError,
  checkpointPath,
  entriesSince,
  maxNoteBytes,
  openNote,
  parseCheckpoint,
} from '@trialkeep/ledger';
import type { Checkpoint } from '@trialkeep/ledger';
import { learnLogKeys, logVerifier, parseEntry, sha256 } from '../audit/index.ts';
import type { TransparencyLog } from '../audit/index.ts';
import type { Database } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import type { MirrorAddress } from './mirror-source.ts';
import { mirrorSource } from './mirror-source.ts';
import * as store from './store.ts';

/** What came of a log: the entries that it had, and has now. */
export interface CopiedEntries {
  readonly from: number;
  readonly to: number;
}

/**
 * Appends to a log the entries that its mirror has and the database has forgotten, each proven under a checkpoint that the log itself
 * has signed: a mirror can withhold entries, and make none up. Their payloads are not on a mirror. Undefined where it has no copy
 * of the log. May be ended anywhere and run again.
 *
 * @throws StartupError `mirror.unreachable`; `mirror.contradiction` where the mirror's log is not a continuation of this one
 */
export async function copyForgotten(
  { database }: { readonly database: Database },
  log: TransparencyLog,
  mirror: MirrorAddress,
  verifierKeys: readonly string[],
): Promise<CopiedEntries | undefined> {
  const source = mirrorSource(mirror, log.origin);
  const note = await source.read(checkpointPath, maxNoteBytes);
  if (note === undefined) return undefined;
  const from = log.size;
  try {
    const checkpoint = await openNewest(log, note, verifierKeys);
    if (checkpoint.size <= from) {
      const contradiction = await log.contradiction(checkpoint);
      if (contradiction !== undefined) throw new StartupError('mirror.contradiction', contradiction);
      return { from, to: from };
    }
    const since = { size: from, root: log.root() };
    for await (const { first, entries } of entriesSince(checkpoint, { sha256, source }, since)) {
      const time = Math.max(...entries.map((bytes) => parseEntry(bytes).time));
      await database.write((tx) => store.appendCopied(tx, { log: log.id, first, entries, time }));
    }
    await log.integrate();
    await learnKeys(database, log, verifierKeys, from);
    return { from, to: log.size };
  } catch (error) {
    if (error instanceof LedgerError) throw new StartupError('mirror.contradiction', error.message, error);
    throw error;
  }
}

/** What the mirror's checkpoint says: signed by a key that the database knows, or by one that the operator trusts. */
async function openNewest(
  log: TransparencyLog,
  note: Uint8Array,
  verifierKeys: readonly string[],
): Promise<Checkpoint> {
  const trusted = verifierKeys.map(logVerifier).filter(({ name }) => name === log.origin);
  try {
    return await log.openNote(note);
  } catch (error) {
    if (!(error instanceof LedgerError) || trusted.length === 0) throw error;
  }
  const { text } = await openNote(note, trusted);
  const checkpoint = parseCheckpoint(text);
  if (checkpoint.origin !== log.origin) throw new LedgerError('ledger.origin_unknown');
  return checkpoint;
}

/** The keys that the operator trusts verify the anchor, and whatever else was signed since. */
async function learnKeys(
  database: Database,
  log: TransparencyLog,
  verifierKeys: readonly string[],
  from: number,
): Promise<void> {
  const own = verifierKeys.filter((verifierKey) => logVerifier(verifierKey).name === log.origin);
  await database.write((tx) => learnLogKeys(tx, log.id, own, { from, until: log.size }));
  await log.verifierKeys();
}
