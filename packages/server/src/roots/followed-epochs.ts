import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { StartupError } from '../platform/errors.ts';
import { bundleOf, destroyFile, epochNames, readEpochs, replaceEpochs, sweep } from './epoch-files.ts';
import type { WrappedEpoch } from './epoch-files.ts';
import { Epochs, epochPlace } from './epochs.ts';
import type { EpochKey } from './epochs.ts';
import type { RootOfTrust } from './root.ts';

/** Another root of trust that is to hold the same epoch keys: a stand-by, or the active one where the server runs with a stand-by. */
export interface Follower {
  /** Where its epoch keys lie. */
  readonly folder: string;
  /** Opened only where a key has to be wrapped. */
  open(): Promise<RootOfTrust>;
}

/** How often the epochs are copied again where another node changes them meanwhile. */
const maxCopies = 5;

/** What cannot be read is not there: it is made anew. */
function epochsIn(folder: string): readonly WrappedEpoch[] {
  try {
    return readEpochs(folder).flatMap(({ epochs }) => epochs);
  } catch (error) {
    if (error instanceof StartupError) return [];
    throw error;
  }
}

/** Whether the folder has not exactly the epoch keys that there are. @param numbers those that there are, in order */
export function isBehind(numbers: readonly number[], folder: string): boolean {
  return String(numbers) !== String(epochsIn(folder).map(({ epoch }) => epoch));
}

/**
 * Gives another root the epoch keys that there are, wrapped under it, in one file (docs/formats/epoch-keys.md); what was retired is
 * overwritten there too. May be called again after a crash anywhere in it.
 */
export async function copyEpochs(epochs: Epochs, follower: Follower): Promise<void> {
  const { folder } = follower;
  // Both would have one file, each under its own root.
  if (folder === epochs.folder) throw new StartupError('root.epochs_shared', folder);
  // Another node may have begun or retired an epoch while this one wrote: whoever writes last looks again.
  for (let left = maxCopies; ; left--) {
    const numbers = epochs.numbers();
    await copyOnce(epochs, follower);
    if (String(epochs.numbers()) === String(numbers)) return;
    if (left === 1) throw new StartupError('root.behind', folder);
  }
}

async function copyOnce(epochs: Epochs, { folder, open }: Follower): Promise<void> {
  const before = epochsIn(folder);
  if (!isBehind(epochs.numbers(), folder) && epochNames(folder).length === 1) {
    sweep(folder);
    return;
  }
  const keys = await Promise.all(epochs.numbers().map((number) => epochs.open(number)));
  const wanted = keys.map(({ number, id, key }) => ({ epoch: number, id, key: key.key }));
  let root: RootOfTrust | undefined;
  const copies: WrappedEpoch[] = [];
  try {
    for (const { epoch, id, key } of wanted) {
      let wrapped = before.find((each) => each.epoch === epoch && each.id === id)?.wrapped;
      if (wrapped === undefined) {
        root ??= await open();
        wrapped = Buffer.from(await root.wrap(epochPlace(id), key)).toString('base64');
      }
      copies.push({ epoch, id, wrapped });
    }
  } finally {
    await root?.close();
  }
  replaceEpochs(folder, bundleOf(copies));
}

/** Destroys the copies of epoch keys that a retired root has. */
export function dropEpochs(folder: string): void {
  if (!existsSync(folder)) return;
  for (const name of epochNames(folder)) destroyFile(join(folder, name));
  sweep(folder);
}

/**
 * Epoch keys that every other root in use gets as well. Nothing is begun or retired until they all have it so: a stand-by without
 * the present key could not take over, and one with a retired key could open what was erased.
 */
export class FollowedEpochs extends Epochs {
  readonly #followers: () => Promise<readonly Follower[]>;

  constructor(folder: string, root: RootOfTrust, followers: () => Promise<readonly Follower[]>) {
    super(folder, root);
    this.#followers = followers;
  }

  override async begin(): Promise<EpochKey> {
    const begun = await super.begin();
    await this.follow();
    return begun;
  }

  override async retire(number: number): Promise<void> {
    await super.retire(number);
    await this.follow();
  }

  /** @throws StartupError that of the first root that cannot be given what it lacks */
  async follow(): Promise<void> {
    for (const follower of await this.#followers()) await copyEpochs(this, follower);
  }
}
