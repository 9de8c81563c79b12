import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Value } from 'typebox/value';
import { dataDirectory } from '../platform/config.ts';
import { StartupError } from '../platform/errors.ts';
import { syncDirectory, writeFileDurably } from '../platform/files.ts';
import { lockDirectory } from '../platform/lock.ts';
import { openPassphraseRoot } from '../roots/index.ts';
import { backupParts, describeFile, manifestSchema, partContext } from './backup.ts';
import type { Manifest } from './backup.ts';
import { openFromRoot } from './sealed-file.ts';

/** What was restored, and what was there already and was kept. */
export interface Restored {
  readonly dataDirectory: string;
  readonly createdAt: number;
  readonly logs: Manifest['logs'];
  readonly restored: readonly string[];
  readonly kept: readonly string[];
}

/**
 * Restores a self-backup into a data directory that has no database. The whole backup is checked and opened first; only then
 * is anything put in its place. A shred store, a root of trust and a configuration that are there already are newer than the
 * backup's and are kept. The anchor is never touched: it decides whether the restored database may be used.
 */
export async function restoreInstance(path: string, source: string): Promise<Restored> {
  const manifest = readManifest(source);
  const directory = dataDirectory(path);
  if (existsSync(directory.database)) throw new StartupError('restore.target_not_empty', directory.database);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const lock = lockDirectory(directory.lock);
  const staging = join(path, `restoring-${process.pid}`);
  try {
    const { restored, kept } = await stage(source, directory, staging);
    return { dataDirectory: path, createdAt: manifest.createdAt, logs: manifest.logs, restored, kept };
  } finally {
    rmSync(staging, { recursive: true, force: true });
    lock.release();
  }
}

async function stage(source: string, directory: ReturnType<typeof dataDirectory>, staging: string) {
  for (const folder of ['root', 'state', 'shred'])
    mkdirSync(join(staging, folder), { recursive: true, mode: 0o700 });
  for (const [part, target] of [
    [backupParts.configuration, 'trialkeep.json'],
    [backupParts.root, 'root/root.json'],
    [backupParts.epoch, 'root/epoch.json'],
  ] as const) {
    writeFileDurably(join(staging, target), readFileSync(join(source, part)));
  }
  const passphrase = join(directory.root, 'passphrase');
  if (existsSync(passphrase)) writeFileDurably(join(staging, 'root', 'passphrase'), readFileSync(passphrase));
  const root = openPassphraseRoot(join(staging, 'root'));
  const database = join(staging, 'state', 'trialkeep.db');
  await openFromRoot(root, join(source, backupParts.database), database, partContext('database'));
  const shredStore = join(staging, 'shred', 'shred.db');
  await openFromRoot(root, join(source, backupParts.shredStore), shredStore, partContext('shred-store'));

  const restored: string[] = [];
  const kept: string[] = [];
  const place = (from: string, target: string): void => {
    if (existsSync(target)) {
      kept.push(target);
      return;
    }
    mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
    renameSync(join(staging, from), target);
    syncDirectory(dirname(target));
    restored.push(target);
  };
  place('trialkeep.json', directory.configuration);
  place('root/root.json', join(directory.root, 'root.json'));
  place('root/epoch.json', join(directory.root, 'epoch.json'));
  place('shred/shred.db', directory.shredStore);
  // The database last: with it the restore is complete, without it it can simply be run again.
  place('state/trialkeep.db', directory.database);
  return { restored, kept };
}

/** Reads the manifest and holds every file against it. */
function readManifest(source: string): Manifest {
  const file = join(source, 'manifest.json');
  if (!existsSync(file)) throw new StartupError('backup.missing', source);
  let manifest: unknown;
  try {
    manifest = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new StartupError('backup.damaged', file, error);
  }
  if (!Value.Check(manifestSchema, manifest)) throw new StartupError('backup.damaged', file);
  for (const part of Object.values(backupParts)) {
    const expected = manifest.files.find((described) => described.path === part);
    if (expected === undefined || !existsSync(join(source, part)))
      throw new StartupError('backup.damaged', part);
    const found = describeFile(join(source, part));
    if (found.bytes !== expected.bytes || found.sha256 !== expected.sha256) {
      throw new StartupError('backup.damaged', part);
    }
  }
  return manifest;
}
