import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { Value } from 'typebox/value';
import { AnchorFolder } from '../audit/index.ts';
import { dataDirectory, databaseLocations, readConfiguration, withRoot } from '../platform/config.ts';
import type { DataDirectory } from '../platform/config.ts';
import { StartupError } from '../platform/errors.ts';
import { syncDirectory, writeFileDurably } from '../platform/files.ts';
import { lockDirectory } from '../platform/lock.ts';
import { describeRoot, epochBundle, openRoot } from '../roots/index.ts';
import { backupParts, manifestSchema, partContext } from './backup.ts';
import type { Manifest } from './backup.ts';
import { sideFiles, stagingFolder, sweepLeftovers } from './leftovers.ts';
import { describeFile, openFromRoot } from './sealed-file.ts';
import { readLogs, sizesOf } from './snapshot.ts';
import type { LogState } from './snapshot.ts';

/** Longest manifest, configuration, or file of the root of trust that is read, bytes. */
const maxPlainBytes = 64 * 1024;

/** What was restored, and what was there already and was kept. */
export interface Restored {
  readonly dataDirectory: string;
  /** When the backup was begun, ms since 1970. */
  readonly createdAt: number;
  /** The size of each log in the restored database, by origin. */
  readonly logs: Readonly<Record<string, number>>;
  readonly restored: readonly string[];
  readonly kept: readonly string[];
  /**
   * `kept`: the server compares every log of the restored database with it. `missing`: it lacks logs, and the server stays in
   * recovery. `accepted`: it lacked logs, and the restored database's own checkpoints of them were put in.
   */
  readonly anchor: 'kept' | 'missing' | 'accepted';
  /** The logs that the anchor lacks or lacked: the sizes of their newest checkpoints in the restored database, by origin. */
  readonly unanchored: Readonly<Record<string, number>>;
}

/**
 * Restores a self-backup into a data directory that has no database. The whole backup is checked and opened first; only then
 * is anything put in its place. A shred store, a root of trust and a configuration that are there already are newer than the
 * backup's and are kept. The anchor decides whether the restored database may be used and is left alone; only for logs that it
 * lacks can `acceptLostAnchor` put in the restored database's own checkpoints, as if nothing newer had ever been.
 */
export async function restoreInstance(
  path: string,
  source: string,
  { acceptLostAnchor = false }: { acceptLostAnchor?: boolean } = {},
): Promise<Restored> {
  if (typeof databaseLocations(dataDirectory(path), process.env).main !== 'string') {
    throw new StartupError('backup.postgresql');
  }
  const manifest = await readManifest(source);
  const directory = configuredDirectory(path, source);
  mkdirSync(path, { recursive: true, mode: 0o700 });
  const lock = lockDirectory(directory.lock);
  const staging = stagingFolder(directory);
  try {
    refuseOccupied(directory);
    sweepLeftovers(directory);
    const staged = dataDirectory(staging);
    const logs = await stage(source, manifest, directory, staged);
    const { anchor, unanchored } = settleAnchor(directory, logs, acceptLostAnchor);
    const { restored, kept } = placeAll(staged, directory);
    const { createdAt } = manifest;
    return { dataDirectory: path, createdAt, logs: sizesOf(logs), restored, kept, anchor, unanchored };
  } finally {
    rmSync(staging, { recursive: true, force: true });
    lock.release();
  }
}

/**
 * Where everything is to lie: as the configuration says that is there, or that of the backup. Nobody vouches for the backup's before
 * what is sealed has been opened: by itself it names no folder of a root outside of the data directory.
 */
function configuredDirectory(path: string, source: string): DataDirectory {
  const directory = dataDirectory(path);
  if (existsSync(directory.configuration)) return withRoot(directory, readConfiguration(directory));
  const found = readConfiguration({ ...directory, configuration: join(source, backupParts.configuration) });
  const configured = withRoot(directory, found);
  const root = resolve(directory.path, found.root ?? 'root');
  const isOutside = /^\.\.(\/|$)/.test(relative(directory.path, root));
  // TRIALKEEP_ROOT is the operator's word.
  const isConfirmed = process.env['TRIALKEEP_ROOT'] !== undefined && configured.root === root;
  if (isOutside && !isConfirmed) throw new StartupError('restore.root_elsewhere', root);
  return configured;
}

/** What a lost database has left beside itself would be played into the one that is put there. */
function refuseOccupied({ database }: DataDirectory): void {
  const found = [database, ...sideFiles(database)].find((file) => existsSync(file));
  if (found !== undefined) throw new StartupError('restore.target_not_empty', found);
}

/** Where each part of a backup lies in a data directory; those that are not sealed first. */
const places: readonly (readonly [part: string, of: (directory: DataDirectory) => string])[] = [
  [backupParts.configuration, ({ configuration }) => configuration],
  [backupParts.root, ({ root }) => join(root, 'root.json')],
  [backupParts.epoch, ({ root }) => join(root, 'epoch.json')],
  [backupParts.shredStore, ({ shredStore }) => shredStore],
  // The database last: with it the restore is complete, without it it can simply be run again.
  [backupParts.database, ({ database }) => database],
];
const plainPlaces = places.slice(0, 3);

/**
 * Prepares and checks the data directory as it will be: the files that are there already, and the rest from the backup. The
 * passphrase is read where it lies. Gives the logs of the database.
 */
