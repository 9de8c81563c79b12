import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { StudyError, systemCode } from '../errors.ts';

/** What the marker says about the complete study beside it; the marker itself is not counted. */
export interface Marker {
  readonly version: number;
  readonly scale: number;
  readonly sites: number;
  readonly subjects: number;
  readonly files: number;
  readonly bytes: number;
  readonly sha256: string;
}

/** Written last, so that it stands for a complete study. */
const markerName = 'SAMPLE-STUDY';
/** Written first: a folder with this file holds a study that is not complete. */
const partialName = 'SAMPLE-STUDY.partial';
const systemFolders = ['edc', 'etmf', 'ctms', 'wearable'];
const ownNames = new Set([markerName, partialName, ...systemFolders]);
const maximalMarkerBytes = 4096;

export function isMarker(path: string): boolean {
  return path === markerName;
}

/**
 * The marker of the complete sample study in the folder; undefined where the folder does not exist, is empty, or holds a half-written
 * sample study.
 *
 * @throws StudyError study.target_not_a_folder, study.target_foreign, study.target_unwritable
 */
export async function readTarget(target: string): Promise<Marker | undefined> {
  let names: string[];
  try {
    names = await readdir(target);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    const isOther = systemCode(error) === 'ENOTDIR';
    throw new StudyError(isOther ? 'study.target_not_a_folder' : 'study.target_unwritable', target, error);
  }
  if (names.length === 0) return undefined;
  const isOurs = names.every((name) => ownNames.has(name));
  if (isOurs && names.includes(partialName)) return undefined;
  const marker = isOurs && names.includes(markerName) ? await readMarker(target) : undefined;
  if (marker === undefined) throw new StudyError('study.target_foreign', target);
  return marker;
}

/** Undefined where the file is not a marker of ours: somebody else's file may bear the name. */
async function readMarker(target: string): Promise<Marker | undefined> {
  const path = join(target, markerName);
  try {
    const status = await stat(path);
    if (!status.isFile() || status.size > maximalMarkerBytes) return undefined;
    const found: unknown = JSON.parse(await readFile(path, 'utf8'));
    return hasMarkerForm(found) ? found : undefined;
  } catch {
    return undefined;
  }
}

function hasMarkerForm(found: unknown): found is Marker {
  if (typeof found !== 'object' || found === null) return false;
  const fields = found as Record<string, unknown>;
  const numbers = ['version', 'scale', 'sites', 'subjects', 'files', 'bytes'];
  return (
    numbers.every((name) => typeof fields[name] === 'number') &&
    /^[0-9a-f]{64}$/.test(String(fields['sha256']))
  );
}

/** Marks the folder as half-written and removes what a former generation left in it. Only after `readTarget`. */
export async function beginTarget(target: string): Promise<void> {
  await makeFolder(target);
  await writeFile(join(target, partialName), 'The sample study in this folder is not complete.\n');
  for (const name of [markerName, ...systemFolders]) {
    await rm(join(target, name), { recursive: true, force: true });
  }
}

/** Marks the folder as complete, in one step. */
export async function finishTarget(target: string, marker: Marker): Promise<void> {
  await writeFile(join(target, partialName), `${JSON.stringify(marker, null, 2)}\n`);
  await rename(join(target, partialName), join(target, markerName));
}

/**
 * Makes the folder and those above it that do not exist. Node's own recursive mkdir never returns where the system answers ENOENT
 * although the folder above exists, as it does below /proc and in a working directory that was removed.
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return;
    if (systemCode(error) !== 'ENOENT' || dirname(path) === path) throw error;
    await makeFolder(dirname(path));
    await mkdir(path);
  }
}
