import { askAtStart, PolicyFolder } from '../witnessing/index.ts';
import { bringInLine } from './bring-in-line.ts';
import { openInstance } from '../instance/index.ts';
import type { TransparencyLog } from '../audit/index.ts';
import { isRootAway } from '../keys/index.ts';
import { systemClock } from '../platform/clock.ts';
import type { Clock } from '../platform/clock.ts';
import { reconcile } from '../reconcile.ts';
import { copyForgotten } from './copy-entries.ts';
import type { CopiedEntries } from './copy-entries.ts';
import type { MirrorAddress } from './mirror-source.ts';
import { pendingLogs } from './store.ts';

/** What catching up has come to for one log. */
export interface CaughtUpLog {
  readonly origin: string;
  /** Entries that the database had before, and has now; undefined where the mirror has no copy of the log. */
  readonly from: number;
  readonly to: number | undefined;
  /** What only the lost database had: one sentence each, with what to do. */
  readonly lost: readonly string[];
}

export interface CaughtUp {
  readonly logs: readonly CaughtUpLog[];
  /** What still keeps the server in recovery; empty where it can be started. */
  readonly reasons: readonly string[];
}

export interface CatchUpOptions {
  readonly clock?: Clock;
  /** Verifier keys of logs, from a trusted place: where a log's keys were changed since the backup, the database knows only the old ones. */
  readonly verifierKeys?: readonly string[];
  /** Goes on although not every witness could be asked whether it knows more than the mirror; the entry says so. */
  readonly withoutWitnesses?: boolean;
}

/**
 * Teaches a database that was put back what it has forgotten (design section 4, roll-back; URS-080): copies the entries that a mirror has of
 * each log, proven under the log's own signature, and then brings every row in line with what the ledger says became of it. It takes away
 * what was taken away, and gives nothing: what was made since the backup has to be made again, and is listed. The server must not run.
 *
 * Threat: a mirror that withholds its newest entries, so that the entry about this takes the place of one that somebody has seen, and the
 * log has two histories. So the anchor and every witness are asked first, and all of them have to answer.
 *
 * @throws StartupError `mirror.unreachable`, `mirror.contradiction`, and those of opening the installation
 */
export async function catchUp(
  dataDirectory: string,
  mirror: MirrorAddress,
  { clock = systemClock, verifierKeys = [], withoutWitnesses = false }: CatchUpOptions = {},
): Promise<CaughtUp> {
  const notes = { warn: () => undefined };
  const instance = await openInstance(dataDirectory, { clock, notes });
  try {
    const { ledger, directory, database } = instance;
    const copied: CopiedLog[] = [];
    for (const log of ledger.logs) {
      copied.push({ log, copied: await copyForgotten(instance, log, mirror, verifierKeys) });
    }
    const asked = await askAtStart({ ...instance, clock, notes }, new PolicyFolder(directory.anchor));
    const unsure = withoutWitnesses ? [] : [...asked.unknown, ...asked.unreached];
    const behind = [...(await ledger.openAll()), ...asked.contradictions, ...unsure];
    if (behind.length > 0) return { logs: copied.map((each) => report(each, [])), reasons: behind };
    const pending = new Set(await database.read(pendingLogs));
    const logs: CaughtUpLog[] = [];
    const waiting: string[] = [];
    for (const each of copied) {
      const { log } = each;
      const what = { ...each.copied, withoutWitnesses };
      try {
        logs.push(report(each, pending.has(log.id) ? await bringInLine(instance, log, what) : []));
      } catch (error) {
        // The others are brought in line all the same; this one when its root gives the key.
        if (!isRootAway(error)) throw error;
        waiting.push(`Tenant ${log.tenant}: its key has to move first, and its own root says ${error.code}.`);
        logs.push(report(each, []));
        continue;
      }
      await ledger.anchorNow(log.id);
    }
    return { logs, reasons: [...waiting, ...(await reconcile(instance))] };
  } finally {
    await instance.close();
  }
}

interface CopiedLog {
  readonly log: TransparencyLog;
  readonly copied: CopiedEntries | undefined;
}

function report({ log, copied }: CopiedLog, lost: readonly string[]): CaughtUpLog {
  return { origin: log.origin, from: copied?.from ?? log.size, to: copied?.to, lost };
}
