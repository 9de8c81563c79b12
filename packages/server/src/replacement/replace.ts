import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { renewEpoch } from '../erasure/index.ts';
import {
  assertProfile,
  factsOfSettings,
  findInstance,
  listRoots,
  openInstance,
  openOther,
  settingsUnder,
} from '../instance/index.ts';
import type { OpenInstance } from '../instance/index.ts';
import { systemClock } from '../platform/clock.ts';
import { dataDirectory, readConfiguration } from '../platform/config.ts';
import type { DatabaseLocations } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import { writeFileDurably } from '../platform/files.ts';
import { newId } from '../platform/ids.ts';
import { reconcile } from '../reconcile.ts';
import { assertPermitted, needsPermit } from '../root-permits/index.ts';
import {
  copyEpochs,
  describeRoot,
  dropEpochs,
  makeRoot,
  openRootOnly,
  standbyEpochFolder,
} from '../roots/index.ts';
import type { RootSettings } from '../roots/index.ts';
import { endReplacement, moveShredStore, renewLog } from './follow-up.ts';
import type { Going } from './follow-up.ts';
import { writeReport } from './report.ts';
import type { ReplacementReport } from './report.ts';
import { planSwap, swap } from './swap.ts';
import * as store from './store.ts';

/** What an operator asks for. */
export interface ReplacementRequest {
  /** Where the new root.json is to lie; relative to the data directory, or absolute. */
  readonly folder: string;
  /** Kind and settings of the new root; needed until it is made. */
  readonly settings?: RootSettings | undefined;
  /** Why the old one may be known to somebody; stands in every ledger. */
  readonly reason: string;
  /** Why it is done without the permit of people that it needs. */
  readonly breakGlass?: string | undefined;
}

export interface ReplacementParts {
  /** Where the environment says, unless they are named. */
  readonly databases?: DatabaseLocations;
  /** Called between two steps, for tests that stop there. */
  readonly atStep?: (step: string) => void;
}

const notes = { warn: () => undefined };
const maxReason = 500;

/**
 * Replaces a root of trust that somebody else may have: a new root, instance key, tenants' keys, epoch and signing keys of logs; every
 * seal is written anew, and every key of a system that protects gets a new version. All nodes are stopped. Killed anywhere, the same
 * call goes on (docs/how-to/root-of-trust.md).
 *
 * @throws StartupError `root.replacement_refused`, `root.replacement_unknown`, `root.replacement_disturbed`, `root.wrong`; as
 *   `openInstance`
 */
export async function replaceRoot(
  path: string,
  request: ReplacementRequest,
  parts: ReplacementParts = {},
): Promise<ReplacementReport> {
  const reason = request.reason.trim();
  if (reason === '' || reason.length > maxReason)
    throw new StartupError('usage.invalid', `A reason has 1 to ${maxReason} characters.`);
  const place = resolve(path, request.folder);
  if (!(await wasBegun(path, place, parts))) await begin(path, place, { ...request, reason }, parts);
  parts.atStep?.('swapped');
  const directory = dataDirectory(path);
  const configuration = readConfiguration(directory);
  if (configuration.root !== request.folder) {
    const content = { ...configuration, root: request.folder };
    writeFileDurably(directory.configuration, `${JSON.stringify(content, null, 2)}\n`);
  }
  parts.atStep?.('configured');
  return goOn(path, place, parts);
}

/** @param place where the new root lies, to go on with */
function openWith(path: string, { databases }: ReplacementParts, place?: string): Promise<OpenInstance> {
  const going = place === undefined ? {} : { rootFolder: place, isReplacement: true };
  return openInstance(path, { clock: systemClock, notes, ...going, ...(databases && { databases }) });
}

/** Whether the database has the new root already; it then opens with that alone. */
async function wasBegun(path: string, place: string, parts: ReplacementParts): Promise<boolean> {
  if (!existsSync(join(place, 'root.json'))) return false;
  const { id } = describeRoot(place);
  try {
    const instance = await openWith(path, parts, place);
    try {
      const row = await instance.database.read(async (snapshot) =>
        store.findOpen(snapshot, await instance.hierarchy.rowKey(null)),
      );
      if (row?.root === id) return true;
      throw new StartupError('root.in_use', place);
    } finally {
      await instance.close();
    }
  } catch (error) {
    // The database belongs to another root: the new one was made, and not more.
    const isOther =
      error instanceof StartupError &&
      ['root.wrong', 'root.passphrase_wrong', 'root.epoch_missing'].includes(error.code);
    if (isOther) return false;
    throw error;
  }
}

