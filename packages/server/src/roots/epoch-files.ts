import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { Type } from 'typebox';
import type { Static } from 'typebox';
import { StartupError } from '../platform/errors.ts';
import { syncDirectory, writeFileDurably } from '../platform/files.ts';
import { newId } from '../platform/ids.ts';
import { readJson } from './read-json.ts';

const closed = { additionalProperties: false };
const members = {
  epoch: Type.Integer({ minimum: 1 }),
  id: Type.String({ pattern: '^[0-9a-f-]{36}$' }),
  wrapped: Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$', maxLength: 2000 }),
};
/** The files of docs/formats/epoch-keys.md. */
const oneEpoch = Type.Object({ format: Type.Literal(1), ...members }, closed);
const bundle = Type.Object(
  {
    format: Type.Literal(2),
    epochs: Type.Array(Type.Object(members, closed), { minItems: 1, maxItems: 2 }),
  },
  closed,
);
const eitherForm = Type.Union([oneEpoch, bundle]);

/** An epoch key, as its file has it. */
export type WrappedEpoch = Omit<Static<typeof oneEpoch>, 'format'>;

/** The first, or what a backup or a stand-by has. */
export const firstFile = 'epoch.json';
const liveFile = /^epoch(?:-[1-9][0-9]{0,15})?\.json$/;
/** Written beside its place, and linked or moved there. */
const draftFile = /^epoch(?:-([1-9][0-9]{0,15}))?\.json\.[0-9a-f-]{36}(?:\.new)?$/;
/** In a folder that nodes share: what the stand-by of that id has. */
const rootFolderName = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const retiredFile = /^epoch.*\.retired$/;

/** How often a folder is listed again where another node changes it meanwhile. */
const maxListings = 5;

/** What is done to the files of a folder, each by its own name: after a stop between any two, the next run goes on. */
export const steps = {
  write: writeFileDurably,
  link: linkSync,
  rename: renameSync,
  sync: syncDirectory,
  overwrite,
  unlink: (path: string): void => rmSync(path, { force: true }),
};

function hasCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException | undefined)?.code ?? '');
}

/** The names of the files that have epoch keys in use. @throws StartupError `data.unreadable` */
export function epochNames(folder: string): string[] {
  return namesIn(folder).filter((name) => liveFile.test(name));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch (error) {
    throw new StartupError('data.unreadable', folder, error);
  }
}

/** The epochs that a folder has, in the order of their numbers, each with its file. @throws StartupError `data.unreadable`, `config.invalid` */
export function readEpochs(
  folder: string,
): { readonly file: string; readonly epochs: readonly WrappedEpoch[] }[] {
  for (let left = maxListings; ; left--) {
    let isWhole = true;
    const found = epochNames(folder).flatMap((name) => {
      const file = join(folder, name);
      try {
        const content = readJson(file, eitherForm);
        return [{ file, epochs: content.format === 1 ? [content] : content.epochs }];
      } catch (error) {
        if (!hasCode((error as Error).cause, 'ENOENT', 'ESTALE')) throw error;
        isWhole = false;
        return [];
      }
    });
    // Another node has retired one since the folder was listed, and may have begun the next before.
    if (!isWhole && left > 1) continue;
    return found.toSorted((a, b) => (a.epochs[0]?.epoch ?? 0) - (b.epochs[0]?.epoch ?? 0));
  }
}

/** @param isShared whether nodes share it, and stand-bys have folders in it. @throws StartupError `root.epochs_present` where the folder has epoch keys, readable or not; `data.unreadable` */
export function assertNoEpochs(folder: string, isShared = false): void {
  const ofRoots = isShared ? namesIn(folder).filter((name) => rootFolderName.test(name)) : [];
  const [name] = [...epochNames(folder), ...ofRoots];
  if (name !== undefined) throw new StartupError('root.epochs_present', join(folder, name));
}

/** Epochs as one file: of a backup, or of a stand-by. */
export function bundleOf(epochs: readonly WrappedEpoch[]): string {
  const content: Static<typeof bundle> = { format: 2, epochs: epochs.map(onlyMembers) };
  return `${JSON.stringify(content, null, 2)}\n`;
}

function onlyMembers({ epoch, id, wrapped }: WrappedEpoch): WrappedEpoch {
  return { epoch, id, wrapped };
}

/** Puts an epoch in its place, durably, and never over another. @returns false where there is one: of two nodes, the first one's counts */
export function placeEpoch(folder: string, name: string, epoch: WrappedEpoch): boolean {
  const place = join(folder, name);
  const draft = `${place}.${newId()}`;
  steps.write(draft, `${JSON.stringify({ format: 1, ...onlyMembers(epoch) }, null, 2)}\n`);
  try {
    steps.link(draft, place);
    return true;
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error;
    return false;
  } finally {
    // Linked, it is the same file under another name, and must not be overwritten.
    steps.unlink(draft);
    steps.sync(folder);
  }
}

/** Puts content in the place of a file, durably, and overwrites what was there. */
export function replaceEpochs(folder: string, content: string): void {
  const place = join(folder, firstFile);
  const draft = `${place}.${newId()}`;
  steps.write(draft, content);
  try {
    // There is the old one or the new one, at any time; the old one stays within reach until it is overwritten.
    steps.link(place, retiredName(place));
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
  }
  steps.rename(draft, place);
  steps.sync(folder);
  for (const name of epochNames(folder)) if (name !== firstFile) destroyFile(join(folder, name));
  sweep(folder);
}

function retiredName(file: string): string {
  return `${file}.${newId()}.retired`;
}

/**
 * Destroys a file of epoch keys; nothing where it is gone. It first loses the name under which nodes read it: an overwritten file is
 * never taken for one with a key.
 */
export function destroyFile(file: string): void {
  const retired = retiredName(file);
  try {
    steps.rename(file, retired);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  steps.sync(dirname(file));
  destroyRetired(retired);
}

function destroyRetired(retired: string): void {
  try {
    steps.overwrite(retired);
  } catch (error) {
    // Another node was faster.
    if (!hasCode(error, 'ENOENT', 'ESTALE')) throw error;
  }
  steps.unlink(retired);
  steps.sync(dirname(retired));
}

/**
 * Destroys what an interrupted run has left: files that lost their names and were not overwritten yet, and drafts.
 *
 * @param newest drafts of this epoch and later ones stay: another node may be about to put them in their places
 */
export function sweep(folder: string, newest = Infinity): void {
  const names = namesIn(folder);
  const isLeft = (name: string): boolean => {
    const draft = draftFile.exec(name);
    return draft === null ? retiredFile.test(name) : Number(draft[1] ?? 1) < newest;
  };
  const left = names.filter(isLeft);
  if (left.length === 0) return;
  const live = new Set(names.filter((name) => liveFile.test(name)).map((name) => inode(join(folder, name))));
  for (const name of left) {
    const file = join(folder, name);
    const own = inode(file);
    if (own === undefined) continue;
    // Another name of a file that is in use: only the name goes.
    if (live.has(own)) steps.unlink(file);
    else destroyRetired(file);
  }
  steps.sync(folder);
}

/** What two names of one file have in common; undefined where it is gone. */
function inode(file: string): string | undefined {
  const found = statSync(file, { bigint: true, throwIfNoEntry: false });
  return found && `${found.dev}:${found.ino}`;
}

/** Writes random bytes over a file where it lies, durably. */
export function overwrite(path: string): void {
  const file = openSync(path, 'r+');
  try {
    const bytes = randomBytes(fstatSync(file).size);
    for (let written = 0; written < bytes.length;)
      written += writeSync(file, bytes, written, undefined, written);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
