import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { EncryptionContext } from '@trialkeep/crypto';
import { systemCode } from '../files.ts';
import { Batches } from './batches.ts';
import { findingAt } from './finding.ts';
import type { TreeFinding } from './finding.ts';
import { FolderPath, openFolder, openFolderToWrite } from './folder.ts';
import type { OpenFolder } from './folder.ts';
import { failureOf, isFailure, writeError } from './job.ts';
import type { Failure } from './job.ts';
import { objectPath } from './layout.ts';
import type { FileEntry, FolderEntry, LinkEntry, ManifestEntry } from './manifest.ts';
import { bytesOf } from './name.ts';
import type { Bytes, Place } from './name.ts';
import type { Opened, OpenFileItem, OpenLinkItem } from './open-job.ts';
import { secondsOf } from './restore-job.ts';
import type { RestorePlace } from './restore-job.ts';
import type { TreeProgress } from './seal-tree.ts';
import type { Threads } from './threads.ts';

export interface ObjectOpenerOptions {
  readonly threads: Threads;
  /** The folder of the sealed tree. */
  readonly source: string;
  readonly tree: string;
  /** Pairs that each object must carry. */
  readonly context: EncryptionContext;
  /** Where the tree is restored; undefined where it is only checked. The folder is the opener's from now on. */
  readonly restore:
    { readonly root: OpenFolder; readonly overwrite: boolean; readonly flush: boolean } | undefined;
  readonly signal: AbortSignal | undefined;
  readonly onFinding: (finding: TreeFinding) => void;
}

type Item = OpenFileItem | OpenLinkItem;

/** Of a folder's mode: what everybody may do, and that only owners remove (the sticky bit). */
const folderModeBits = 0o1777;

/**
 * The mode of a folder that this opening makes, until everything in it is done: only its owner may do anything in it. By the sticky bit,
 * which means nothing there, a later opening tells its own unfinished folders from those of others.
 */
const unfinishedMode = 0o1700;

/** A folder on the way to where the work is. */
interface Level {
  /** Whether it was there before, and keeps its mode and time. */
  readonly kept: boolean;
  readonly entry: FolderEntry;
  readonly place: Place;
  /** What is still to be done in it before it gets its mode and time. */
  pending: number;
  /** Set once the work has gone on elsewhere. */
  left: OpenFolder | undefined;
}

/** Takes the entries of a manifest one after the other, and opens or restores what they name. */
export class ObjectOpener {
  readonly #options: ObjectOpenerOptions;
  readonly #batches: Batches<Item, Opened | Failure>;
  readonly #objects: string;
  readonly #path = new FolderPath();
  readonly #levels: Level[] = [];
  readonly #opening = new Set<Promise<void>>();
  readonly #finishing = new Set<Promise<void>>();
  /** What the names of this tree's unfinished files begin with, and of those of this run. */
  readonly #partPrefix: Bytes;
  readonly #run = randomBytes(4).toString('hex');
  #parts = 0;
  /** Folders that are open below one that cannot be restored. */
  #skipped = 0;
  #fatal: Error | undefined;
  #files = 0;
  kept = 0;

  constructor(options: ObjectOpenerOptions) {
    this.#options = options;
    this.#batches = new Batches(options.threads);
    this.#objects = join(options.source, options.tree);
    this.#partPrefix = `.trialkeep-${options.tree.slice(0, 16)}-`;
  }

