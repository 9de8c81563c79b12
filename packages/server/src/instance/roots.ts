import { existsSync } from 'node:fs';
import { relative, resolve } from 'node:path';
import { changeOwn, sealDraft } from '../audit/index.ts';
import { systemClock } from '../platform/clock.ts';
import { dataDirectory, databaseLocations, readConfiguration, withRoot } from '../platform/config.ts';
import { openDatabase } from '../platform/database.ts';
import type { Tx } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import type { StartupErrorCode } from '../platform/errors.ts';
import { FactsCache } from '../platform/facts.ts';
import { writeFileDurably } from '../platform/files.ts';
import {
  copyEpochs,
  describeRoot,
  dropEpochs,
  epochBundle,
  epochFolder,
  Epochs,
  isBehind,
  makeRoot,
  openRootOnly,
  standbyEpochFolder,
} from '../roots/index.ts';
import type { CryptographicModule, RootOfTrust, RootSettings } from '../roots/index.ts';
import { assertPermitted, needsPermit, takePermit } from '../root-permits/index.ts';
import type { Wanted } from '../root-permits/index.ts';
import { assertProfile, factsOfFolder, factsOfSettings, settingsUnder } from './installation.ts';
import { openInstance } from './open.ts';
import type { OpenInstance } from './open.ts';
import { instancePlace } from './place.ts';
import { openOther, rootFolder, rootRow, sealedRoot, wrappedUnder } from './root-rows.ts';
import * as store from './store.ts';
import type { RootRow } from './store.ts';

/** A root of trust as it is shown. */
export interface RootView {
  readonly id: string;
  readonly kind: string;
  readonly state: RootRow['state'];
  readonly folder: string;
  readonly module?: CryptographicModule;
  readonly certificate?: string;
  /** ms since 1970 */
  readonly madeAt: number;
  readonly changedAt: number;
}

function view(row: RootRow): RootView {
  return {
    id: row.id,
    kind: row.kind,
    state: row.state,
    folder: row.folder,
    ...(row.module !== '' && { module: JSON.parse(row.module) as CryptographicModule }),
    ...(row.certificate !== null && { certificate: row.certificate }),
    madeAt: row.made_at,
    changedAt: row.changed_at,
  };
}

const notes = { warn: () => undefined };

/** Opens the installation for a change of its roots, and closes it again. */
async function withInstance<T>(
  path: string,
  folder: string | undefined,
  work: (instance: OpenInstance) => Promise<T>,
): Promise<T> {
  const parts = { clock: systemClock, notes, ...(folder !== undefined && { rootFolder: folder }) };
  const instance = await openInstance(path, parts);
  try {
    if (instance.recovery.length > 0) throw new StartupError('root.in_recovery', instance.recovery[0]);
    return await work(instance);
  } finally {
    await instance.close();
  }
}

/**
 * Changes the rows of the roots, with an entry in the instance's log: nobody is named as who did it, for whoever runs this has
 * the data directory, and no credential was asked for.
 */
async function change(
  { database, ledger, hierarchy, configuration }: OpenInstance,
  what: {
    readonly operation: string;
    readonly root: string;
    readonly state: RootRow['state'];
    readonly payload: object;
    /** Absent where it was made before, and is only gone on with. */
    readonly permit?: Permission;
  },
  work: (tx: Tx, time: number, seal: (row: Omit<RootRow, 'seal'>) => RootRow) => Promise<void>,
): Promise<void> {
  const log = ledger.logs.find(({ tenant }) => tenant === null);
  if (log === undefined) throw new StartupError('database.damaged', 'The instance has no log.');
  const rowKey = await hierarchy.rowKey(null);
  const facts = new FactsCache(database, () => undefined);
  await changeOwn(ledger, facts, log.id, async (tx, time) => {
    await work(tx, time, (row) => sealedRoot(rowKey, row));
    const { operation, root, state, permit } = what;
    const { breakGlass } = permit ?? {};
    const isNeeded =
      breakGlass === undefined && (await needsPermit(tx, rowKey, log.id, configuration.profile));
    const used =
      permit !== undefined && isNeeded ? await takePermit(tx, rowKey, { ...permit, log: log.id, time }) : {};
    const recorded = {
      key: root,
      state,
      ...used,
      ...(breakGlass !== undefined && { reason: 'break-glass' }),
    };
    const payload = { ...what.payload, ...(breakGlass !== undefined && { breakGlass }) };
    const draft = { operation, outcome: 'success' as const, recorded };
    return { result: true, draft: sealDraft(draft, log.origin, payload, log.payloadKey) };
  });
  await ledger.anchorNow(log.id);
}

