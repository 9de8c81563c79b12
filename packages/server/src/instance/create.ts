import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { generateCredential, generateKey } from '@trialkeep/crypto';
import { createCredential } from '../access/index.ts';
import { Ledger } from '../audit/index.ts';
import { Hierarchy } from '../keys/index.ts';
import { systemClock } from '../platform/clock.ts';
import { dataDirectory, databaseLocations } from '../platform/config.ts';
import type { Configuration, Profile } from '../platform/config.ts';
import { createDatabase, openDatabase } from '../platform/database.ts';
import type { DatabaseLocations } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import { syncDirectory, writeFileDurably } from '../platform/files.ts';
import { newId } from '../platform/ids.ts';
import { createRoot, passphraseFile } from '../roots/index.ts';
import type { RootKind, RootSettings } from '../roots/index.ts';
import { ShredStore } from '../shred/index.ts';
import { assertProfile, factsOfSettings, settingsUnder } from './installation.ts';
import { instancePlace } from './place.ts';
import { rootRow, sealedRoot } from './root-rows.ts';
import * as store from './store.ts';

/** What the operator is told once. */
export interface CreatedInstance {
  readonly dataDirectory: string;
  readonly profile: Profile;
  readonly rootOfTrust: RootKind;
  /** Of a root of trust that is a passphrase. */
  readonly passphraseFile?: string;
  readonly administrator: { readonly id: string; readonly secret: string };
}

/**
 * Makes a data directory: configuration, root of trust, databases, the instance's log and its first administrator. All of it
 * is made beside the target and moved there as a whole, so that a crash leaves no half of it; databases on a server, which
 * must be empty, are filled last.
 *
 * @param databases where the environment says, unless they are named
 * @param settings of the root of trust; a passphrase unless they are given
 */
export async function createInstance(
  path: string,
  profile: Profile,
  region: string,
  databases?: DatabaseLocations,
  settings: RootSettings = { kind: 'passphrase' },
): Promise<CreatedInstance> {
  const under = settingsUnder(profile, settings);
  const directory = dataDirectory(path);
  assertProfile(profile, factsOfSettings(directory, under));
  const free = !existsSync(path) || (statSync(path).isDirectory() && readdirSync(path).length === 0);
  if (!free) throw new StartupError('data.not_empty', path);
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = mkdtempSync(`${path}.new-`);
  const outside: (() => void)[] = [];
  try {
    const administrator = await fill(draft, profile, region, databases, under, outside);
    moveTo(draft, path);
    syncDirectory(dirname(path));
    return {
      dataDirectory: path,
      profile,
      rootOfTrust: under.kind,
      ...(under.kind === 'passphrase' && {
        passphraseFile: passphraseFile({ secretsFolder: directory.root, isFirst: true }),
      }),
      administrator,
    };
  } catch (error) {
    try {
      for (const takeBack of outside) takeBack();
    } finally {
      rmSync(draft, { recursive: true, force: true });
    }
    throw error;
  }
}

/** rename(2) replaces an empty directory, and nothing else: of several at once one wins. */
function moveTo(draft: string, path: string): void {
  try {
    renameSync(draft, path);
  } catch (error) {
    const taken = ['ENOTEMPTY', 'EEXIST', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
    throw taken ? new StartupError('data.not_empty', path, error) : error;
  }
}

/** @param outside gets what takes back the things that were made outside of the draft */
async function fill(
  path: string,
  profile: Profile,
  region: string,
  databases: DatabaseLocations | undefined,
  settings: RootSettings,
  outside: (() => void)[],
) {
  const directory = dataDirectory(path);
  const { main, shred: shredStore } = databases ?? databaseLocations(directory, process.env);
  makeFolders(main, shredStore);
  const id = newId();
  const configuration: Configuration = { format: 1, profile, region, origin: `trialkeep.localhost/${id}` };
  writeFileDurably(directory.configuration, `${JSON.stringify(configuration, null, 2)}\n`);
  const { root, epochs } = await createRoot(directory.root, settings, async () => {
    await createDatabase(main, 'main', id);
    await createDatabase(shredStore, 'shred', id);
  });
  // The first epoch key lies in the draft, or in the folder that nodes share.
  outside.push(() => epochs.withdrawFirst());
  const database = await openDatabase(main, 'main');
  let shred: ShredStore | undefined;
  try {
    shred = await ShredStore.open(shredStore);
    await shred.advance(await epochs.current());
    const instanceKey = generateKey('AES_256');
    const hierarchy = new Hierarchy({ epochs, instanceKey, database, shred });
    const notes = { warn: () => undefined };
    const anchorFolder = directory.anchor;
    const ledger = new Ledger({ database, hierarchy, clock: systemClock, anchorFolder, notes });
    const origin = `${configuration.origin}/instance`;
    const log = ledger.newLog(origin, null, instanceKey);
    const rowKey = await hierarchy.rowKey(null);
    const secret = generateCredential();
    const wrapped_key = await root.wrap(instancePlace(id), instanceKey);
    const opened = await database.write(async (tx) => {
      const time = await store.readTime(tx);
      await store.insertInstance(tx, {
        singleton: 1,
        id,
        profile,
        region,
        origin: configuration.origin,
        root_id: root.id,
        wrapped_key,
        created_at: time,
      });
      await store.putRoot(
        tx,
        sealedRoot(rowKey, { ...rootRow(root, 'root', directory.root, time), wrapped_key, state: 'active' }),
      );
      const genesis = { operation: 'instance.create', outcome: 'success' as const, recorded: {} };
      const stored = await log.store(tx, time, genesis, { profile, region, rootOfTrust: root.kind });
      const made = {
        log: stored.log,
        name: 'first administrator',
        role: 'instance-administrator' as const,
        secret,
        time,
      };
      return { administrator: await createCredential(tx, rowKey, made), open: stored.opened };
    });
    await opened.open();
    return { id: opened.administrator, secret };
  } finally {
    await root.close();
    await database.close();
    await shred?.close();
  }
}

function makeFolders(...locations: DatabaseLocations['main'][]): void {
  for (const file of locations)
    if (typeof file === 'string') mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
}
