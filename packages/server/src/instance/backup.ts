import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { systemClock } from '../platform/clock.ts';
import { dataDirectory, databaseLocations, readConfiguration, withRoot } from '../platform/config.ts';
import type { DataDirectory } from '../platform/config.ts';
import { StartupError } from '../platform/errors.ts';
import { syncDirectory, writeFileDurably } from '../platform/files.ts';
import { newId } from '../platform/ids.ts';
import { epochBundle, openRootForBackup } from '../roots/index.ts';
import type { RootOfTrust } from '../roots/index.ts';
import { version } from '../version.ts';
import { lockSnapshots, removeSnapshots, snapshotFile } from './leftovers.ts';
import { assertPresent } from './open.ts';
import { describeFile, sealToRoot } from './sealed-file.ts';
import { readLogs, sizesOf, takeSnapshot } from './snapshot.ts';

const closed = { additionalProperties: false };
/** manifest.json of a self-backup, written last: a backup without it is none (docs/formats/self-backup.md). */
export const manifestSchema = Type.Object(
  {
    format: Type.Literal(1),
    /** Of this backup alone; its sealed files carry it. */
    id: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
    /** When it was begun, ms since 1970; its sealed files carry it. */
    createdAt: Type.Integer({ minimum: 0 }),
    version: Type.String({ maxLength: 100 }),
    /** How new it is: the size of each log, by origin. For whoever looks for a backup; a restore reads the database itself. */
    logs: Type.Record(Type.String(), Type.Integer({ minimum: 0 })),
    files: Type.Array(
      Type.Object(
        {
          path: Type.String({ maxLength: 100 }),
          bytes: Type.Integer({ minimum: 0 }),
          sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
        },
        closed,
      ),
      { maxItems: 16 },
    ),
  },
  closed,
);
export type Manifest = Static<typeof manifestSchema>;

/** The parts of a backup. What belongs to the shred store has a folder of its own, to be kept where it can forget. */
export const backupParts = {
  configuration: 'trialkeep.json',
  root: 'root/root.json',
  database: 'state/trialkeep.db.sealed',
  epoch: 'shred/epoch.json',
  shredStore: 'shred/shred.db.sealed',
} as const;

/** Lies in the folder until the manifest does: what is beside it was left by a backup that was interrupted. */
const unfinishedMark = 'unfinished-trialkeep-backup';

/** Binds a sealed file to its part of one backup, so that no other part and no other backup can stand in for it. */
export function partContext(
  part: 'database' | 'shred-store',
  { id, createdAt }: Pick<Manifest, 'id' | 'createdAt'>,
): Record<string, string> {
  return {
    'trialkeep:self-backup': part,
    'trialkeep:backup': id,
    'trialkeep:created-at': String(createdAt),
  };
}

/**
 * Backs the instance up into an empty folder: configuration, database, and apart from them the shred store. Works beside a
 * running server. Every sealed file is opened again before the manifest makes it a backup. The passphrase is not in it.
 */
export async function backupInstance(path: string, target: string): Promise<Manifest & { folder: string }> {
  const directory = withRoot(dataDirectory(path), readConfiguration(dataDirectory(path)));
  const databases = databaseLocations(directory, process.env);
  if (typeof databases.main !== 'string') throw new StartupError('backup.postgresql');
  assertPresent(databases);
  const root = await openRootForBackup(directory.root);
  const found = existsSync(target) ? readdirSync(target) : [];
  if (found.length > 0 && !found.includes(unfinishedMark))
    throw new StartupError('backup.target_not_empty', target);
  const lock = lockSnapshots(directory);
  try {
    removeSnapshots(directory);
    prepareTarget(target, found);
    return { ...(await fillTarget(root, directory, target)), folder: target };
  } catch (error) {
    rmSync(target, { recursive: true, force: true });
    if (error instanceof StartupError) throw error;
    throw new StartupError('data.unreadable', (error as Error).message, error);
  } finally {
    removeSnapshots(directory);
    lock.release();
    await root.close();
  }
}

/** Clears away what an interrupted backup left, and marks the folder as unfinished before anything is in it. */
function prepareTarget(target: string, found: readonly string[]): void {
  for (const name of found.filter((each) => each !== unfinishedMark))
    rmSync(join(target, name), { recursive: true });
  mkdirSync(target, { recursive: true, mode: 0o700 });
  writeFileSync(join(target, unfinishedMark), '', { mode: 0o600 });
  for (const part of Object.values(backupParts)) {
    mkdirSync(dirname(join(target, part)), { recursive: true, mode: 0o700 });
  }
}

async function fillTarget(root: RootOfTrust, directory: DataDirectory, target: string): Promise<Manifest> {
  const origin = { id: newId(), createdAt: systemClock.now() };
  // The database first: every subject of the copy then has its key in the later copy of the shred store.
  const snapshot = snapshotFile(directory.database);
  takeSnapshot(directory.database, snapshot);
  const logs = sizesOf(readLogs(snapshot));
  const database = join(target, backupParts.database);
  await sealToRoot(root, snapshot, database, partContext('database', origin));
  // One copy at a time: the disk may have no room for more.
  rmSync(snapshot);
  const shredSnapshot = snapshotFile(directory.shredStore);
  const epochs = takeShredSnapshot(directory, shredSnapshot);
  const shredStore = join(target, backupParts.shredStore);
  await sealToRoot(root, shredSnapshot, shredStore, partContext('shred-store', origin));
  copyFile(directory.configuration, join(target, backupParts.configuration));
  copyFile(join(directory.root, 'root.json'), join(target, backupParts.root));
  writeFileDurably(join(target, backupParts.epoch), epochs);
  for (const folder of ['state', 'shred']) syncDirectory(join(target, folder));
  const files: Manifest['files'] = [];
  for (const part of Object.values(backupParts)) {
    files.push({ path: part, ...(await describeFile(join(target, part))) });
  }
  const manifest: Manifest = { format: 1, ...origin, version, logs, files };
  writeFileDurably(join(target, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  rmSync(join(target, unfinishedMark));
  for (const folder of [target, dirname(target)]) syncDirectory(folder);
  return manifest;
}

/** How often a snapshot is taken until no epoch was begun or retired meanwhile. */
const maxSnapshots = 5;

/** Copies the shred store. @returns the epoch keys under which its rows are wrapped, as one file */
function takeShredSnapshot(directory: DataDirectory, snapshot: string): string {
  for (let left = maxSnapshots; ; left -= 1) {
    const before = epochBundle(directory.root);
    takeSnapshot(directory.shredStore, snapshot);
    const after = epochBundle(directory.root);
    if (String(before.numbers) === String(after.numbers) || left === 1) return after.content;
    rmSync(snapshot);
  }
}

function copyFile(source: string, target: string): void {
  writeFileDurably(target, readFileSync(source));
}
