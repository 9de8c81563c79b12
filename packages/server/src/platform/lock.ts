import { DatabaseSync } from 'node:sqlite';
import { DatabaseError } from './database-error.ts';
import { StartupError } from './errors.ts';

/** The right to use a data directory; the kernel gives it back when the process ends, however it ends. */
export interface DirectoryLock {
  release(): void;
}

/**
 * Takes the data directory for this process. Node has no file locks of its own; SQLite's exclusive transaction on a file that
 * holds nothing is one, and a killed process leaves none behind.
 */
export function lockDirectory(lockFile: string): DirectoryLock {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(lockFile, { timeout: 0 });
    database.exec('begin exclusive');
  } catch (error) {
    database?.close();
    const busy = DatabaseError.from(error).kind === 'busy';
    throw new StartupError(busy ? 'data.in_use' : 'data.unreadable', lockFile, error);
  }
  const held = database;
  return { release: () => held.close() };
}
