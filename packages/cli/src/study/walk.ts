import { isUtf8 } from 'node:buffer';
import { access, constants, lstat, opendir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { StudyError, systemCode } from './errors.ts';

/** Why something below a folder is not among its files, with the sentence for a human. */
export const skipReasons = {
  'symbolic-link': 'Symbolic links are not followed.',
  'special-file': 'It is a device, a socket or a pipe.',
  'name-not-utf-8': 'Its name is not UTF-8.',
  unreadable: 'This account may not read it.',
  vanished: 'It was removed while the folder was read.',
} as const;
export type SkipReason = keyof typeof skipReasons;

/** Something that was found but is not among the files; `path` relative to the root, `/` between its parts. */
export interface Skipped {
  readonly path: string;
  readonly reason: SkipReason;
}

/** File system calls that are in flight at once, per walk. */
const inFlight = 32;

/**
 * Visits every regular file below `root` that this account may read, in no particular order.
 *
 * `root` itself may be a symbolic link, since the user named it; below it links are reported and not followed, so a loop of links
 * cannot occur. `visit` receives the path relative to `root`, `/` between its parts and otherwise exactly as found (no Unicode
 * normalisation), and the size in bytes at that moment.
 *
 * @returns what was skipped, each with its reason
 * @throws StudyError study.folder_missing, study.folder_not_a_folder, study.folder_unreadable
 */
export async function walk(root: string, visit: (path: string, bytes: number) => void): Promise<Skipped[]> {
  await requireFolder(root);
  const skipped: Skipped[] = [];
  const folders = [''];
  const examine = async (path: string) => {
    const found = await examineFile(join(root, path));
    if (typeof found === 'number') visit(path, found);
    else skipped.push({ path, reason: found });
  };
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const prefix = folder === '' ? '' : `${folder}/`;
    let pending: Promise<void>[] = [];
    try {
      // Names arrive as bytes: decoded at once, one that is not UTF-8 would turn into a path that does not exist.
      for await (const entry of await opendir(join(root, folder), { encoding: 'buffer' as BufferEncoding })) {
        const name = entry.name as unknown as Buffer;
        const path = prefix + name.toString('utf8');
        if (!isUtf8(name)) skipped.push({ path, reason: 'name-not-utf-8' });
        else if (entry.isDirectory()) folders.push(path);
        else pending.push(examine(path));
        if (pending.length < inFlight) continue;
        await Promise.all(pending);
        pending = [];
      }
    } catch (error) {
      if (folder === '') throw new StudyError('study.folder_unreadable', root, error);
      skipped.push({ path: folder, reason: systemCode(error) === 'ENOENT' ? 'vanished' : 'unreadable' });
    }
    await Promise.all(pending);
  }
  return skipped;
}

async function requireFolder(root: string): Promise<void> {
  let isFolder;
  try {
    isFolder = (await stat(root)).isDirectory();
  } catch (error) {
    const isMissing = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE'].includes(
      systemCode(error),
    );
    throw new StudyError(isMissing ? 'study.folder_missing' : 'study.folder_unreadable', root, error);
  }
  if (!isFolder) throw new StudyError('study.folder_not_a_folder', root);
}

/** The size in bytes of a regular file that can be read, or why it is skipped. Never throws. */
async function examineFile(path: string): Promise<number | SkipReason> {
  try {
    const status = await lstat(path);
    if (status.isSymbolicLink()) return 'symbolic-link';
    if (!status.isFile()) return 'special-file';
    await access(path, constants.R_OK);
    return status.size;
  } catch (error) {
    return systemCode(error) === 'ENOENT' ? 'vanished' : 'unreadable';
  }
}