/** What a change needs the permit of people for, or why it is made without one. */
type Permission = Omit<Wanted, 'log' | 'time'> & BreakGlass;

/** Why a change is made without the permit of people that it needs; stands in its entry. */
export interface BreakGlass {
  readonly breakGlass?: string | undefined;
}

/** @throws StartupError `root.not_permitted` */
async function requirePermit(
  { database, ledger, hierarchy, configuration: { profile } }: OpenInstance,
  { breakGlass, ...wanted }: Permission,
): Promise<void> {
  if (breakGlass !== undefined) return;
  const { id: log } = ledger.instanceLog;
  const rowKey = await hierarchy.rowKey(null);
  await database.read(async (snapshot) => {
    const time = await store.readTime(snapshot);
    await assertPermitted(snapshot, rowKey, { ...wanted, log, profile, time });
  });
}

/** The rows; of an installation from before, which has none, what the row of the instance says. */
async function rowsOf(
  { database, root, directory }: OpenInstance,
  tx?: Tx,
): Promise<Omit<RootRow, 'seal'>[]> {
  const read = async (snapshot: Tx): Promise<Omit<RootRow, 'seal'>[]> => {
    const rows = await store.listRoots(snapshot);
    if (rows.length > 0) return rows;
    const instance = await store.findInstance(snapshot);
    if (instance === undefined) throw new StartupError('database.damaged', 'It was never finished.');
    const folder = relative(directory.path, directory.root);
    const row = rootRow(root, folder, directory.root, instance.created_at);
    return [{ ...row, state: 'active', wrapped_key: instance.wrapped_key }];
  };
  return tx === undefined ? database.read(read) : read(tx);
}

/**
 * Adds a stand-by root: the instance key and the epoch keys are wrapped under it too, so that the installation can be started
 * with it. Where it was interrupted, the same again goes on from there.
 *
 * @param folder where its root.json is to lie; relative to the data directory, or absolute
 */
export async function addStandby(
  path: string,
  folder: string,
  given: RootSettings,
  { breakGlass }: BreakGlass = {},
): Promise<RootView> {
  return withInstance(path, undefined, async (instance) => {
    const { directory, configuration, epochs, database } = instance;
    const place = resolve(directory.path, folder);
    const settings = settingsUnder(configuration.profile, given);
    // What waits for people to open cannot get the next epoch key by itself.
    if (settings.kind === 'shares') throw new StartupError('config.invalid', 'Shares cannot stand by.');
    assertProfile(configuration.profile, factsOfSettings(directory, settings, place));
    const isThere = existsSync(resolve(place, 'root.json'));
    const permit = { change: 'add-standby', root: null, breakGlass } as const;
    const isAdded = isThere && (await rowsOf(instance)).some(({ id }) => id === describeRoot(place).id);
    if (!isAdded) await requirePermit(instance, permit);
    const root = isThere ? await openRootOnly(place) : await makeRoot(place, settings);
    let copied: string | undefined;
    try {
      if (root.kind !== settings.kind)
        throw new StartupError('root.wrong', `${place} has a root of kind ${root.kind}.`);
      const rows = await rowsOf(instance);
      const known = rows.find(({ id }) => id === root.id);
      if (known !== undefined && known.state !== 'standby')
        throw new StartupError('root.wrong', `${place} has the root that is ${known.state} already.`);
      const follower = { folder: standbyEpochFolder(place, root.id), open: () => openOther(place, root.id) };
      await copyEpochs(epochs, follower);
      if (known === undefined) copied = follower.folder;
      const wrapped_key = await wrapInstanceKey(instance, root);
      const what = { operation: 'instance.add-root', root: root.id, state: 'standby' } as const;
      const payload = { kind: root.kind, folder, module: root.module ?? null };
      const told = { ...what, payload, ...(known === undefined && { permit }) };
      await change(instance, told, async (tx, time, seal) => {
        for (const row of await rowsOf(instance, tx)) await store.putRoot(tx, seal(row));
        const row = { ...rootRow(root, folder, place, time), wrapped_key, state: 'standby' as const };
        await store.putRoot(tx, seal(row));
      });
      copied = undefined;
      // What another node has begun before it could see the row.
      await copyEpochs(epochs, follower);
      return view(await findRow(database, root.id));
    } catch (error) {
      if (copied !== undefined) await dropUnlessAdded(instance, root.id, copied);
      throw error;
    } finally {
      await root.close();
    }
  });
}

