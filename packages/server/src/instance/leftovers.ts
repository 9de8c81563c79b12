import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { DataDirectory } from '../platform/config.ts';
import { StartupError } from '../platform/errors.ts';
import { lockDirectory } from '../platform/lock.ts';
import type { DirectoryLock } from '../platform/lock.ts';

const stagingPrefix = 'restoring-';

/** Where a restore prepares what it then puts in place. */
export function stagingFolder(directory: DataDirectory): string {
  return join(directory.path, `${stagingPrefix}${process.pid}`);
}

/** Where the snapshot of a database lies while it is sealed: beside it, for it holds as much. */
export function snapshotFile(database: string): string {
  return `${database}.snapshot`;
}

/** What SQLite keeps beside a database file, and plays into whatever lies there under the database's name. */
export function sideFiles(database: string): string[] {
  return ['-wal', '-shm', '-journal'].map((suffix) => `${database}${suffix}`);
}

/**
 * Held by the backup whose snapshots lie in the data directory: a backup runs beside a server, which holds the directory's own
 * lock. Refused with `data.in_use` while another backup is running.
 */
export function lockSnapshots(directory: DataDirectory): DirectoryLock {
  return lockDirectory(join(directory.path, 'backup-lock'));
}

/** Removes the snapshots of both databases. The caller holds the lock of the snapshots. */
export function removeSnapshots(directory: DataDirectory): void {
  for (const file of snapshotsIn(directory)) rmSync(file, { force: true });
}

/**
 * Removes what a killed restore or backup has left: copies of the databases. The caller holds the lock of the data directory;
 * the snapshots of a backup that is running beside it stay.
 */
export function sweepLeftovers(directory: DataDirectory): void {
  const staged = readdirSync(directory.path).filter((name) => name.startsWith(stagingPrefix));
  for (const name of staged) rmSync(join(directory.path, name), { recursive: true, force: true });
  if (!snapshotsIn(directory).some((file) => existsSync(file))) return;
  let lock: DirectoryLock;
  try {
    lock = lockSnapshots(directory);
  } catch (error) {
    if (error instanceof StartupError && error.code === 'data.in_use') return;
    throw error;
  }
  removeSnapshots(directory);
  lock.release();
}

function snapshotsIn({ database, shredStore }: DataDirectory): string[] {
  return [database, shredStore].map(snapshotFile).flatMap((file) => [file, ...sideFiles(file)]);
}
