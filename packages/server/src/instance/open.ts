import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { operations } from '@trialkeep/contract';
import type { Operation } from '@trialkeep/contract';
import { Ledger } from '../audit/index.ts';
import { Hierarchy } from '../keys/index.ts';
import type { Clock } from '../platform/clock.ts';
import { dataDirectory, databaseLocations, readConfiguration } from '../platform/config.ts';
import type { Configuration, DataDirectory } from '../platform/config.ts';
import { assertOneInstallation, databaseStartupError, openDatabase } from '../platform/database.ts';
import type { Database, DatabaseLocations } from '../platform/database.ts';
import { DatabaseError } from '../platform/database-error.ts';
import { StartupError } from '../platform/errors.ts';
import { lockDirectory } from '../platform/lock.ts';
import type { DirectoryLock } from '../platform/lock.ts';
import { profileRefusals } from '../platform/profile.ts';
import type { Installation } from '../platform/profile.ts';
import { SpaceReserve, noReserve } from '../platform/reserve.ts';
import type { Reserve } from '../platform/reserve.ts';
import { openRoot } from '../roots/index.ts';
import type { Epochs, RootOfTrust } from '../roots/index.ts';
import { ShredStore } from '../shred/index.ts';
import { sweepLeftovers } from './leftovers.ts';
import { instancePlace } from './place.ts';
import * as store from './store.ts';

/** What this version can be installed as; the roots and transports to come add to it. */
export const presentInstallation: Installation = {
  rootOfTrust: 'passphrase',
  transport: 'http',
  approvers: Math.min(
    ...Object.values<Operation>(operations).flatMap(({ approval }) => approval?.people ?? []),
  ),
};

/** An opened instance: everything that answers requests is built from these. */
export interface OpenInstance {
  readonly directory: DataDirectory;
  readonly configuration: Configuration;
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly root: RootOfTrust;
  readonly epochs: Epochs;
  readonly shred: ShredStore;
  readonly ledger: Ledger;
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
  readonly notes: { warn(details: object, message: string): void };
  /** Told when a database can no longer be written, or was put back underneath: the process must end. */
  readonly onDown?: (error: Error) => void;
}

/** Opens a data directory for this process alone, or says what is wrong with it. */
export async function openInstance(path: string, parts: OpenParts): Promise<OpenInstance> {
  const directory = dataDirectory(path);
  const configuration = readConfiguration(directory);
  const refusals = profileRefusals(configuration.profile, presentInstallation);
  if (refusals.length > 0) throw new StartupError('profile.regulated', `${refusals.join('; ')}.`);
  const databases = parts.databases ?? databaseLocations(directory, process.env);
  const lock = lockDirectory(directory.lock);
  try {
    sweepLeftovers(directory);
    return await open(directory, configuration, lock, { ...parts, databases });
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

async function open(
  directory: DataDirectory,
  configuration: Configuration,
  lock: DirectoryLock,
  { clock, notes, onDown, databases }: OpenParts & { databases: DatabaseLocations },
): Promise<OpenInstance> {
  assertPresent(databases);
  await assertOneInstallation(databases);
  const database = await openDatabase(databases.main, 'main', onDown);
  let shred: ShredStore | undefined;
  const closeAll = async (): Promise<void> => {
    await database.close();
    await shred?.close();
  };
  try {
    shred = await ShredStore.open(databases.shred, onDown);
    const { root, epochs } = await openRoot(directory.root);
    const instance = await database.read((snapshot) => store.findInstance(snapshot));
    if (instance === undefined) throw new StartupError('database.damaged', 'It was never finished.');
    if (instance.profile !== configuration.profile) throw new StartupError('profile.promotion');
    if (instance.region !== configuration.region || instance.origin !== configuration.origin) {
      throw new StartupError(
        'config.invalid',
        'Its region or origin is not the one that the database was made with.',
      );
    }
    if (instance.root_id !== root.id) {
      throw new StartupError('root.passphrase_wrong', 'The database belongs to another root of trust.');
    }
    const instanceKey = await root.unwrap(instancePlace(instance.id), instance.wrapped_key);
    const hierarchy = new Hierarchy({ epochs, instanceKey, database, shred });
    const ledger = new Ledger({
      database,
      hierarchy,
      clock,
      anchorFolder: directory.anchor,
      notes,
      onRolledBack: (reason) => onDown?.(new Error(reason)),
    });
    const recovery = await ledger.openAll();
    const onDisk = database.dialect === 'sqlite';
    const reserve = onDisk ? new SpaceReserve(join(directory.state, 'reserve'), clock) : noReserve;
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
      epochs,
      shred,
      ledger,
      reserve,
      recovery,
      close,
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}