/** Nothing would retire epoch keys that were copied for a root that is none, and they open what is erased later. */
async function dropUnlessAdded(instance: OpenInstance, id: string, folder: string): Promise<void> {
  // Where the database does not answer, it may have the root; the same command again goes on from there.
  const rows = await rowsOf(instance).catch(() => undefined);
  if (rows?.some((row) => row.id === id) === false) dropEpochs(folder);
}

async function wrapInstanceKey(
  { instanceKey, database }: OpenInstance,
  root: RootOfTrust,
): Promise<Uint8Array> {
  const instance = await database.read(store.findInstance);
  if (instance === undefined) throw new StartupError('database.damaged', 'It was never finished.');
  const place = instancePlace(instance.id);
  const wrapped = await root.wrap(place, instanceKey);
  if (!instanceKey.equals(await root.unwrap(place, wrapped))) throw new StartupError('root.failed');
  return wrapped;
}

async function findRow(database: OpenInstance['database'], id: string): Promise<RootRow> {
  const row = (await database.read(store.listRoots)).find((each) => each.id === id);
  if (row === undefined) throw new StartupError('root.wrong', `There is no root ${id}.`);
  return row;
}

/**
 * Makes a stand-by root the active one, and the one before a stand-by. The installation is opened with it, which shows that it
 * can be; the one before need not answer. A crash leaves both usable: the rows change at once, and then the configuration.
 */
export async function activateRoot(
  path: string,
  folder: string,
  { breakGlass }: BreakGlass = {},
): Promise<RootView> {
  const place = resolve(path, folder);
  return withInstance(path, place, async (instance) => {
    const { root, database, configuration, directory } = instance;
    const rows = await rowsOf(instance);
    const next = rows.find(({ id }) => id === root.id);
    if (next === undefined) throw new StartupError('root.wrong', root.id);
    const before = rows.find(({ state }) => state === 'active');
    if (next.state !== 'active') {
      const payload = { before: before?.id ?? null, kind: root.kind, module: root.module ?? null };
      const permit = { change: 'activate', root: root.id, breakGlass } as const;
      const what = { operation: 'instance.activate-root', root: root.id, state: 'active', payload } as const;
      await change(instance, { ...what, permit }, async (tx, time, seal) => {
        if (before !== undefined)
          await store.putRoot(tx, seal({ ...before, state: 'standby', changed_at: time }));
        const module = rootRow(root, folder, place, time).module;
        await store.putRoot(tx, seal({ ...next, module, state: 'active', changed_at: time }));
        if (next.wrapped_key !== null) await store.setActiveRoot(tx, root.id, next.wrapped_key);
      });
    }
    const content = { ...configuration, root: next.folder };
    writeFileDurably(directory.configuration, `${JSON.stringify(content, null, 2)}\n`);
    return view(await findRow(database, root.id));
  });
}

/**
 * Takes a root out of use: what was wrapped under it goes, in the database and in its folder. The key in its module and its
 * root.json stay, for backups that were made under it. May be called again after a crash.
 */
