import type { FileHandle } from 'node:fs/promises';

/** Longest line that is read, bytes: whatever an export writes, each part quoted, fits well. */
const maxLineBytes = 1024 * 1024;

/**
 * The lines of a file, which is closed at the end. Undefined stands for a line that is over-long, not UTF-8, or without a line feed
 * at its end, and ends the reading.
 */
export async function* readLines(file: FileHandle): AsyncGenerator<string | undefined> {
  let rest = Buffer.alloc(0);
  try {
    for await (const chunk of file.createReadStream({ autoClose: false }) as AsyncIterable<Buffer>) {
      rest = Buffer.concat([rest, chunk]);
      let start = 0;
      for (let end = rest.indexOf(0x0a); end >= 0; end = rest.indexOf(0x0a, start)) {
        const line = end - start > maxLineBytes ? undefined : decode(rest.subarray(start, end));
        yield line;
        if (line === undefined) return;
        start = end + 1;
      }
      rest = rest.subarray(start);
      if (rest.length > maxLineBytes) break;
    }
    if (rest.length > 0) yield undefined;
  } finally {
    await file.close();
  }
}

function decode(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return undefined;
  }
}
