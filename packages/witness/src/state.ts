import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { WitnessError } from './errors.ts';

/** Marks a file as this package's, in SQLite's application_id: the bytes "TKW1". */
const applicationId = 0x544b5731;
const schemaVersion = 1;

/**
 * Times are seconds since 1970 of cosignatures, and milliseconds where the name says so. `note` is a signed note: the checkpoint
 * with the log's own signatures that were verified and, of a witness, the cosignatures that it gave.
 */
const schema = `
create table head (
  origin text primary key, size integer not null, root blob not null, note blob not null, time integer not null
) strict;
create table checkpoint (
  origin text not null, size integer not null, root blob not null, note blob not null, primary key (origin, size)
) strict, without rowid;
create table copy (
  origin text primary key, next_entry integer not null, size integer not null, note blob, time integer not null
) strict;
create table conflict (
  id integer primary key, origin text not null, kind text not null,
  older_size integer not null, older_root blob not null, older_note blob not null,
  newer_size integer not null, newer_root blob not null, newer_note blob not null,
  proof text not null, recorded_ms integer not null,
  unique (origin, kind, older_size, older_root, newer_size, newer_root)
) strict;
create table ticket_key (key blob not null) strict;
`;

/** How many checkpoints of a log are kept beside the latest one: to accept uploads under them, and to notice another history. */
const checkpointsKept = 256;
/**
 * How many conflicts of one log and kind are kept. The first ones convict; more could be sent to fill the disk. Kinds are counted apart:
 * anybody can send a wrong proof, and must not crowd out a fork by it.
 */
const conflictsKept = 200;

/** The latest checkpoint of a log that was accepted. */
export interface Head {
  readonly size: number;
  readonly root: Uint8Array;
  readonly note: Uint8Array;
  /** Of the last cosignature: none for this log has an earlier one. */
  readonly time: number;
}

/** An accepted checkpoint that is still known. */
export interface KnownCheckpoint {
  readonly size: number;
  readonly root: Uint8Array;
  readonly note: Uint8Array;
}

/** How far the copy of a log has come. */
export interface CopyState {
  /** The entries before it are stored. */
  readonly nextEntry: number;
  /** Of the mirror checkpoint. */
  readonly size: number;
  /** The mirror checkpoint with the mirror's cosignatures; null before the first. */
  readonly note: Uint8Array | null;
  readonly time: number;
}

/**
 * Two checkpoints that a log signed and that contradict each other. `fork`: one size, two roots, which nothing explains but a
 * log that lies. `unproven`: the newer one did not follow from the older one by the proof that came with it; either the log lies, or
 * whoever sent it sent a wrong proof, and the log has to show a right one.
 */
export interface Conflict {
  readonly origin: string;
  readonly kind: 'fork' | 'unproven';
  readonly older: KnownCheckpoint;
  readonly newer: KnownCheckpoint;
  /** Lines of base64, as sent; empty where no proof was looked at. */
  readonly proof: string;
}

/** The state file of a witness or a mirror. One process writes it; what it returns from is on disk. */
export class State {
  readonly #database: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Makes a new file; the caller has made sure that none is there. */
  static create(path: string): void {
    const database = new DatabaseSync(path);
    try {
      database.exec('pragma journal_mode = wal; pragma synchronous = full');
      database.exec(`begin immediate; pragma application_id = ${applicationId}; ${schema}`);
      database.prepare('insert into ticket_key values (?)').run(randomBytes(32));
      database.exec(`pragma user_version = ${schemaVersion}; commit`);
    } finally {
      database.close();
    }
  }

  /** @throws WitnessError `witness.data_missing`, `witness.state_foreign`, `witness.data_unusable` */
  static open(path: string, { readOnly = false } = {}): State {
    if (!existsSync(path)) throw new WitnessError('witness.data_missing', path);
    let database: DatabaseSync | undefined;
    try {
      database = new DatabaseSync(path, { readOnly, timeout: 1000 });
      const opened = database;
      const pragma = (name: string): unknown =>
        Object.values(opened.prepare(`pragma ${name}`).get() ?? {})[0];
      if (pragma('application_id') !== applicationId || pragma('user_version') !== schemaVersion) {
        throw new WitnessError('witness.state_foreign', path);
      }
      if (!readOnly) {
        database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma trusted_schema = off');
        if (pragma('quick_check') !== 'ok') throw new WitnessError('witness.state_foreign', path);
      }
      return new State(database);
    } catch (error) {
      database?.close();
      if (error instanceof WitnessError) throw error;
      throw new WitnessError(
        isDamage(error) ? 'witness.state_foreign' : 'witness.data_unusable',
        path,
        error,
      );
    }
  }

  close(): void {
    this.#database.close();
  }

  head(origin: string): Head | undefined {
    return this.#all<Head>('select size, root, note, time from head where origin = ?', origin)[0];
  }

