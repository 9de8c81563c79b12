/**
 * Names and paths as the system has them: bytes. They are held as strings with one character for each byte (latin1), which
 * JavaScript compares in the order of the bytes and keeps in as much memory as the bytes take.
 */
export type Bytes = string;

/** The longest name in a folder, bytes: more than any file system of Linux allows. */
export const maxNameBytes = 1023;
/** The longest target of a symbolic link, bytes: PATH_MAX of Linux without its NUL. */
export const maxLinkBytes = 4095;
/** How deep folders nest. */
export const maxDepth = 65_535;

/** Whether it is a name that a folder can have, and that cannot lead out of it. */
export function isName(name: Bytes): boolean {
  return (
    name.length > 0 &&
    name.length <= maxNameBytes &&
    name !== '.' &&
    name !== '..' &&
    !name.includes('/') &&
    !name.includes('\0')
  );
}

export function isLinkTarget(target: Bytes): boolean {
  return target.length > 0 && target.length <= maxLinkBytes && !target.includes('\0');
}

/** The bytes, as the system takes them. */
export function bytesOf(bytes: Bytes): Buffer {
  return Buffer.from(bytes, 'latin1');
}

/** A path that was given as text. */
export function bytesOfText(text: string): Bytes {
  return Buffer.from(text, 'utf8').toString('latin1');
}

/** A place in a tree; the places above it are shared. */
export interface Place {
  readonly above: Place | undefined;
  readonly name: Bytes;
}

/** As long as a path may be that Linux takes. */
const mostShownBytes = 4096;

/**
 * The path of a place from the root of its tree. Of one longer than 4 KiB, the end, in whole names, behind `…/`: a path may have tens of
 * mebibytes, and there may be one for each entry.
 */
export function shownPathOf(place: Place | undefined): Bytes {
  const names: Bytes[] = [];
  let bytes = 0;
  for (let at = place; at !== undefined; at = at.above) {
    bytes += at.name.length + 1;
    if (bytes > mostShownBytes) {
      names.push(bytesOfText('…'));
      break;
    }
    names.push(at.name);
  }
  return names.reverse().join('/');
}