async function begin(
  path: string,
  place: string,
  { folder, settings: given, reason, breakGlass }: ReplacementRequest,
  parts: ReplacementParts,
): Promise<void> {
  const instance = await openWith(path, parts);
  try {
    await assertSound(instance);
    const { isPermitted } = await permission(instance, breakGlass);
    const { directory, configuration, epochs, shred, database } = instance;
    // What an interrupted erasure has left: the rows are then of one epoch.
    if (epochs.numbers().length > 1) await renewEpoch({ epochs, shred });
    const root = await newRoot(instance, place, given, directory, configuration);
    // Where the epoch keys were copied to, while it is sure that the database does not have the new root.
    let copied: string | undefined;
    try {
      parts.atStep?.('root made');
      const into = standbyEpochFolder(place, root.id);
      await copyEpochs(epochs, { folder: into, open: () => openOther(place, root.id) });
      copied = into;
      parts.atStep?.('epochs copied');
      const { number: epoch } = await epochs.current();
      const found = await database.read(findInstance);
      if (found === undefined) throw new StartupError('database.damaged', 'It was never finished.');
      const plan = await planSwap(instance, found.id, {
        id: newId(),
        reason,
        root,
        folder,
        place,
        epoch,
        isPermitted,
        breakGlass,
      });
      parts.atStep?.('planned');
      await database.write(async (tx) => {
        await swap(tx, plan);
        // It may be committed although an error comes back.
        copied = undefined;
      });
    } catch (error) {
      // Nothing would retire them there, and they open what is erased later.
      if (copied !== undefined) dropEpochs(copied);
      throw error;
    } finally {
      await root.close();
    }
  } finally {
    await instance.close();
  }
}

/** Whether the permit of people is needed, which is then there. @throws StartupError `root.not_permitted` */
async function permission(
  { database, hierarchy, ledger, configuration: { profile } }: OpenInstance,
  breakGlass: string | undefined,
): Promise<{ readonly isPermitted: boolean }> {
  if (breakGlass !== undefined) return { isPermitted: false };
  const rowKey = await hierarchy.rowKey(null);
  const { id: log } = ledger.instanceLog;
  return database.read(async (snapshot) => {
    const time = await store.readTime(snapshot);
    await assertPermitted(snapshot, rowKey, { change: 'replace', root: null, log, profile, time });
    return { isPermitted: await needsPermit(snapshot, rowKey, log, profile) };
  });
}

/** What is sealed anew counts as right: nothing may be that the ledger does not say. */
async function assertSound(instance: OpenInstance): Promise<void> {
  const [reason] = instance.recovery;
  if (reason !== undefined) throw new StartupError('root.in_recovery', reason);
  const reasons = await reconcile(instance);
  if (reasons.length > 0) throw new StartupError('root.replacement_refused', reasons.slice(0, 5).join(' '));
}

async function newRoot(
  { database }: OpenInstance,
  place: string,
  given: RootSettings | undefined,
  directory: OpenInstance['directory'],
  { profile }: OpenInstance['configuration'],
) {
  if (existsSync(join(place, 'root.json'))) {
    const root = await openRootOnly(place);
    const known = (await database.read(listRoots)).some(({ id }) => id === root.id);
    if (!known) return root;
    await root.close();
    throw new StartupError(
      'root.in_use',
      'A root that has opened the installation may be known too; take a new folder.',
    );
  }
  if (given === undefined) throw new StartupError('usage.invalid', 'Settings of the new root are missing.');
  const settings = settingsUnder(profile, given);
  if (settings.kind === 'shares') throw new StartupError('root.ceremony_needed');
  assertProfile(profile, factsOfSettings(directory, settings, place));
  return makeRoot(place, settings);
}

async function goOn(path: string, place: string, parts: ReplacementParts): Promise<ReplacementReport> {
  const instance = await openWith(path, parts, place);
  try {
    const [reason] = instance.recovery;
    if (reason !== undefined) throw new StartupError('root.in_recovery', reason);
    const rowKey = await instance.hierarchy.rowKey(null);
    const replacement = await instance.database.read((snapshot) => store.findOpen(snapshot, rowKey));
    if (replacement === undefined) throw new StartupError('root.in_use', place);
    const atStep = parts.atStep ?? (() => undefined);
    const going: Going = { instance, replacement, atStep };
    await moveShredStore(going);
    atStep('shred store moved');
    const logs = await instance.database.read((snapshot) => store.listLogs(snapshot, rowKey, replacement.id));
    for (const row of logs.filter(({ state }) => state !== 'ended')) {
      await renewLog(going, row);
      atStep(`log ${row.log} renewed`);
    }
    const report = await writeReport(going, logs);
    atStep('report written');
    await endReplacement(going);
    return report;
  } finally {
    await instance.close();
  }
}
