import type { KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Ledger } from '../audit/index.ts';
import { hsmOf } from '../hsm/index.ts';
import { Hierarchy } from '../keys/index.ts';
import type { Clock } from '../platform/clock.ts';
import { dataDirectory, databaseLocations, readConfiguration, withRoot } from '../platform/config.ts';
import type { Configuration, DataDirectory } from '../platform/config.ts';
import { assertOneInstallation, databaseStartupError, openDatabase } from '../platform/database.ts';
import type { Database, DatabaseLocations } from '../platform/database.ts';
import { DatabaseError } from '../platform/database-error.ts';
import { StartupError } from '../platform/errors.ts';
import { lockDirectory } from '../platform/lock.ts';
import type { DirectoryLock } from '../platform/lock.ts';
import { assertProcess, processFacts } from '../platform/process/index.ts';
import { SpaceReserve, noReserve } from '../platform/reserve.ts';
import type { Reserve } from '../platform/reserve.ts';
import { FollowedEpochs, openRoot, sharedEpochFolder } from '../roots/index.ts';
import type { Epochs, RootOfTrust } from '../roots/index.ts';
import { ShredStore } from '../shred/index.ts';
import { RootLeases, TenantRootFolder } from '../tenant-roots/index.ts';
import { assertProfile, factsOfFolder } from './installation.ts';
import { sweepLeftovers } from './leftovers.ts';
import { instancePlace } from './place.ts';
import { checkRootRows, followersOf, wrappedUnder } from './root-rows.ts';
import * as store from './store.ts';

/** An opened instance: everything that answers requests is built from these. */
export interface OpenInstance {
  readonly directory: DataDirectory;
  readonly configuration: Configuration;
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly root: RootOfTrust;
  /** What the root has wrapped; tenants' keys and signing keys are wrapped under it. */
  readonly instanceKey: KeyObject;
  readonly epochs: Epochs;
  readonly shred: ShredStore;
  readonly ledger: Ledger;
  /** The roots of trust of tenants that hold their own keys, and the leases on what those have unwrapped. */
  readonly tenantRoots: { readonly folder: TenantRootFolder; readonly leases: RootLeases };
  readonly reserve: Reserve;
  /** Where the database is behind or beside the anchor; empty when nothing speaks against it. */
  readonly recovery: readonly string[];
  close(): Promise<void>;
}

/** What opening needs beside the data directory. */
export interface OpenParts {
  readonly clock: Clock;
  /** Where the environment says, unless they are named. */
  readonly databases?: DatabaseLocations;
  /** The folder of the root of trust, where it is neither the configuration's nor the environment's. */
  readonly rootFolder?: string;
  /** Whether this goes on with a replacement of the root of trust, which keeps everything else from opening. */
  readonly isReplacement?: boolean;
  /** The lock of the data directory, where this process has it already; it is given back with the instance. */
  readonly lock?: DirectoryLock;
  readonly notes: { warn(details: object, message: string): void };
  /** Told when a database can no longer be written, or was put back underneath: the process must end. */
  readonly onDown?: (error: Error) => void;
}

/** Opens a data directory for this process alone, or says what is wrong with it. */
export async function openInstance(path: string, parts: OpenParts): Promise<OpenInstance> {
  const configuration = readConfiguration(dataDirectory(path));
  const configured = withRoot(dataDirectory(path), configuration);
  const directory = { ...configured, root: parts.rootFolder ?? configured.root };
  assertProfile(configuration.profile, factsOfFolder(directory));
  assertProcess(configuration, processFacts());
  const databases = parts.databases ?? databaseLocations(directory, process.env);
  const lock = parts.lock ?? lockDirectory(directory.lock);
  try {
    sweepLeftovers(directory);
    return await open(directory, configuration, lock, { ...parts, databases });
  } catch (error) {
    lock.release();
    if (error instanceof DatabaseError) throw databaseStartupError(error, databases.main);
    throw error;
  }
}

/**
 * Finds out, without the root of trust, what would keep the installation from being opened, before people are asked to come for it.
 *
 * @returns the lock of the data directory, which the caller hands on or releases
 * @throws StartupError as `openInstance`
 */
export async function assertOpenable(
  directory: DataDirectory,
  configuration: Configuration,
): Promise<DirectoryLock> {
  assertProfile(configuration.profile, factsOfFolder(directory));
  assertProcess(configuration, processFacts());
  const databases = databaseLocations(directory, process.env);
  const lock = lockDirectory(directory.lock);
  try {
    assertPresent(databases);
    await assertOneInstallation(databases);
    await (await openDatabase(databases.main, 'main')).close();
    await (await ShredStore.open(databases.shred)).close();
    return lock;
  } catch (error) {
    lock.release();
    if (error instanceof DatabaseError) throw databaseStartupError(error, databases.main);
    throw error;
  }
}

/** Files of SQLite that are not there are lost, or the databases are elsewhere and nobody has said where. */
export function assertPresent({ main, shred }: DatabaseLocations): void {
  if (typeof main !== 'string' || typeof shred !== 'string') return;
  const missing = [main, shred].filter((file) => !existsSync(file));
  if (missing.length === 2) throw new StartupError('database.location_missing', `${main}, ${shred}`);
  if (missing[0] !== undefined) throw new StartupError('database.missing', missing[0]);
}

