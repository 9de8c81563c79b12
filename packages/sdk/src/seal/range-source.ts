import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import type { RandomAccessSource } from '@trialkeep/crypto';
import { SealError } from '../errors.ts';
import { sourceError } from './source.ts';

/** Bytes that can be read at any place. */
export interface RangeSource extends RandomAccessSource {
  /** Lets go of what the source holds; where left out it holds nothing. */
  close?(): Promise<void>;
}

/** @throws SealError `seal.source_missing`, `seal.source_unreadable`, `seal.source_not_a_file`; reads: `seal.source_changed` where it is shorter now */
export async function fileRanges(path: string): Promise<RangeSource> {
  let file: FileHandle | undefined;
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const stat = await file.stat();
    if (!stat.isFile()) throw new SealError('seal.source_not_a_file', path);
    return rangesOf(file, path, stat.size);
  } catch (error) {
    await file?.close();
    throw sourceError(path, error);
  }
}

function rangesOf(file: FileHandle, path: string, size: number): RangeSource {
  return {
    size,
    read: async (position, length) => {
      const bytes = Buffer.allocUnsafeSlow(length);
      let done = 0;
      try {
        while (done < length) {
          const { bytesRead } = await file.read(bytes, done, length - done, position + done);
          if (bytesRead === 0) throw new SealError('seal.source_changed', path);
          done += bytesRead;
        }
      } catch (error) {
        throw sourceError(path, error);
      }
      return bytes;
    },
    close: () => file.close(),
  };
}
