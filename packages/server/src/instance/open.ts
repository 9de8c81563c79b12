import { existsSync } from 'node:fs';
import { Ledger } from '../audit/index.ts';
import { Hierarchy } from '../keys/index.ts';
import type { Clock } from '../platform/clock.ts';
import { dataDirectory, readConfiguration } from '../platform/config.ts';
import type { Configuration, DataDirectory } from '../platform/config.ts';
import { databaseStartupError, openDatabase } from '../platform/database.ts';
import type { Database } from '../platform/database.ts';
import { DatabaseError } from '../platform/database-error.ts';
import { StartupError } from '../platform/errors.ts';
import { lockDirectory } from '../platform/lock.ts';
import type { DirectoryLock } from '../platform/lock.ts';
import { profileRefusals } from '../platform/profile.ts';
import type { Installation } from '../platform/profile.ts';
import { openPassphraseRoot } from '../roots/index.ts';
import type { RootOfTrust } from '../roots/index.ts';
import { ShredStore } from '../shred/index.ts';
import { sweepLeftovers } from './leftovers.ts';
import { instancePlace } from './place.ts';
import * as store from './store.ts';

/** What this version can be installed as; the roots and transports to come add to it. */
export const presentInstallation: Installation = {
  rootOfTrust: 'passphrase',
  transport: 'http',
  approvers: 1,
};

/** An opened instance: everything that answers requests is built from these. */
export interface OpenInstance {
  readonly directory: DataDirectory;
  readonly configuration: Configuration;
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly root: RootOfTrust;
  readonly ledger: Ledger;
  /** Where the database is behind or beside the anchor; empty when nothing speaks against it. */
  readonly recovery: readonly string[];
  close(): Promise<void>;
}

/** What opening needs beside the data directory. */
export interface OpenParts {
  readonly clock: Clock;
  readonly notes: { warn(details: object, message: string): void };
  /** Told when a database can no longer be written. */
  readonly onDown?: (error: Error) => void;
}

/** Opens a data directory for this process alone, or says what is wrong with it. */
export async function openInstance(path: string, parts: OpenParts): Promise<OpenInstance> {
  const directory = dataDirectory(path);
  const configuration = readConfiguration(directory);
  const refusals = profileRefusals(configuration.profile, presentInstallation);
  if (refusals.length > 0) throw new StartupError('profile.regulated', `${refusals.join('; ')}.`);
  const lock = lockDirectory(directory.lock);
  try {
    sweepLeftovers(directory);
    return await open(directory, configuration, lock, parts);
  } catch (error) {
    lock.release();
    if (error instanceof DatabaseError) throw databaseStartupError(error, directory.database);
    throw error;
  }
}

async function open(
  directory: DataDirectory,
  configuration: Configuration,
  lock: DirectoryLock,
  { clock, notes, onDown }: OpenParts,
): Promise<OpenInstance> {
  if (!existsSync(directory.shredStore)) throw new StartupError('database.missing', directory.shredStore);
  const database = openDatabase(directory.database, 'main', onDown);
  let shred: ShredStore | undefined;
  const closeAll = async (): Promise<void> => {
    await database.close();
    await shred?.close();
  };
  try {
    shred = ShredStore.open(directory.shredStore, onDown);
    const root = await openPassphraseRoot(directory.root);
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
    const hierarchy = new Hierarchy({ root, instanceKey, database, shred });
    const ledger = new Ledger({ database, hierarchy, clock, anchorFolder: directory.anchor, notes });
    const recovery = await ledger.open();
    const close = async (): Promise<void> => {
      await ledger.stop();
      await closeAll();
      lock.release();
    };
    return { directory, configuration, database, hierarchy, root, ledger, recovery, close };
  } catch (error) {
    await closeAll();
    throw error;
  }
}
