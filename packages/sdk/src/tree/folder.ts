import { constants } from 'node:fs';
import { chmod, open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { systemCode } from '../files.ts';
import { bytesOf } from './name.ts';
import type { Bytes } from './name.ts';

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;
/** Linux, all architectures that Node runs on: opens a place without permission to read what is there. */
const O_PATH = 0o10000000;

/** What a folder is known by, wherever its name leads meanwhile. */
export interface FolderIdentity {
  readonly device: bigint;
  readonly inode: bigint;
}

/**
 * A folder that is held open. What is in it is named through its handle (`/proc/self/fd`, proc(5)), as openat(2) would: nothing on
 * the way to it can be exchanged for a link, and the length of its path does not matter. It is closed when nobody holds it.
 */
export class OpenFolder {
  readonly identity: FolderIdentity;
  readonly #handle: FileHandle;
  #holders = 1;

  constructor(handle: FileHandle, identity: FolderIdentity) {
    this.#handle = handle;
    this.identity = identity;
  }

  /** The folder itself, in this process. */
  get path(): Bytes {
    return `/proc/self/fd/${this.#handle.fd}`;
  }

  pathOf(name: Bytes): Bytes {
    return `${this.path}/${name}`;
  }

  get handle(): FileHandle {
    return this.#handle;
  }

  hold(): void {
    this.#holders += 1;
  }

  async release(): Promise<void> {
    this.#holders -= 1;
    if (this.#holders === 0) await this.#handle.close();
  }
}

/** Opens a folder that is no link. Errors are the system's: ENOTDIR also where it is a link. */
export function openFolder(path: Bytes): Promise<OpenFolder> {
  return openWith(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

/** Opens a folder that a person named, where a link is followed. */
export function openNamedFolder(path: string): Promise<OpenFolder> {
  return openWith(Buffer.from(path, 'utf8').toString('latin1'), O_RDONLY | O_DIRECTORY);
}

/** Opens a folder to write into it, and gives its owner the permissions for that where it has none. */
export async function openFolderToWrite(path: Bytes): Promise<OpenFolder> {
  try {
    const folder = await openFolder(path);
    await permit(folder.handle, folder.path);
    return folder;
  } catch (error) {
    if (systemCode(error) !== 'EACCES') throw error;
  }
  const place = await open(bytesOf(path), O_PATH | O_DIRECTORY | O_NOFOLLOW);
  try {
    await permit(place, `/proc/self/fd/${place.fd}`);
  } finally {
    await place.close();
  }
  return openFolder(path);
}

const ownerAll = 0o700;

async function permit(handle: FileHandle, path: string): Promise<void> {
  const { mode, uid } = await handle.stat();
  if ((mode & ownerAll) === ownerAll || uid !== process.getuid?.()) return;
  await chmod(path, (mode & 0o7777) | ownerAll);
}

async function openWith(path: Bytes, flags: number): Promise<OpenFolder> {
  const handle = await open(bytesOf(path), flags);
  try {
    const { dev, ino } = await handle.stat({ bigint: true });
    return new OpenFolder(handle, { device: dev, inode: ino });
  } catch (error) {
    await handle.close();
    throw error;
  }
}

export function isSameFolder(a: FolderIdentity, b: FolderIdentity): boolean {
  return a.device === b.device && a.inode === b.inode;
}

/** Folders of a path that are held open at a time; those further up are opened again from below. */
const maxOpenLevels = 64;

/**
 * The folders from the root of a tree to the place where the work is. However deep that is, few of them are open.
 */
export class FolderPath {
  readonly #levels: { folder: OpenFolder | undefined; readonly identity: FolderIdentity }[] = [];

  get depth(): number {
    return this.#levels.length;
  }

  /** The innermost folder; undefined outside of all. */
  get innermost(): OpenFolder | undefined {
    return this.#levels.at(-1)?.folder;
  }

  /** Goes into a folder, which belongs to the path from now on. */
  async enter(folder: OpenFolder): Promise<void> {
    this.#levels.push({ folder, identity: folder.identity });
    const far = this.#levels.at(-1 - maxOpenLevels);
    const closing = far?.folder;
    if (far === undefined || closing === undefined) return;
    far.folder = undefined;
    await closing.release();
  }

  /**
   * Goes out of the innermost folder, which is the caller's to release.
   *
   * @throws the system's error, or ESTALE where the folder above is another one by now
   */
  async leave(): Promise<OpenFolder> {
    const folder = this.#levels.pop()?.folder;
    if (folder === undefined) throw new Error('The path has no folder.');
    const above = this.#levels.at(-1);
    if (above !== undefined && above.folder === undefined) {
      const reopened = await openFolder(folder.pathOf('..'));
      if (!isSameFolder(reopened.identity, above.identity)) {
        await reopened.release();
        await folder.release();
        throw Object.assign(new Error('A folder was moved.'), { code: 'ESTALE' });
      }
      above.folder = reopened;
    }
    return folder;
  }

  async close(): Promise<void> {
    for (const { folder } of this.#levels.splice(0)) await folder?.release();
  }
}