async function stage(
  source: string,
  manifest: Manifest,
  directory: DataDirectory,
  staged: DataDirectory,
): Promise<LogState[]> {
  const presentRoot = join(directory.root, 'root.json');
  // A root that is held in shares may have a new set of them since.
  const isOther = (): boolean =>
    describeRoot(directory.root).id !== describeRoot(dirname(join(source, backupParts.root))).id;
  if (!existsSync(presentRoot)) assertProvenByOpening(dirname(join(source, backupParts.root)), presentRoot);
  else if (isOther()) throw new StartupError('restore.other_root', presentRoot);
  for (const [, of] of places) mkdirSync(dirname(of(staged)), { recursive: true, mode: 0o700 });
  for (const [part, of] of plainPlaces) {
    const present = of(directory);
    const content = part === backupParts.epoch ? presentEpochs(directory) : undefined;
    writeFileDurably(of(staged), content ?? readFileSync(existsSync(present) ? present : join(source, part)));
  }
  readConfiguration(staged);
  const { root } = await openRoot(staged.root, directory.root);
  const sealed = [
    [backupParts.database, staged.database, partContext('database', manifest)],
    [backupParts.shredStore, staged.shredStore, partContext('shred-store', manifest)],
  ] as const;
  try {
    for (const [part, target, context] of sealed)
      await openFromRoot(root, join(source, part), target, context);
  } finally {
    await root.close();
  }
  return readLogs(staged.database);
}

/** Kinds whose root.json proves itself: it opens only with the passphrase, or the shares, that the operator has. */
const provenByOpening: readonly string[] = ['passphrase', 'shares'];

/**
 * Refuses the backup's root.json where it says what is loaded or asked: a library of an attacker would run, and a service of theirs would
 * open whatever they have sealed to it. The operator puts their own copy in its place instead.
 */
function assertProvenByOpening(folder: string, place: string): void {
  const { kind } = describeRoot(folder);
  if (!provenByOpening.includes(kind))
    throw new StartupError('restore.root_unconfirmed', `${place} (${kind})`);
}

/** The epoch keys that are there, under whatever names, as one file; undefined where there is none. */
function presentEpochs({ root }: DataDirectory): string | undefined {
  const found = existsSync(root) ? epochBundle(root) : undefined;
  return found === undefined || found.numbers.length === 0 ? undefined : found.content;
}

/** Says which signed logs the anchor lacks; puts their newest checkpoints into it where that is accepted. */
function settleAnchor(
  directory: DataDirectory,
  logs: readonly LogState[],
  acceptLost: boolean,
): Pick<Restored, 'anchor' | 'unanchored'> {
  const folder = new AnchorFolder(directory.anchor);
  const anchored = new Set(
    folder.read().map(({ note }) => Buffer.from(note).toString('utf8').split('\n', 1)[0]),
  );
  const lacking = logs.flatMap(({ origin, checkpoint }) =>
    checkpoint === undefined || anchored.has(origin) ? [] : [{ origin, ...checkpoint }],
  );
  if (acceptLost) for (const { origin, note } of lacking) folder.write(origin, Buffer.from(note, 'utf8'));
  const lost = acceptLost ? 'accepted' : 'missing';
  return { anchor: lacking.length === 0 ? 'kept' : lost, unanchored: sizesOf(lacking) };
}

/** Moves into the data directory what it lacks. */
function placeAll(staged: DataDirectory, directory: DataDirectory): Pick<Restored, 'restored' | 'kept'> {
  // Nothing opens what a lost shred store has left beside itself; it would be played into the one that is put there.
  if (!existsSync(directory.shredStore))
    for (const file of sideFiles(directory.shredStore)) rmSync(file, { force: true });
  const restored: string[] = [];
  const kept: string[] = [];
  const hasEpochs = presentEpochs(directory) !== undefined;
  for (const [part, of] of places) {
    const target = of(directory);
    if (existsSync(target) || (part === backupParts.epoch && hasEpochs)) {
      kept.push(target);
      continue;
    }
    const folder = dirname(target);
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    renameSync(of(staged), target);
    for (const changed of [folder, dirname(folder)]) syncDirectory(changed);
    restored.push(target);
  }
  return { restored, kept };
}

/** Reads the manifest and holds every file against it. */
async function readManifest(source: string): Promise<Manifest> {
  const file = join(source, 'manifest.json');
  if (!existsSync(file)) throw new StartupError('backup.missing', source);
  let manifest: unknown;
  try {
    if (statSync(file).size > maxPlainBytes) throw new RangeError(`It has more than ${maxPlainBytes} bytes.`);
    manifest = JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    throw new StartupError('backup.damaged', file, error);
  }
  if (!Value.Check(manifestSchema, manifest)) throw new StartupError('backup.damaged', file);
  for (const [part] of places) {
    const expected = manifest.files.find((described) => described.path === part);
    if (expected === undefined || !existsSync(join(source, part)))
      throw new StartupError('backup.damaged', part);
    const isPlain = plainPlaces.some(([plain]) => plain === part);
    const found =
      isPlain && expected.bytes > maxPlainBytes ? undefined : await describeFile(join(source, part));
    if (found?.bytes !== expected.bytes || found.sha256 !== expected.sha256) {
      throw new StartupError('backup.damaged', part);
    }
  }
  return manifest;
}
