import { closeSync, constants, lstatSync, mkdirSync, openSync } from 'node:fs';
import { readdir, rmdir, unlink } from 'node:fs/promises';
import { SealError } from '../errors.ts';
import { systemCode } from '../files.ts';
import { openFolder } from './folder.ts';
import type { OpenFolder } from './folder.ts';
import { objectIdOf } from './layout.ts';
import { bytesOf, bytesOfText } from './name.ts';
import type { Bytes } from './name.ts';

/**
 * The folder of a tree's objects, `<2 hex>/<62 hex>`, entered through handles only: whoever can write to it can put a link in the place of
 * anything, and none is followed.
 */

const { O_RDONLY, O_DIRECTORY, O_NOFOLLOW } = constants;

/** @throws the system's error, ENOTDIR also for a link */
export function openFolderSync(path: string): number {
  return openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
}

/** An object that is being written. */
export interface NewObject {
  readonly file: number;
  /** The folder that it is in, and its path through that handle. */
  readonly folder: number;
  readonly path: string;
}

/**
 * Creates the file of an object; both handles are the caller's.
 *
 * @param objects the open folder of the tree's objects; @param id hexadecimal
 * @throws the system's error
 */
export function createObject(objects: number, id: string): NewObject {
  const folder = openInner(`/proc/self/fd/${objects}/${id.slice(0, 2)}`);
  try {
    const path = `/proc/self/fd/${folder}/${id.slice(2)}`;
    return { file: openSync(path, 'wx', 0o600), folder, path };
  } catch (error) {
    closeSync(folder);
    throw error;
  }
}

function openInner(path: string): number {
  try {
    return openFolderSync(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return openFolderSync(path);
  }
}

/** The size of an object; undefined where there is none. @param objects the path of the tree's objects; @param id hexadecimal */
export function objectBytes(objects: string, id: string): number | undefined {
  const folders: number[] = [];
  try {
    const root = openFolderSync(objects);
    folders.push(root);
    const inner = openFolderSync(`/proc/self/fd/${root}/${id.slice(0, 2)}`);
    folders.push(inner);
    const found = lstatSync(`/proc/self/fd/${inner}/${id.slice(2)}`);
    return found.isFile() ? found.size : undefined;
  } catch (error) {
    if (systemCode(error) === '') throw error;
    return undefined;
  } finally {
    for (const folder of folders) closeSync(folder);
  }
}

/**
 * Makes sure that there is nothing but objects in their folders, so that all of it is ours to remove.
 *
 * @throws SealError `seal.target_not_empty`; the system's error
 */
export function checkObjects(objects: string): Promise<void> {
  return forEachFolder(objects, async () => undefined);
}

/** Removes objects. @throws as `checkObjects`, before anything of the folder concerned is removed */
export function removeObjects(objects: string, isToGo: (id: string) => boolean): Promise<void> {
  return forEachFolder(objects, async (folder, ids) => {
    for (const id of ids) if (isToGo(id)) await unlink(bytesOf(folder.pathOf(id.slice(2))));
  });
}

/** Removes a tree's objects and their folders. @throws as `removeObjects` */
export async function removeTree(objects: string): Promise<void> {
  await checkObjects(objects);
  await forEachFolder(objects, async (folder, ids, remove) => {
    for (const id of ids) await unlink(bytesOf(folder.pathOf(id.slice(2))));
    await remove();
  });
  await rmdir(objects);
}

async function forEachFolder(
  objects: string,
  work: (folder: OpenFolder, ids: readonly string[], remove: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const root = await openFolder(bytesOfText(objects));
  try {
    for (const entry of await entriesOf(root.path)) {
      if (!entry.isDirectory() || !/^[0-9a-f]{2}$/.test(entry.name)) throw notOurs(objects, entry.name);
      const path = bytesOf(root.pathOf(entry.name));
      const folder = await openFolder(root.pathOf(entry.name));
      try {
        const entries = await entriesOf(folder.path);
        const ids = entries.map((file) => {
          const id = file.isFile() ? objectIdOf(entry.name, file.name) : undefined;
          if (id === undefined) throw notOurs(objects, `${entry.name}/${file.name}`);
          return id;
        });
        await work(folder, ids, () => rmdir(path));
      } finally {
        await folder.release();
      }
    }
  } finally {
    await root.release();
  }
}

function entriesOf(path: Bytes) {
  return readdir(path, { withFileTypes: true });
}

function notOurs(objects: string, name: string): SealError {
  return new SealError('seal.target_not_empty', `${objects}/${name}`);
}