export async function retireRoot(
  path: string,
  id: string,
  { breakGlass }: BreakGlass = {},
): Promise<RootView> {
  return withInstance(path, undefined, async (instance) => {
    const { root, database, directory, epochs } = instance;
    const row = (await rowsOf(instance)).find((each) => each.id === id);
    if (row === undefined) throw new StartupError('root.wrong', `There is no root ${id}.`);
    if (id === root.id || row.state === 'active')
      throw new StartupError('root.in_use', 'Activate another one first.');
    if (row.state !== 'retired') {
      const what = { operation: 'instance.retire-root', root: id, state: 'retired' } as const;
      const permit = { change: 'retire', root: id, breakGlass } as const;
      await change(instance, { ...what, payload: { kind: row.kind }, permit }, async (tx, time, seal) => {
        await store.putRoot(tx, seal({ ...row, state: 'retired', wrapped_key: null, changed_at: time }));
      });
    }
    const folder = epochFolder(rootFolder(directory, row), id);
    if (folder !== epochs.folder) dropEpochs(folder);
    return view(await findRow(database, id));
  });
}

/** What a check of one root has come to. */
export interface CheckedRoot extends RootView {
  /** Whether the installation can be started with it; otherwise why not. */
  readonly opens: boolean;
  readonly code?: StartupErrorCode;
  readonly problem?: string;
}

/** Lists the roots, as the database has them. Works beside a running server, and asks no module. */
export async function showRoots(
  path: string,
): Promise<{ readonly roots: readonly RootView[]; readonly folder: string }> {
  return readRoots(path, async ({ rows, directory }) => ({ roots: rows.map(view), folder: directory.root }));
}

/**
 * Opens every root in use and has it unwrap the instance key, and says whether it has the epoch keys that there are. Works
 * beside a running server; to be done on a schedule, for a stand-by that was never tried is none.
 */
export async function checkRoots(path: string): Promise<{ readonly roots: readonly CheckedRoot[] }> {
  return readRoots(path, async ({ rows, instance, directory }) => {
    const checked: CheckedRoot[] = [];
    const configured = { ...directory, profile: instance.profile };
    for (const row of rows.filter(({ state }) => state !== 'retired')) {
      const problem = await problemOf(row, instance, rows, configured);
      const { code, detail } = problem ?? {};
      checked.push({
        ...view(row),
        opens: problem === undefined,
        ...(code && { code, problem: detail ?? '' }),
      });
    }
    return { roots: checked };
  });
}

interface ReadRoots {
  readonly rows: readonly RootRow[];
  readonly instance: store.InstanceRow;
  readonly directory: ReturnType<typeof dataDirectory>;
}

async function readRoots<T>(path: string, work: (found: ReadRoots) => Promise<T>): Promise<T> {
  const configuration = readConfiguration(dataDirectory(path));
  const directory = withRoot(dataDirectory(path), configuration);
  const database = await openDatabase(databaseLocations(directory, process.env).main, 'main');
  try {
    const { rows, instance } = await database.read(async (snapshot) => ({
      rows: await store.listRoots(snapshot),
      instance: await store.findInstance(snapshot),
    }));
    if (instance === undefined) throw new StartupError('database.damaged', 'It was never finished.');
    return await work({ rows, instance, directory });
  } finally {
    await database.close();
  }
}

async function problemOf(
  row: RootRow,
  instance: store.InstanceRow,
  rows: readonly RootRow[],
  directory: ReadRoots['directory'],
): Promise<StartupError | undefined> {
  const folder = rootFolder(directory, row);
  let root: RootOfTrust | undefined;
  try {
    assertProfile(
      instance.profile === 'regulated' ? 'regulated' : 'evaluation',
      factsOfFolder(directory, folder),
    );
    root = await openOther(folder, row.id, folder === directory.root);
    await root.check();
    await root.unwrap(instancePlace(instance.id), wrappedUnder(root, instance, rows));
    const epochs = new Epochs(folder, root);
    await epochs.current();
    if (
      folder !== directory.root &&
      isBehind(epochBundle(directory.root).numbers, epochFolder(folder, row.id))
    )
      return new StartupError('root.behind', 'It lacks epoch keys, or has some that were retired.');
    return undefined;
  } catch (error) {
    if (error instanceof StartupError) return error;
    throw error;
  } finally {
    await root?.close();
  }
}
