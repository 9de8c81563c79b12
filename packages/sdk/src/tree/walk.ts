import { lstat, stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { SealError } from '../errors.ts';
import { systemCode } from '../files.ts';
import { FolderPath, isSameFolder, openFolder, openNamedFolder } from './folder.ts';
import type { FolderIdentity, OpenFolder } from './folder.ts';
import { failureOf, isFailure, readError } from './job.ts';
import type { Failure } from './job.ts';
import { fileFingerprint, folderFingerprint } from './journal.ts';
import { bytesIn, fileState, modeOf } from './look-job.ts';
import type { Seen } from './look-job.ts';
import { bytesOfText, isName, maxDepth } from './name.ts';
import type { Bytes, Place } from './name.ts';
import type { SealItem } from './seal-job.ts';
import type { Threads } from './threads.ts';

/** What a person named to be sealed. */
export interface NamedSource {
  readonly path: string;
  /** Its name in the tree. */
  readonly name: Bytes;
}

/** What the walk meets, in the order of the manifest. */
export type Step =
  | { readonly kind: 'folder'; readonly place: Place; readonly mode: number; readonly timeNs: bigint }
  | {
      readonly kind: 'file';
      readonly place: Place;
      readonly mode: number;
      readonly item: SealItem;
      /** The folder that `item.path` goes through; open until the walk goes on, unless it is held. */
      readonly folder: OpenFolder | undefined;
      readonly fingerprint: Uint8Array | undefined;
    }
  | { readonly kind: 'link'; readonly place: Place; readonly timeNs: bigint; readonly target: Bytes }
  | { readonly kind: 'failed'; readonly place: Place; readonly failure: Failure }
  /** The end of the innermost folder; without a place, of the tree. */
  | { readonly kind: 'end'; readonly place: Place | undefined; readonly complete: boolean };

export interface WalkOptions {
  readonly threads: Threads;
  /** What fingerprints begin with; without it there are none. */
  readonly salt: Uint8Array | undefined;
  /** A folder that is left out. */
  readonly except: FolderIdentity | undefined;
}

/**
 * The names that the sources have in a tree: that of each path's last part.
 *
 * @throws SealError `seal.source_not_a_file` for a path without a name, such as the root; `seal.target_exists` for two with one name
 */
export function namedSources(paths: readonly string[]): NamedSource[] {
  const sources = paths.map((path) => ({ path, name: bytesOfText(basename(resolve(path))) }));
  sources.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  for (const [index, { path, name }] of sources.entries()) {
    if (!isName(name)) throw new SealError('seal.source_not_a_file', path, { detail: 'it has no name' });
    if (sources[index + 1]?.name === name)
      throw new SealError('seal.target_exists', path, { detail: 'two sources have this name' });
  }
  return sources;
}

/**
 * Walks through the sources without recursion, so that depth has no limit but that of the format.
 *
 * @throws SealError `seal.source_missing`, `seal.source_unreadable`, `seal.source_special` for what was named itself;
 * `seal.source_changed` where folders were moved so that there is no way on
 */
export async function* walk(
  sources: readonly NamedSource[],
  options: WalkOptions,
): AsyncGenerator<Step, void, undefined> {
  for (const { path, name } of sources) {
    const place = { above: undefined, name };
    const found = await stat(path, { bigint: true }).catch((error: unknown) => {
      throw namedError(path, error);
    });
    if (found.isDirectory()) yield* new FolderWalk(path, options).steps(place);
    else if (!found.isFile()) throw new SealError('seal.source_special', path);
    else {
      const state = fileState(found);
      const item = { path: bytesOfText(path), state, follow: true };
      const { salt } = options;
      const fingerprint = salt && fileFingerprint(salt, name, state);
      yield { kind: 'file', place, mode: modeOf(found.mode), item, folder: undefined, fingerprint };
    }
  }
  yield { kind: 'end', place: undefined, complete: true };
}

function namedError(path: string, error: unknown): unknown {
  const { failure, detail } = failureOf(readError(error));
  return new SealError(failure, path, { ...(detail !== undefined && { detail }), cause: error });
}

/** Names that are looked at together. */
const lookAhead = 256;

/** A folder on the way to where the walk is. */
interface Level {
  readonly place: Place;
  readonly names: readonly Bytes[];
  next: number;
  /** What stands under the names from `seenFrom` on, as far as it was looked at. */
  seen: readonly (Seen | Failure)[];
  seenFrom: number;
  /** While these stay the same, no name came or went. */
  readonly times: { readonly timeNs: bigint; readonly changedNs: bigint };
  readonly fingerprint: Uint8Array | undefined;
}

class FolderWalk {
  readonly #named: string;
  readonly #options: WalkOptions;
  readonly #path = new FolderPath();
  readonly #levels: Level[] = [];

  constructor(named: string, options: WalkOptions) {
    this.#named = named;
    this.#options = options;
  }

  async *steps(place: Place): AsyncGenerator<Step, void, undefined> {
    try {
      const root = await openNamedFolder(this.#named);
      const entered = await this.#enter(root, place, this.#options.salt);
      if (entered.kind === 'failed') throw new SealError(entered.failure.failure, this.#named);
      yield entered;
      for (let level = this.#levels.at(-1); level !== undefined; level = this.#levels.at(-1)) {
        const name = level.names[level.next];
        const step = name === undefined ? await this.#leave(level) : await this.#meet(level, name);
        if (step !== undefined) yield step;
      }
    } catch (error) {
      throw systemCode(error) === '' ? error : namedError(this.#named, error);
    } finally {
      await this.#path.close();
    }
  }

  async #enter(folder: OpenFolder, place: Place, above: Uint8Array | undefined): Promise<Step> {
    const found = await folder.handle.stat({ bigint: true });
    const listed = await this.#options.threads.run('list', { folder: folder.path });
    if (isFailure(listed)) {
      await folder.release();
      return { kind: 'failed', place, failure: listed };
    }
    await this.#path.enter(folder);
    const { mtimeNs: timeNs, ctimeNs: changedNs } = found;
    const fingerprint = above && folderFingerprint(above, place.name);
    this.#levels.push({
      place,
      names: listed,
      next: 0,
      seen: [],
      seenFrom: 0,
      times: { timeNs, changedNs },
      fingerprint,
    });
    return { kind: 'folder', place, mode: modeOf(found.mode), timeNs };
  }

  async #leave(level: Level): Promise<Step> {
    this.#levels.pop();
    const folder = await this.#path.leave();
    const { mtimeNs, ctimeNs } = await folder.handle.stat({ bigint: true });
    await folder.release();
    const complete = mtimeNs === level.times.timeNs && ctimeNs === level.times.changedNs;
    return { kind: 'end', place: level.place, complete };
  }

  async #meet(level: Level, name: Bytes): Promise<Step | undefined> {
    const folder = this.#path.innermost;
    if (folder === undefined) throw new Error('The walk is outside of all folders.');
    const place = { above: level.place, name };
    const seen = await this.#see(level, folder);
    level.next += 1;
    if (!isName(name)) return { kind: 'failed', place, failure: { failure: 'seal.source_unreadable' } };
    if (isFailure(seen)) return { kind: 'failed', place, failure: seen };
    switch (seen.kind) {
      case 'link':
        return { kind: 'link', place, timeNs: BigInt(seen.time), target: seen.target };
      case 'special':
        return { kind: 'failed', place, failure: { failure: 'seal.source_special' } };
      case 'file': {
        const item = { path: folder.pathOf(name), state: seen.state, follow: false };
        const fingerprint = level.fingerprint && fileFingerprint(level.fingerprint, name, seen.state);
        return { kind: 'file', place, mode: seen.mode, item, folder, fingerprint };
      }
      case 'folder':
        return this.#meetFolder(level, folder, place);
    }
  }

  async #meetFolder(level: Level, parent: OpenFolder, place: Place): Promise<Step | undefined> {
    if (this.#levels.length >= maxDepth) {
      const detail = `folders nest more than ${maxDepth} deep`;
      return { kind: 'failed', place, failure: { failure: 'seal.source_unreadable', detail } };
    }
    let folder: OpenFolder;
    try {
      folder = await openFolder(parent.pathOf(place.name));
    } catch (error) {
      return { kind: 'failed', place, failure: openFailure(error) };
    }
    const { except } = this.#options;
    if (except === undefined || !isSameFolder(folder.identity, except))
      return this.#enter(folder, place, level.fingerprint);
    await folder.release();
    return undefined;
  }

  /** What stands under the level's next name. */
  async #see(level: Level, folder: OpenFolder): Promise<Seen | Failure> {
    if (level.next >= level.seenFrom + level.seen.length) {
      const names = level.names.slice(level.next, level.next + lookAhead);
      level.seen = await this.#options.threads.run('look', { folder: folder.path, names });
      level.seenFrom = level.next;
    }
    return level.seen[level.next - level.seenFrom] ?? { failure: 'seal.source_missing' };
  }
}

