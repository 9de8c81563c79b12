import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, realpath, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SealError } from '../errors.ts';
import { systemCode } from '../files.ts';
import { isSameFolder } from './folder.ts';
import type { FolderIdentity } from './folder.ts';
import type { Journal } from './journal.ts';
import { isPartName, isTreeId, manifestName } from './layout.ts';
import { checkObjects, removeObjects, removeTree } from './object-folders.ts';

/** The folder that a tree is sealed into. */
export interface TreeTarget {
  readonly folder: string;
  /** The tree's id, 32 hexadecimal digits. */
  readonly tree: string;
  /** Where the objects are. */
  readonly objects: string;
  /** Whether an interrupted sealing goes on. */
  readonly resumed: boolean;
}

/** Makes the folder where it is missing, and gives its real path. @throws SealError `seal.target_…` */
export async function makeTargetFolder(target: string, sources: readonly string[]): Promise<string> {
  try {
    await mkdir(target, { recursive: true, mode: 0o700 });
    const real = await realpath(target);
    await checkOutside(real, sources);
    return real;
  } catch (error) {
    throw targetError(target, error);
  }
}

/** A target inside a source would be sealed into itself. */
async function checkOutside(target: string, sources: readonly string[]): Promise<void> {
  const identities: FolderIdentity[] = [];
  for (const source of sources) {
    const found = await stat(source, { bigint: true }).catch(() => undefined);
    if (found?.isDirectory() === true) identities.push({ device: found.dev, inode: found.ino });
  }
  for (let folder = target; ; folder = dirname(folder)) {
    const { dev: device, ino: inode } = await stat(folder, { bigint: true });
    if (identities.some((identity) => isSameFolder(identity, { device, inode })))
      throw new SealError('seal.target_inside_source', target);
    if (folder === dirname(folder)) return;
  }
}

/**
 * Finds out what is in the target, and where the work goes on. Nothing that is not part of a sealed tree is touched.
 *
 * @throws SealError `seal.target_not_empty`, `seal.target_exists`, `seal.target_unfinished`, `seal.target_unwritable`
 */
export async function prepareTarget(
  folder: string,
  overwrite: boolean,
  journal: Journal | undefined,
): Promise<TreeTarget> {
  try {
    const found = await lookInto(folder);
    if (found.hasManifest && !overwrite) throw new SealError('seal.target_exists', folder);
    const known = found.trees.find((tree) => tree === journal?.tree);
    if (!overwrite && found.trees.some((tree) => tree !== known))
      throw new SealError('seal.target_unfinished', folder);
    for (const each of found.trees) await checkObjects(join(folder, each));
    for (const part of found.parts) await rm(join(folder, part), { force: true });
    if (known !== undefined && journal?.fits === true) {
      journal.goOn();
      const objects = join(folder, known);
      // Objects that are not in the journal may be half-written; what they were made of is sealed anew.
      await removeObjects(objects, (id) => !journal.has(id));
      return { folder, tree: known, objects, resumed: true };
    }
    if (known !== undefined) await removeTree(join(folder, known));
    const tree = randomBytes(16).toString('hex');
    // In this order: of a folder that the journal does not know, nobody could tell whose it is.
    journal?.begin(tree);
    await mkdir(join(folder, tree), { mode: 0o700 });
    return { folder, tree, objects: join(folder, tree), resumed: false };
  } catch (error) {
    throw targetError(folder, error);
  }
}

interface Found {
  readonly hasManifest: boolean;
  /** Folders of objects. */
  readonly trees: readonly string[];
  /** What an interrupted process left of a manifest. */
  readonly parts: readonly string[];
}

async function lookInto(folder: string): Promise<Found> {
  const entries = await readdir(folder, { withFileTypes: true });
  const namesOf = (kind: 'isFile' | 'isDirectory', matches: (name: string) => boolean) =>
    entries.filter((entry) => entry[kind]() && matches(entry.name)).map(({ name }) => name);
  const manifests = namesOf('isFile', (name) => name === manifestName);
  const trees = namesOf('isDirectory', isTreeId);
  const parts = namesOf('isFile', isPartName);
  if (manifests.length + trees.length + parts.length < entries.length)
    throw new SealError('seal.target_not_empty', folder);
  return { hasManifest: manifests.length > 0, trees, parts };
}

/** Removes objects of earlier attempts whose files have changed or gone. */
export async function removeUnusedObjects({ objects }: TreeTarget, journal: Journal): Promise<void> {
  const unused = new Set(journal.unused());
  if (unused.size > 0) await removeObjects(objects, (id) => unused.has(id));
}

/** Removes the objects of all trees but one: it has taken their place. */
export async function removeOtherTrees({ folder, tree }: TreeTarget): Promise<void> {
  for (const other of (await lookInto(folder)).trees)
    if (other !== tree) await removeTree(join(folder, other));
}

/** SHA-256 of the manifest in a target, hexadecimal; undefined where there is none. */
export async function manifestDigest(folder: string): Promise<string | undefined> {
  const hash = createHash('sha256');
  try {
    for await (const chunk of createReadStream(join(folder, manifestName))) hash.update(chunk as Buffer);
    return hash.digest('hex');
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw targetError(folder, error);
  }
}

/** @returns the error as the SDK gives it */
export function targetError(path: string, cause: unknown): unknown {
  const code = systemCode(cause);
  if (code === '' || cause instanceof SealError) return cause;
  if (code === 'ENOSPC' || code === 'EDQUOT') return new SealError('seal.no_space', path, { cause });
  return new SealError('seal.target_unwritable', path, { detail: code, cause });
}
