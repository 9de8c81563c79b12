import { createHash, hash, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { StatementSync } from 'node:sqlite';
import { SealError } from '../errors.ts';
import type { FileState } from './look-job.ts';
import { bytesOf } from './name.ts';
import type { Bytes } from './name.ts';
import type { SealedObject } from './seal-job.ts';

/**
 * What an interrupted sealing leaves behind, so that it can go on: which source has which object (docs/formats/sealed-tree.md).
 * It lies with the account that seals, never where the tree is written. While it is open it belongs to one process.
 */

const schema = `
  create table if not exists sealing (
    one integer primary key check (one = 1), tree text not null, salt blob not null, settings blob not null,
    attempt integer not null, finished text
  ) strict;
  create table if not exists object (
    fingerprint blob primary key, id text not null, commitment text not null, sealed_bytes integer not null, sha256 text,
    attempt integer not null
  ) strict, without rowid;
  create index if not exists object_id on object (id);
`;
const sqliteBusy = 5;

/** An object that is on the disk, and what it was made of. */
export interface JournalRow extends SealedObject {
  readonly fingerprint: Uint8Array;
}

interface SealingRow {
  readonly tree: string;
  readonly salt: Uint8Array;
  readonly settings: Uint8Array;
  /** Which attempt at the tree this is, from 1. */
  readonly attempt: number;
  readonly finished: string | null;
}

export class Journal {
  readonly #file: string;
  readonly #database: DatabaseSync;
  readonly #settings: Buffer;
  #row: SealingRow | undefined;
  readonly #find: StatementSync;
  readonly #has: StatementSync;
  readonly #add: StatementSync;

  constructor(file: string, database: DatabaseSync, settings: Buffer) {
    this.#file = file;
    this.#database = database;
    this.#settings = settings;
    this.#row = database.prepare('select * from sealing').get() as SealingRow | undefined;
    this.#find = database.prepare('select * from object where fingerprint = ?');
    this.#has = database.prepare('select 1 from object where id = ?');
    this.#add = database.prepare('insert or replace into object values (?, ?, ?, ?, ?, ?)');
  }

  /** The tree that was begun; undefined before `begin`. */
  get tree(): string | undefined {
    return this.#row?.tree;
  }

  /** Whether what was begun was begun with these settings. */
  get fits(): boolean {
    return this.#row !== undefined && this.#settings.equals(this.#row.settings);
  }

  /** Forgets what was begun: it is committed, and not to be touched. */
  forget(): void {
    this.#write(() => this.#database.exec('delete from object; delete from sealing'));
    this.#row = undefined;
  }

  /** What `finish` was told. */
  get finished(): string | undefined {
    return this.#row?.finished ?? undefined;
  }

  /** Secret bytes that fingerprints begin with. */
  get salt(): Uint8Array {
    if (this.#row === undefined) throw new Error('The journal was not begun.');
    return this.#row.salt;
  }

  /** Forgets everything, and begins a tree. */
  begin(tree: string): void {
    this.#write(() => {
      const row = { tree, salt: randomBytes(32), settings: this.#settings, attempt: 1, finished: null };
      this.#database.exec('delete from object');
      this.#database
        .prepare('insert or replace into sealing values (1, ?, ?, ?, 1, null)')
        .run(row.tree, row.salt, row.settings);
      this.#row = row;
    });
  }

  /** Goes on with the tree that was begun. */
  goOn(): void {
    this.#write(() => this.#database.exec('update sealing set attempt = attempt + 1, finished = null'));
    if (this.#row !== undefined) this.#row = { ...this.#row, attempt: this.#row.attempt + 1, finished: null };
  }

  find(fingerprint: Uint8Array): SealedObject | undefined {
    // Nothing was entered by an earlier attempt.
    if (this.#row?.attempt === 1) return undefined;
    const row = this.#find.get(fingerprint) as Record<string, unknown> | undefined;
    if (row === undefined) return undefined;
    return {
      id: row['id'] as string,
      commitment: row['commitment'] as string,
      sealedBytes: row['sealed_bytes'] as number,
      sha256: (row['sha256'] as string | null) ?? undefined,
    };
  }

  /** Whether an object of that message id is entered. */
  has(id: string): boolean {
    return this.#has.get(id) !== undefined;
  }

  /**
   * Enters objects that have been flushed to the disk, all or none, and those of earlier attempts that this one uses; they are on the disk
   * themselves when this returns.
   */
  add(rows: readonly JournalRow[]): void {
    this.#write(() => {
      for (const { fingerprint, id, commitment, sealedBytes, sha256 } of rows)
        this.#add.run(fingerprint, id, commitment, sealedBytes, sha256 ?? null, this.#row?.attempt ?? 1);
    });
  }

  /** The message ids of objects of earlier attempts that this one has not entered: what they were made of has changed. */
  *unused(): Generator<string, void, undefined> {
    const unused = this.#database.prepare('select id from object where attempt <> ?');
    for (const row of unused.iterate(this.#row?.attempt ?? 1)) yield row['id'] as string;
  }

  /** Says, just before the commit, what it will be. */
  finish(finished: string): void {
    this.#write(() => this.#database.prepare('update sealing set finished = ?').run(finished));
  }

  close(): void {
    this.#database.close();
  }

  /** Removes the journal: the tree is committed. */
  discard(): void {
    this.close();
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${this.#file}${suffix}`, { force: true });
  }

  #write(work: () => void): void {
    try {
      this.#database.exec('begin immediate');
      work();
      this.#database.exec('commit');
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('rollback');
      throw unusable(this.#file, error);
    }
  }
}

/**
 * Opens the journal of a target, or makes it.
 *
 * @param folder where journals lie; made with mode 0700
 * @param target the real path of the target
 * @param settings what decides how objects are sealed; a journal made with others does not fit
 * @throws SealError `seal.target_busy`, `seal.journal_unusable`
 */
export function openJournal(folder: string, target: string, settings: string): Journal {
  const file = join(folder, `${createHash('sha256').update(target).digest('hex')}.db`);
  let database: DatabaseSync | undefined;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // SQLite would make it readable for others.
    closeSync(openSync(file, 'a', 0o600));
    database = new DatabaseSync(file, { timeout: 0 });
    database.exec(
      'pragma locking_mode = exclusive; pragma journal_mode = wal; pragma synchronous = full; begin exclusive',
    );
    database.exec(schema);
    database.exec('commit');
    return new Journal(file, database, createHash('sha256').update(settings).digest());
  } catch (error) {
    database?.close();
    if ((error as { errcode?: number }).errcode === sqliteBusy)
      throw new SealError('seal.target_busy', target);
    throw unusable(file, error);
  }
}

function unusable(file: string, cause: unknown): SealError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  return new SealError('seal.journal_unusable', file, { detail, cause });
}

const folderLabel = Buffer.from('folder\0');
const fileLabel = Buffer.from('file\0');

/** What a folder adds to the fingerprints of what is in it: its path, from the salt on. */
export function folderFingerprint(above: Uint8Array, name: Bytes): Buffer {
  return hash('sha256', Buffer.concat([folderLabel, above, bytesOf(name)]), 'buffer');
}

/** Where a file is and what it was: another fingerprint is another content, as far as the file system tells. */
export function fileFingerprint(folder: Uint8Array, name: Bytes, state: FileState): Buffer {
  return hash('sha256', Buffer.concat([fileLabel, folder, bytesOf(`${state}/${name}`)]), 'buffer');
}
