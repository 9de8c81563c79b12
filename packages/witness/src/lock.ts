import { DatabaseSync } from 'node:sqlite';
import { WitnessError } from './errors.ts';

/** A right that one process at a time has; the kernel takes it back when the process ends, however it ends. */
export interface Lock {
  release(): void;
}

/** SQLITE_BUSY: another process has the lock. */
const busy = 5;

/**
 * Takes the lock that a file stands for. Node has no file locks of its own; SQLite's exclusive transaction on a file that holds
 * nothing is one, and a killed process leaves none behind.
 *
 * @param waitMs how long to wait for another process
 * @throws WitnessError `witness.in_use`, `witness.data_unusable`
 */
export function takeLock(path: string, waitMs = 0): Lock {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path, { timeout: waitMs });
    database.exec('begin exclusive');
  } catch (error) {
    database?.close();
    const code = (error as { errcode?: number }).errcode ?? 0;
    throw new WitnessError((code & 0xff) === busy ? 'witness.in_use' : 'witness.data_unusable', path, error);
  }
  const held = database;
  return { release: () => held.close() };
}
