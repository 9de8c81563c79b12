import { DatabaseSync } from 'node:sqlite';
import { databaseStartupError } from '../platform/database.ts';

/** How long a snapshot waits for a database that is being written, ms. */
const busyTimeoutMs = 5000;

/** A log as a copy of the database has it. */
export interface LogState {
  readonly origin: string;
  /** Number of entries. */
  readonly size: number;
  /** The newest one that was signed; undefined where none was. Nothing of it is verified. */
  readonly checkpoint: { readonly size: number; readonly note: string } | undefined;
}

function withDatabase<R>(file: string, work: (database: DatabaseSync) => R): R {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(file, { readOnly: true, timeout: busyTimeoutMs });
    return work(database);
  } catch (error) {
    throw databaseStartupError(error, file);
  } finally {
    database?.close();
  }
}

/** Writes a consistent copy of a database, which may be in use, to a new file. */
export function takeSnapshot(database: string, snapshot: string): void {
  withDatabase(database, (source) => source.prepare('vacuum into ?').run(snapshot));
}

/** The logs in a copy of the database that nobody uses, in their order. */
export function readLogs(file: string): LogState[] {
  const sql = `
    select log.origin, head.size, signed.size as signed_size, signed.note
    from log join head on head.log = log.id
    left join ledger_checkpoint signed on signed.log = log.id
      and signed.size = (select max(newest.size) from ledger_checkpoint newest where newest.log = log.id)
    order by log.id`;
  const rows = withDatabase(file, (database) => database.prepare(sql).all()) as {
    origin: string;
    size: number;
    signed_size: number | null;
    note: string | null;
  }[];
  return rows.map(({ origin, size, signed_size, note }) => {
    const checkpoint = signed_size === null || note === null ? undefined : { size: signed_size, note };
    return { origin, size, checkpoint };
  });
}

/** Sizes of logs by their origin. */
export function sizesOf(logs: readonly { origin: string; size: number }[]): Record<string, number> {
  return Object.fromEntries(logs.map(({ origin, size }) => [origin, size]));
}
