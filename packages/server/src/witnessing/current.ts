import type { KeyObject } from 'node:crypto';
import { readEntries, parseEntry } from '../audit/index.ts';
import type { Ledger, TransparencyLog } from '../audit/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Tx } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import { readSetting } from './policy.ts';
import type { MirrorSetting, ReadSetting } from './policy.ts';
import * as store from './store.ts';
import type { CosignerRow, PolicyRow, ProgressRow } from './store.ts';

/** What everything here is built from. */
export interface WitnessingParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly notes: { warn(details: object, message: string): void };
  /** The policies that have been read, by log: reading one takes milliseconds. */
  readonly settings?: Map<number, InForce>;
  /** Told the time that a cosigner's clock showed, ms. */
  readonly observeClock?: (source: string, time: number) => void;
}

/** A policy that people have set, read. */
export interface InForce extends ReadSetting {
  /** Counts the policies of the log. */
  readonly version: number;
  readonly hash: string;
  readonly changedAt: number;
}

/** A log that has a policy, as it is at one moment. */
export interface Current {
  readonly log: TransparencyLog;
  readonly rowKey: KeyObject;
  readonly setting: InForce;
  readonly progress: ProgressRow;
  readonly cosigners: ReadonlyMap<string, CosignerRow>;
  /** Entries of the log. */
  readonly size: number;
  /** The database's time, ms. */
  readonly time: number;
  /** From then on results of key use are withheld, unless the quorum comes: ms by the database's clock. */
  readonly deadline: number;
}

/** The policy of a row. @throws StartupError `database.altered` where it is none */
export function inForce(row: PolicyRow, origin: string): InForce {
  const { policy, mode, bound_ms, version, hash, changed_at } = row;
  try {
    const mirrors = JSON.parse(row.mirrors) as MirrorSetting[];
    const setting = readSetting({ policy, mirrors, mode, boundSeconds: bound_ms / 1000 }, origin);
    return { ...setting, version, hash, changedAt: changed_at };
  } catch (error) {
    throw new StartupError(
      'database.altered',
      `The witnessing policy of log ${origin} cannot be read.`,
      error,
    );
  }
}

/** What is known about the log now; undefined where it has no policy. */
export async function currentOf(parts: WitnessingParts, id: number): Promise<Current | undefined> {
  const log = await parts.ledger.open(id);
  const rowKey = await parts.hierarchy.rowKey(log.tenant);
  return parts.database.read((snapshot) => currentIn(snapshot, parts, log, rowKey));
}

/** As {@link currentOf}, in a transaction. One that changes has taken a place in the log for an entry that it has `yetToWrite`. */
export async function currentIn(
  tx: Tx,
  { clock, settings }: Pick<WitnessingParts, 'clock' | 'settings'>,
  log: TransparencyLog,
  rowKey: KeyObject,
  yetToWrite: 0 | 1 = 0,
): Promise<Current | undefined> {
  const row = await store.findPolicy(tx, rowKey, log.id);
  if (row === undefined) return undefined;
  const known = settings?.get(log.id);
  const isSame = known?.version === row.version && known.hash === row.hash;
  const setting = isSame ? known : inForce(row, log.origin);
  settings?.set(log.id, setting);
  const progress = await store.findProgress(tx, rowKey, log.id);
  if (progress === undefined) {
    throw new StartupError('database.altered', `Table witnessing_progress, row ${log.id}.`);
  }
  const { size: taken, time } = await store.sizeAndTime(tx, clock, log.id);
  const size = taken - yetToWrite;
  const oldest = await timeOf(tx, log.id, progress.witnessed_size, size);
  return {
    log,
    rowKey,
    setting,
    progress,
    cosigners: await store.cosigners(tx, log.id),
    size,
    time,
    deadline: Math.max(oldest ?? time, setting.changedAt) + row.bound_ms,
  };
}

/** The time of the oldest entry that no witnessed checkpoint covers; undefined where all are covered. */
async function timeOf(tx: Tx, log: number, position: number, size: number): Promise<number | undefined> {
  if (position >= size) return undefined;
  const [bytes] = await readEntries(tx, log, position, 1);
  if (bytes === undefined) {
    throw new StartupError('database.altered', `Entry ${position} of log ${log} is missing.`);
  }
  return parseEntry(bytes).time;
}

/** Whether results of key use are withheld at that time. */
export function isWithheld({ setting, deadline, time }: Current): boolean {
  return setting.mode === 'required' && time >= deadline;
}

/** What is known of one of the log's cosigners. */
export function cosignerRow({ log, cosigners }: Current, id: string): CosignerRow {
  return cosigners.get(id) ?? store.newCosigner(log.id, id);
}