  /** The checkpoint of that size, where it was accepted and is still known. */
  checkpoint(origin: string, size: number): KnownCheckpoint | undefined {
    return this.#all<KnownCheckpoint>(
      'select size, root, note from checkpoint where origin = ? and size = ?',
      origin,
      size,
    )[0];
  }

  /**
   * Makes a checkpoint the latest one of its log, where the latest is still the one of size `from` (0 where there was none). When this
   * returns true it is on disk, and is no longer among those that were unproven.
   */
  advance(origin: string, from: number, next: Head): boolean {
    return this.#transaction(() => {
      const head = this.head(origin);
      const { size, root, note, time } = next;
      if ((head?.size ?? 0) !== from || size < from || time < (head?.time ?? 0)) return false;
      if (head?.size === size && Buffer.compare(head.root, root) !== 0) return false;
      this.#run('insert or replace into head values (?, ?, ?, ?, ?)', origin, size, root, note, time);
      this.#run('insert or replace into checkpoint values (?, ?, ?, ?)', origin, size, root, note);
      this.#run(
        `delete from checkpoint where origin = ?1 and size < (
           select size from checkpoint where origin = ?1 order by size desc limit 1 offset ${checkpointsKept - 1})`,
        origin,
      );
      this.#run(
        "delete from conflict where origin = ? and kind = 'unproven' and newer_size = ? and newer_root = ?",
        ...[origin, size, root],
      );
      return true;
    });
  }

  /** Keeps a conflict, unless it is known, or there is no room for more of its kind. */
  keepConflict({ origin, kind, older, newer, proof }: Conflict, nowMs: number): 'kept' | 'known' | 'no room' {
    return this.#transaction(() => {
      const known = this.#all(
        `select 1 from conflict where origin = ? and kind = ? and older_size = ? and older_root = ?
           and newer_size = ? and newer_root = ?`,
        ...[origin, kind, older.size, older.root, newer.size, newer.root],
      );
      if (known.length > 0) return 'known';
      const isKept = this.#run(
        `insert into conflict (origin, kind, older_size, older_root, older_note, newer_size, newer_root, newer_note, proof, recorded_ms)
           select ?1, ?2, ?, ?, ?, ?, ?, ?, ?, ?
           where (select count(*) from conflict where origin = ?1 and kind = ?2) < ${conflictsKept}`,
        ...[origin, kind, older.size, older.root, older.note],
        ...[newer.size, newer.root, newer.note, proof, nowMs],
      );
      return isKept ? 'kept' : 'no room';
    });
  }

  conflicts(): (Conflict & { readonly id: number; readonly recordedMs: number })[] {
    const rows = this.#all<{
      id: number;
      origin: string;
      kind: Conflict['kind'];
      older_size: number;
      older_root: Uint8Array;
      older_note: Uint8Array;
      newer_size: number;
      newer_root: Uint8Array;
      newer_note: Uint8Array;
      proof: string;
      recorded_ms: number;
    }>('select * from conflict order by id');
    return rows.map((row) => ({
      id: row.id,
      origin: row.origin,
      kind: row.kind,
      older: { size: row.older_size, root: row.older_root, note: row.older_note },
      newer: { size: row.newer_size, root: row.newer_root, note: row.newer_note },
      proof: row.proof,
      recordedMs: row.recorded_ms,
    }));
  }

  copy(origin: string): CopyState {
    const found = this.#all<CopyState>(
      'select next_entry nextEntry, size, note, time from copy where origin = ?',
      origin,
    )[0];
    return found ?? { nextEntry: 0, size: 0, note: null, time: 0 };
  }

  /** Says that the entries before `nextEntry` are stored. It only grows. */
  advanceCopy(origin: string, nextEntry: number): void {
    this.#run(
      `insert into copy values (?, ?, 0, null, 0)
         on conflict (origin) do update set next_entry = max(next_entry, excluded.next_entry)`,
      origin,
      nextEntry,
    );
  }

  /** Makes a checkpoint the mirror checkpoint, unless that is larger or the entries are not there. @returns whether it is now */
  commitCopy(origin: string, { size, note, time }: Omit<Head, 'root'>): boolean {
    return this.#run(
      'update copy set size = ?2, note = ?3, time = ?4 where origin = ?1 and size <= ?2 and next_entry >= ?2 and time <= ?4',
      origin,
      size,
      note,
      time,
    );
  }

  /** The key that tickets are authenticated with, 32 bytes. */
  ticketKey(): Uint8Array {
    const row = this.#all<{ key: Uint8Array }>('select key from ticket_key')[0];
    if (row === undefined) throw new WitnessError('witness.state_foreign', 'no ticket key');
    return row.key;
  }

  #transaction<T>(work: () => T): T {
    this.#database.exec('begin immediate');
    try {
      const result = work();
      this.#database.exec('commit');
      return result;
    } catch (error) {
      // SQLite has rolled back by itself where COMMIT failed, as on a full disk.
      if (this.#database.isTransaction) this.#database.exec('rollback');
      throw error;
    }
  }

  #statement(sql: string): StatementSync {
    const known = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }

  #all<T>(sql: string, ...parameters: SQLInputValue[]): T[] {
    return this.#statement(sql).all(...parameters) as T[];
  }

  /** @returns whether a row was changed */
  #run(sql: string, ...parameters: SQLInputValue[]): boolean {
    return Number(this.#statement(sql).run(...parameters).changes) > 0;
  }
}

/** SQLITE_CORRUPT and SQLITE_NOTADB. */
function isDamage(error: unknown): boolean {
  const code = ((error as { errcode?: number }).errcode ?? 0) & 0xff;
  return code === 11 || code === 26;
}
