import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { generateKey } from '@trialkeep/crypto';
import type { CompactKey, KeyPlace } from '@trialkeep/crypto';
import { Type } from 'typebox';
import { steadyMs } from '../platform/clock.ts';
import { StartupError } from '../platform/errors.ts';
import { syncDirectory } from '../platform/files.ts';
import { idBytes, newId, noTenant } from '../platform/ids.ts';
import {
  assertNoEpochs,
  bundleOf,
  destroyFile,
  firstFile,
  placeEpoch,
  readEpochs,
  sweep,
} from './epoch-files.ts';
import type { WrappedEpoch } from './epoch-files.ts';
import { readJson } from './read-json.ts';
import type { RootOfTrust } from './root.ts';

/** The key under which rows of the shred store are wrapped. */
export interface EpochKey {
  /** Counts from 1; every erasure begins the next. */
  readonly number: number;
  /** Of the key: two nodes that do not share their epoch keys have different ones under one number. */
  readonly id: string;
  readonly key: CompactKey;
}

/** An epoch of the folder, unwrapped, or about to be. */
interface Known {
  readonly id: string;
  readonly key: Promise<EpochKey>;
  failures: number;
  /** When a key that the root did not unwrap is asked for again, by `steadyMs`. */
  retryAt: number | undefined;
}

/** How long a key that the root did not unwrap is not asked for again: it doubles, up to the longest. ms */
const firstBackOffMs = 1000;
const longestBackOffMs = 60_000;

/** Where several nodes share the epoch keys; undefined where they lie beside the root of trust. */
export function sharedEpochFolder(): string | undefined {
  return process.env['TRIALKEEP_EPOCH_FOLDER'];
}

/**
 * Where a root's epoch keys lie: beside its root.json, or in what several nodes share; there the root that an installation began with has
 * the folder itself, and every other one a folder named after its id.
 */
export function epochFolder(rootFolder: string, rootId: string): string {
  const shared = sharedEpochFolder();
  if (shared === undefined) return rootFolder;
  const own = join(shared, rootId);
  return existsSync(own) ? own : shared;
}

/** Where the epoch keys of a root lie that is no installation's first; the folder is there afterwards. */
export function standbyEpochFolder(rootFolder: string, rootId: string): string {
  const shared = sharedEpochFolder();
  if (shared === undefined) return rootFolder;
  const own = join(shared, rootId);
  mkdirSync(own, { recursive: true, mode: 0o700 });
  syncDirectory(shared);
  return own;
}

const named = Type.Object({ id: Type.String({ pattern: '^[0-9a-f-]{36}$' }) });

/** All epochs of a folder as one file, for a backup; the same as long as `numbers` are. */
export function epochBundle(rootFolder: string): { readonly numbers: number[]; readonly content: string } {
  // Only where nodes share their epoch keys does it matter which root it is.
  const isShared = sharedEpochFolder() !== undefined;
  const id = isShared ? readJson(join(rootFolder, 'root.json'), named).id : '';
  const epochs = readEpochs(epochFolder(rootFolder, id)).flatMap((each) => each.epochs);
  return { numbers: epochs.map(({ epoch }) => epoch), content: bundleOf(epochs) };
}

/** The epoch keys of the shred store, which lie in the root's folder, or in one that nodes share, and nowhere else. */
export class Epochs {
  readonly #folder: string;
  readonly #root: RootOfTrust;
  #known: ReadonlyMap<number, Known> | undefined;
  #first: WrappedEpoch | undefined;

  /** @param folder the root's; TRIALKEEP_EPOCH_FOLDER names another */
  constructor(folder: string, root: RootOfTrust) {
    this.#folder = epochFolder(folder, root.id);
    this.#root = root;
  }

