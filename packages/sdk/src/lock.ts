import { DatabaseSync } from 'node:sqlite';

/** SQLite's code where another process, or another part of this one, holds the lock. */
const sqliteBusy = 5;

/**
 * Takes an exclusive lock on a file of that name, which is made where it is not there. Node has no file locks of its own; SQLite's
 * exclusive transaction on a file that holds nothing is one, and a killed process leaves none behind.
 *
 * @returns what gives it back; undefined where somebody else has it
 * @throws SQLite's error where the file cannot be made or opened
 */
export function lockFile(path: string): { release(): void } | undefined {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: 0 });
    database.exec('begin exclusive');
    const held = database;
    return { release: () => held.close() };
  } catch (error) {
    database?.close();
    if ((error as { errcode?: unknown }).errcode === sqliteBusy) return undefined;
    throw error;
  }
}
