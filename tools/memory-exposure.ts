/** Looks for bytes in the memory of a running process, as somebody with its account's rights can. Linux. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';

/** Read at once, bytes. */
const pieceBytes = 4 * 1024 * 1024;

/**
 * How often each of the needles lies in the writable memory of a process.
 *
 * @param needles by name; each of at most 64 KiB
 */
export function sightingsInMemory(
  processId: number,
  needles: Readonly<Record<string, Uint8Array>>,
): Record<string, number> {
  const found = Object.fromEntries(Object.keys(needles).map((name) => [name, 0]));
  const longest = Math.max(...Object.values(needles).map(({ length }) => length));
  const memory = openSync(`/proc/${processId}/mem`, 'r');
  try {
    for (const [from, to] of writableMappings(processId)) {
      for (let at = from; at < to; at += pieceBytes) {
        const piece = readAt(memory, at, Math.min(pieceBytes + longest - 1, to - at));
        for (const [name, needle] of Object.entries(needles)) {
          // What begins in the overlap is counted with the next piece.
          for (let i = piece.indexOf(needle); i >= 0 && i < pieceBytes; i = piece.indexOf(needle, i + 1))
            found[name] = (found[name] ?? 0) + 1;
        }
      }
    }
  } finally {
    closeSync(memory);
  }
  return found;
}

function writableMappings(processId: number): [from: number, to: number][] {
  const lines = readFileSync(`/proc/${processId}/maps`, 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
    return from === undefined || to === undefined
      ? []
      : [[Number.parseInt(from, 16), Number.parseInt(to, 16)]];
  });
}

/** What can be read there: mappings change while they are looked at, and pages may be guarded. */
function readAt(memory: number, position: number, length: number): Buffer {
  const piece = Buffer.alloc(length);
  try {
    return piece.subarray(0, readSync(memory, piece, { position, length }));
  } catch {
    return piece.subarray(0, 0);
  }
}