  /** The newest that the folder has. */
  async current(): Promise<EpochKey> {
    let newest = [...(this.#known ?? this.#read()).values()].at(-1);
    if (newest === undefined || isDue(newest)) newest = [...this.#read().values()].at(-1);
    if (newest === undefined) throw new StartupError('root.epoch_missing', this.#folder);
    return newest.key;
  }

  /** The key of an epoch, read anew where this node has not seen it. Throws where the folder does not have it (any more). */
  async open(number: number): Promise<EpochKey> {
    let known = this.#known?.get(number);
    if (known === undefined || isDue(known)) known = this.#read().get(number);
    if (known === undefined) throw new StartupError('root.epoch_missing', `Epoch ${number}, ${this.#folder}`);
    return known.key;
  }

  /** Where they lie. */
  get folder(): string {
    return this.#folder;
  }

  /** Which epochs there are, in order. */
  numbers(): number[] {
    return [...this.#read().keys()];
  }

  /** Reads the folder again: another node may have begun an epoch or retired one. What was retired is not held any longer. */
  refresh(): void {
    this.#read();
  }

  #read(): ReadonlyMap<number, Known> {
    const known = new Map<number, Known>();
    const found = readEpochs(this.#folder).flatMap(({ epochs }) => epochs);
    for (const each of found.toSorted((a, b) => a.epoch - b.epoch)) {
      const before = known.get(each.epoch) ?? this.#known?.get(each.epoch);
      const isSame = before?.id === each.id;
      known.set(
        each.epoch,
        isSame && !isDue(before) ? before : this.#unwrap(each, isSame ? before : undefined),
      );
    }
    this.#known = known;
    return known;
  }

  #unwrap({ epoch, id, wrapped }: WrappedEpoch, before: Known | undefined): Known {
    const unwrap = async (): Promise<EpochKey> => {
      const key = await this.#root.unwrap(epochPlace(id), Buffer.from(wrapped, 'base64'));
      return {
        number: epoch,
        id,
        key: { key, keyVersionId: idBytes(id), tenantId: noTenant, keyId: idBytes(id) },
      };
    };
    const known: Known = { id, key: unwrap(), failures: before?.failures ?? 0, retryAt: undefined };
    // The other keys stay known; this one is asked for again after a while.
    known.key.catch(() => {
      known.retryAt = steadyMs() + Math.min(firstBackOffMs * 2 ** known.failures, longestBackOffMs);
      known.failures++;
    });
    return known;
  }

  /**
   * Makes the first epoch key of a new installation, in a folder that has none.
   *
   * @throws StartupError `root.epochs_present`
   */
  async createFirst(): Promise<void> {
    assertNoEpochs(this.#folder);
    const first = await this.#make(1);
    if (!placeEpoch(this.#folder, firstFile, first))
      throw new StartupError('root.epochs_present', join(this.#folder, firstFile));
    this.#first = first;
    this.#known = undefined;
  }

  /** Takes back what `createFirst` has made, and nothing else: the installation was not finished. */
  withdrawFirst(): void {
    for (const { file, epochs } of readEpochs(this.#folder)) {
      if (epochs.every(({ id }) => id === this.#first?.id)) destroyFile(file);
    }
    this.#known = undefined;
  }

  async #make(epoch: number): Promise<WrappedEpoch> {
    const id = newId();
    const wrapped = await this.#root.wrap(epochPlace(id), generateKey('AES_256'));
    return { epoch, id, wrapped: Buffer.from(wrapped).toString('base64') };
  }

  /** Begins the next epoch, durably; where one was begun and the one before is not retired yet, gives that. */
  async begin(): Promise<EpochKey> {
    this.#takeApart();
    const numbers = this.numbers();
    const newest = numbers.at(-1);
    if (newest === undefined) throw new StartupError('root.epoch_missing', this.#folder);
    if (numbers.length === 1) this.#place(await this.#make(newest + 1));
    this.refresh();
    return this.current();
  }

  #place(epoch: WrappedEpoch): void {
    placeEpoch(this.#folder, `epoch-${epoch.epoch}.json`, epoch);
  }

  /** What a restored backup has in one file gets a file for each epoch. */
  #takeApart(): void {
    for (const { file, epochs } of readEpochs(this.#folder)) {
      if (epochs.length === 1) continue;
      for (const each of epochs) this.#place(each);
      destroyFile(file);
    }
  }

  /** Destroys the key of an epoch under which no row is left; nothing where that is done. The newest is never retired. */
  async retire(number: number): Promise<void> {
    this.#takeApart();
    const files = readEpochs(this.#folder);
    const newest = files.at(-1)?.epochs[0]?.epoch;
    if (newest === undefined || number >= newest) throw new Error(`Epoch ${number} is in use.`);
    for (const { file, epochs } of files) if (epochs[0]?.epoch === number) destroyFile(file);
    this.sweep();
    this.refresh();
  }

  /** Destroys what an interrupted run has retired and not overwritten. */
  sweep(): void {
    sweep(this.#folder, Math.max(0, ...this.numbers()));
  }
}

function isDue({ retryAt }: Known): boolean {
  return retryAt !== undefined && steadyMs() >= retryAt;
}

export function epochPlace(id: string): KeyPlace {
  return { kind: 'epoch', tenantId: noTenant, keyId: idBytes(id), versionId: idBytes(id), purpose: 'wrap' };
}