  get progress(): TreeProgress {
    return { files: this.#files, bytes: this.#options.threads.doneBytes };
  }

  /** Removes what an interrupted opening of this tree left unfinished at the top. Before anything is taken. */
  async begin(): Promise<void> {
    const { restore } = this.#options;
    if (restore !== undefined) await this.#removeParts(restore.root);
  }

  /**
   * @param above the folder that the entry is in; undefined at the top
   * @throws what ends the work: SealError `seal.no_space`; the errors of the keys; the signal's reason
   */
  async take(entry: ManifestEntry, above: Place | undefined): Promise<void> {
    if (this.#fatal !== undefined) throw this.#fatal;
    this.#options.signal?.throwIfAborted();
    if (this.#skipped > 0) return this.#skip(entry);
    switch (entry.kind) {
      case 'folder':
        return this.#enter(entry, { above, name: entry.name });
      case 'file':
        return this.#open(this.#fileItem(entry), entry.bytes, { above, name: entry.name });
      case 'link':
        return this.#link(entry, { above, name: entry.name });
      case 'end':
        return this.#leave();
      case 'missing':
    }
  }

  /** Resolves when everything that was taken is done. @throws as `take` */
  async finish(): Promise<void> {
    this.#batches.dispatch();
    await Promise.all(this.#opening);
    await Promise.all(this.#finishing);
    if (this.#fatal !== undefined) throw this.#fatal;
  }

  /** Resolves when nothing is at work any more. */
  async close(): Promise<void> {
    await this.#batches.settled();
    await Promise.allSettled(this.#finishing);
    for (const { left } of this.#levels) await left?.release();
    await this.#path.close();
    await this.#options.restore?.root.release();
  }

  #skip(entry: ManifestEntry): void {
    if (entry.kind === 'folder') this.#skipped += 1;
    if (entry.kind === 'end') this.#skipped -= 1;
  }

  async #enter(entry: FolderEntry, place: Place): Promise<void> {
    const { restore } = this.#options;
    if (restore === undefined) return;
    const parent = this.#path.innermost ?? restore.root;
    let made: { readonly folder: OpenFolder; readonly mode: number | undefined };
    try {
      made = await this.#makeFolder(parent.pathOf(entry.name), restore.overwrite);
    } catch (error) {
      this.#skipped = 1;
      this.#fail(place, folderFailure(error));
      return;
    }
    const { folder, mode } = made;
    await this.#path.enter(folder);
    this.#levels.push({ kept: mode !== undefined, entry, place, pending: 0, left: undefined });
    if (mode !== undefined && (mode & folderModeBits) !== (entry.mode & folderModeBits))
      this.#fail(place, { failure: 'seal.target_exists', detail: 'a folder of another mode' });
  }

  /**
   * Makes a folder, or enters the one that is there; what an interrupted opening of this tree left unfinished is removed from it.
   *
   * @returns also the mode of a folder of others, which is not to be changed
   */
  async #makeFolder(
    path: Bytes,
    overwrite: boolean,
  ): Promise<{ readonly folder: OpenFolder; readonly mode: number | undefined }> {
    const isNew = await mkdir(bytesOf(path), unfinishedMode).then(
      () => true,
      (error: unknown) => {
        if (systemCode(error) !== 'EEXIST') throw error;
        return false;
      },
    );
    const folder = await (isNew || overwrite ? openFolderToWrite(path) : openFolder(path));
    if (isNew) return { folder, mode: undefined };
    try {
      await this.#removeParts(folder);
      const { mode, uid } = await folder.handle.stat();
      const isOurs = (mode & 0o7777) === unfinishedMode && uid === process.geteuid?.();
      return { folder, mode: isOurs || overwrite ? undefined : mode };
    } catch (error) {
      await folder.release();
      throw error;
    }
  }

  async #removeParts(folder: OpenFolder): Promise<void> {
    for (const name of await readdir(bytesOf(folder.path), { encoding: 'latin1' }))
      if (name.startsWith(this.#partPrefix)) await rm(bytesOf(folder.pathOf(name)), { force: true });
  }

  async #leave(): Promise<void> {
    const level = this.#levels.pop();
    if (level === undefined) return;
    level.left = await this.#path.leave();
    this.#finishFolder(level);
  }

  /** Gives a folder its mode and time once nothing is to be done in it any more. */
  #finishFolder(level: Level): void {
    const folder = level.left;
    if (folder === undefined || level.pending > 0) return;
    level.left = undefined;
    // Where the work was ended, something may be lacking: the folder stays one that is unfinished.
    const setting = this.#fatal === undefined ? this.#setAttributes(folder, level) : Promise.resolve();
    const finishing = setting
      .catch((error: unknown) => this.#fail(level.place, failureOf(writeError(error))))
      .then(async () => {
        await folder.release();
        this.#finishing.delete(finishing);
      });
    this.#finishing.add(finishing);
  }

  /** The mode comes last: until then the folder is known as unfinished. */
  async #setAttributes({ handle }: OpenFolder, { kept, entry }: Level): Promise<void> {
    if (!kept) {
      const seconds = secondsOf(entry.timeNs);
      await handle.utimes(seconds, seconds);
      await handle.chmod(entry.mode & folderModeBits);
    }
    if (this.#options.restore?.flush === true) await handle.sync();
  }

  #fileItem(entry: FileEntry): OpenFileItem {
    const { bytes, mode, timeNs, id, commitment, sha256 } = entry;
    const object = objectPath(this.#objects, id);
    const place = this.#restorePlace(entry.name);
    return { kind: 'file', object, id, commitment, sha256, bytes, mode, time: String(timeNs), place };
  }

  async #link(entry: LinkEntry, at: Place): Promise<void> {
    const place = this.#restorePlace(entry.name);
    if (place === undefined) return;
    const { target, timeNs } = entry;
    await this.#open({ kind: 'link', target, time: String(timeNs), place }, 0, at);
  }

  #restorePlace(name: Bytes): RestorePlace | undefined {
    const { restore } = this.#options;
    if (restore === undefined) return undefined;
    const folder = (this.#path.innermost ?? restore.root).path;
    const part = `${this.#partPrefix}${this.#run}-${(this.#parts += 1)}.part`;
    return { folder, name, part, overwrite: restore.overwrite, flush: restore.flush };
  }

  async #open(item: Item, bytes: number, place: Place): Promise<void> {
    const level = this.#levels.at(-1);
    const folder = this.#path.innermost ?? this.#options.restore?.root;
    if (level !== undefined) level.pending += 1;
    const { outcome } = await this.#batches.add(item, bytes, this.#work, folder);
    const opening = outcome
      .then((opened) => this.#done(place, opened))
      .catch((error: unknown) => this.#end(error))
      .then(() => {
        this.#opening.delete(opening);
        if (level === undefined) return;
        level.pending -= 1;
        this.#finishFolder(level);
      });
    this.#opening.add(opening);
  }

  readonly #work = (items: readonly Item[]): Promise<readonly (Opened | Failure)[]> =>
    this.#options.threads.run('open', { items, context: this.#options.context });

  #done(place: Place, opened: Opened | Failure): void {
    if (isFailure(opened)) return this.#fail(place, opened);
    this.#files += 1;
    if (opened.kept) this.kept += 1;
  }

  #fail(place: Place, { failure, detail }: Failure): void {
    const finding = findingAt(place, failure, detail);
    // On a full disk no other file would fare better.
    if (failure === 'seal.no_space') this.#end(finding.error);
    else this.#options.onFinding(finding);
  }

  #end(error: unknown): void {
    this.#fatal ??= error as Error;
    this.#options.threads.stop();
  }
}

/** Why a folder cannot be made, or entered. */
function folderFailure(error: unknown): Failure {
  const code = systemCode(error);
  if (code === 'ENOTDIR' || code === 'ELOOP') return { failure: 'seal.target_exists', detail: 'no folder' };
  return failureOf(writeError(error));
}