/** A folder that was one a moment ago. */
function openFailure(error: unknown): Failure {
  const code = systemCode(error);
  if (code === 'ENOTDIR' || code === 'ELOOP') return { failure: 'seal.source_changed' };
  return failureOf(readError(error));
}

/** Counts what a walk will meet, beside it. */
export class SourceCount {
  readonly counted = { files: 0, bytes: 0 };
  readonly #sources: readonly NamedSource[];
  readonly #options: WalkOptions;
  #stopped = false;

  constructor(sources: readonly NamedSource[], options: WalkOptions) {
    this.#sources = sources;
    this.#options = options;
  }

  /** Resolves when everything is counted, or can no longer be; whatever is wrong, the walk itself says. */
  async run(): Promise<void> {
    try {
      for await (const step of walk(this.#sources, this.#options)) {
        if (this.#stopped) return;
        if (step.kind !== 'file') continue;
        this.counted.files += 1;
        this.counted.bytes += bytesIn(step.item.state);
      }
    } catch {
      this.stop();
    }
  }

  stop(): void {
    this.#stopped = true;
  }
}

/** The identity of a folder, where there is one under that path. */
export async function identityOf(path: string): Promise<FolderIdentity | undefined> {
  const found = await lstat(path, { bigint: true }).catch(() => undefined);
  return found && { device: found.dev, inode: found.ino };
}
