import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { systemClock } from '../platform/clock.ts';
import { dataDirectory, readConfiguration } from '../platform/config.ts';
import { databaseStartupError } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import { syncDirectory, writeFileDurably } from '../platform/files.ts';
import { openPassphraseRoot } from '../roots/index.ts';
import type { RootOfTrust } from '../roots/index.ts';
import { version } from '../version.ts';
import { openFromRoot, sealToRoot } from './sealed-file.ts';

const closed = { additionalProperties: false };
/** manifest.json of a self-backup, written last: a backup without it is none (docs/formats/self-backup.md). */
export const manifestSchema = Type.Object(
  {
    format: Type.Literal(1),
    version: Type.String(),
    createdAt: Type.Integer(),
    /** How new it is: the size of each log, by origin. */
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

/** Binds a sealed file to its part of the backup. */
export function partContext(part: 'database' | 'shred-store'): Record<string, string> {
  return { 'trialkeep:self-backup': part };
}

/**
 * Backs the instance up into an empty folder: configuration, database, and apart from them the shred store. Works beside a
 * running server. Every sealed file is opened again before the manifest makes it a backup. The passphrase is not in it.
 */
export async function backupInstance(path: string, target: string): Promise<Manifest & { folder: string }> {
  const directory = dataDirectory(path);
  readConfiguration(directory);
  if (!existsSync(directory.database)) throw new StartupError('database.missing', directory.database);
  const root = openPassphraseRoot(directory.root);
  if (existsSync(target) && readdirSync(target).length > 0)
    throw new StartupError('backup.target_not_empty', target);
  try {
    for (const part of Object.values(backupParts))
      mkdirSync(dirname(join(target, part)), { recursive: true, mode: 0o700 });
    // The database first: every subject of the copy then has its key in the later copy of the shred store.
    const logs = await sealSnapshot(root, directory.database, join(target, backupParts.database), 'database');
    await sealSnapshot(root, directory.shredStore, join(target, backupParts.shredStore), 'shred-store');
    copyFile(directory.configuration, join(target, backupParts.configuration));
    copyFile(join(directory.root, 'root.json'), join(target, backupParts.root));
    copyFile(join(directory.root, 'epoch.json'), join(target, backupParts.epoch));
    const files = Object.values(backupParts).map((part) => ({
      path: part,
      ...describeFile(join(target, part)),
    }));
    const manifest: Manifest = { format: 1, version, createdAt: systemClock.now(), logs, files };
    writeFileDurably(join(target, 'manifest.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    return { ...manifest, folder: target };
  } catch (error) {
    rmSync(target, { recursive: true, force: true });
    if (error instanceof StartupError) throw error;
    throw new StartupError('data.unreadable', (error as Error).message, error);
  }
}

/**
 * Takes a consistent snapshot of a database, seals it, and opens what was sealed to see that it holds the same. Gives the sizes
 * of the logs in it. The snapshot lies beside the database meanwhile, and holds no more than the database itself.
 */
async function sealSnapshot(
  root: RootOfTrust,
  database: string,
  target: string,
  part: 'database' | 'shred-store',
): Promise<Record<string, number>> {
  const snapshot = `${database}.snapshot`;
  const check = `${database}.check`;
  for (const file of [snapshot, check]) rmSync(file, { force: true });
  try {
    const logs = takeSnapshot(database, snapshot, part === 'database');
    await sealToRoot(root, snapshot, target, partContext(part));
    await openFromRoot(root, target, check, partContext(part));
    if (describeFile(check).sha256 !== describeFile(snapshot).sha256)
      throw new StartupError('backup.damaged', target);
    syncDirectory(dirname(target));
    return logs;
  } finally {
    for (const file of [snapshot, check]) rmSync(file, { force: true });
  }
}

function takeSnapshot(database: string, snapshot: string, withLogs: boolean): Record<string, number> {
  let source: DatabaseSync | undefined;
  try {
    source = new DatabaseSync(database, { readOnly: true, timeout: 5000 });
    source.prepare('vacuum into ?').run(snapshot);
  } catch (error) {
    throw databaseStartupError(error, database);
  } finally {
    source?.close();
  }
  if (!withLogs) return {};
  const copy = new DatabaseSync(snapshot, { readOnly: true });
  try {
    const rows = copy
      .prepare('select origin, size from log join head on head.log = log.id order by log.id')
      .all();
    return Object.fromEntries(rows.map((row) => [row['origin'] as string, row['size'] as number]));
  } finally {
    copy.close();
  }
}

function copyFile(source: string, target: string): void {
  writeFileDurably(target, readFileSync(source));
}

/** Length and SHA-256 of a file of a backup, as the manifest names them. */
export function describeFile(file: string): { bytes: number; sha256: string } {
  const hash = createHash('sha256').update(readFileSync(file)).digest('hex');
  return { bytes: statSync(file).size, sha256: hash };
}