/** The database was made for this configuration. @throws StartupError `profile.promotion`, `config.invalid` */
function assertFits({ profile, region, origin }: Configuration, instance: store.InstanceRow): void {
  if (instance.profile !== profile) throw new StartupError('profile.promotion');
  if (instance.region === region && instance.origin === origin) return;
  throw new StartupError(
    'config.invalid',
    'Its region or origin is not the one that the database was made with.',
  );
}

/** On a server there may be other nodes, each of which has to have the same epoch keys. */
function warnOfSharing({ dialect }: Database, directory: DataDirectory, notes: OpenParts['notes']): void {
  if (sharedEpochFolder() === undefined && dialect === 'postgres') {
    notes.warn(
      { folder: directory.root },
      'TRIALKEEP_EPOCH_FOLDER is not set: that is right for one node only (docs/how-to/run-on-postgresql.md).',
    );
  }
}

/** What a crash, or another node that did not know of a root yet, has left behind. A root that is away keeps nothing from starting. */
async function followAtStart(epochs: FollowedEpochs, notes: OpenParts['notes']): Promise<void> {
  try {
    await epochs.follow();
  } catch (error) {
    if (!(error instanceof StartupError)) throw error;
    notes.warn(
      { error: error.message },
      'Another root of trust lacks epoch keys: trialkeep self root check.',
    );
  }
}

function openTenantRoots(directory: DataDirectory, { profile }: Configuration, clock: Clock) {
  const folder = new TenantRootFolder(directory, profile);
  const leases = new RootLeases({ open: (tenant, root) => folder.open(tenant, root), clock });
  return { folder, leases };
}

/** @throws StartupError `root.replacing` where a replacement of the root of trust was begun, and this does not go on with it */
async function readRoots(database: Database, isReplacement: boolean): Promise<store.RootRow[]> {
  const { roots, isReplacing } = await database.read(async (snapshot) => ({
    roots: await store.listRoots(snapshot),
    isReplacing: await store.isReplacing(snapshot),
  }));
  if (isReplacing && !isReplacement) throw new StartupError('root.replacing');
  return roots;
}

async function openMain(databases: DatabaseLocations, onDown: OpenParts['onDown']): Promise<Database> {
  assertPresent(databases);
  await assertOneInstallation(databases);
  return openDatabase(databases.main, 'main', onDown);
}

async function findFitting(database: Database, configuration: Configuration): Promise<store.InstanceRow> {
  const instance = await database.read((snapshot) => store.findInstance(snapshot));
  if (instance === undefined) throw new StartupError('database.damaged', 'It was never finished.');
  assertFits(configuration, instance);
  return instance;
}

/** On a server's disk there is nothing to reserve. */
function reserveOf({ dialect }: Database, directory: DataDirectory, clock: Clock): Reserve {
  return dialect === 'sqlite' ? new SpaceReserve(join(directory.state, 'reserve'), clock) : noReserve;
}

async function open(
  directory: DataDirectory,
  configuration: Configuration,
  lock: DirectoryLock,
  { clock, notes, onDown, databases, isReplacement = false }: OpenParts & { databases: DatabaseLocations },
): Promise<OpenInstance> {
  const database = await openMain(databases, onDown);
  let shred: ShredStore | undefined;
  let opened: RootOfTrust | undefined;
  let leases: RootLeases | undefined;
  const tokenKeys = hsmOf(directory.path, process.env, notes);
  const closeAll = async (): Promise<void> => {
    await tokenKeys?.close();
    await leases?.close();
    await database.close();
    await shred?.close();
    await opened?.close();
  };
  try {
    shred = await ShredStore.open(databases.shred, onDown);
    const roots = await readRoots(database, isReplacement);
    warnOfSharing(database, directory, notes);
    const { root } = await openRoot(directory.root);
    opened = root;
    const instance = await findFitting(database, configuration);
    const instanceKey = await root.unwrap(instancePlace(instance.id), wrappedUnder(root, instance, roots));
    const epochs = new FollowedEpochs(directory.root, root, followersOf(directory, database, root.id));
    epochs.sweep();
    await shred.advance(await epochs.open(await shred.epoch()));
    const tenantRoots = openTenantRoots(directory, configuration, clock);
    leases = tenantRoots.leases;
    const hierarchy = new Hierarchy({ epochs, instanceKey, database, shred, ownRoots: leases, tokenKeys });
    leases.whenOver((tenant) => hierarchy.releaseTenant(tenant));
    checkRootRows(await hierarchy.rowKey(null), roots);
    const ledger = new Ledger({
      database,
      hierarchy,
      clock,
      anchorFolder: directory.anchor,
      notes,
      onRolledBack: (reason) => onDown?.(new Error(reason)),
    });
    const recovery = await ledger.openAll();
    if (recovery.length === 0) await followAtStart(epochs, notes);
    const close = async (): Promise<void> => {
      await ledger.stop();
      await closeAll();
      lock.release();
    };
    return {
      directory,
      configuration,
      database,
      hierarchy,
      root,
      instanceKey,
      epochs,
      shred,
      ledger,
      tenantRoots,
      reserve: reserveOf(database, directory, clock),
      recovery,
      close,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}
