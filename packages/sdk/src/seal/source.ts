import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { SealError } from '../errors.ts';
import { systemCode } from '../files.ts';

/** Bytes of one read. */
const pieceBytes = 1024 * 1024;

/** A regular file that is read once, from its first byte to its last. */
export interface SourceFile {
  /** Its size when it was opened. */
  readonly bytes: number;
  /**
   * The file's bytes; a chunk is valid until the next one is asked for.
   * @throws SealError `seal.source_unreadable`, `seal.source_changed` (where it is longer or shorter than when it was opened)
   */
  chunks(): AsyncGenerator<Buffer, void, undefined>;
  /** @throws SealError `seal.source_changed` where the file is not what it was when it was opened, by size and time of change */
  checkUnchanged(): Promise<void>;
  close(): Promise<void>;
}

export interface SourceOptions {
  onProgress?(done: number, total: number): void;
  /** Ends the reading early, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** @throws SealError `seal.source_missing`, `seal.source_unreadable`, `seal.source_not_a_file` */
export async function openSource(path: string, options: SourceOptions = {}): Promise<SourceFile> {
  let file: FileHandle | undefined;
  try {
    // Without O_NONBLOCK, opening a named pipe would wait for a writer.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const before = await file.stat({ bigint: true });
    if (!before.isFile()) throw new SealError('seal.source_not_a_file', path);
    return new OpenSource(path, file, { bytes: Number(before.size), changedNs: before.mtimeNs }, options);
  } catch (error) {
    await file?.close();
    throw sourceError(path, error);
  }
}

class OpenSource implements SourceFile {
  readonly bytes: number;
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #changedNs: bigint;
  readonly #options: SourceOptions;

  constructor(
    path: string,
    file: FileHandle,
    before: { bytes: number; changedNs: bigint },
    options: SourceOptions,
  ) {
    this.#path = path;
    this.#file = file;
    this.bytes = before.bytes;
    this.#changedNs = before.changedNs;
    this.#options = options;
  }

  async *chunks(): AsyncGenerator<Buffer, void, undefined> {
    // One byte more than the file has, so that one that fits is read, and seen to end, in one buffer.
    const size = Math.min(pieceBytes, this.bytes + 1);
    const buffers = [Buffer.allocUnsafeSlow(size), Buffer.allocUnsafeSlow(size)] as const;
    let done = 0;
    let turn: 0 | 1 = 0;
    let reading = this.#read(buffers[turn], done);
    try {
      for (let chunk = await reading; chunk.length > 0; chunk = await reading) {
        this.#options.signal?.throwIfAborted();
        done += chunk.length;
        if (done > this.bytes) throw new SealError('seal.source_changed', this.#path);
        turn = turn === 0 ? 1 : 0;
        // The next piece is read while this one is worked on.
        reading = this.#read(buffers[turn], done);
        reading.catch(() => undefined);
        yield chunk;
        this.#options.onProgress?.(done, this.bytes);
      }
      if (done < this.bytes) throw new SealError('seal.source_changed', this.#path);
    } finally {
      // The buffers are not let go of while the system may write to one.
      await reading.catch(() => undefined);
    }
  }

  async #read(buffer: Buffer, position: number): Promise<Buffer> {
    try {
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, position);
      return buffer.subarray(0, bytesRead);
    } catch (error) {
      throw sourceError(this.#path, error);
    }
  }

  async checkUnchanged(): Promise<void> {
    const after = await this.#file.stat({ bigint: true });
    if (Number(after.size) !== this.bytes || after.mtimeNs !== this.#changedNs) {
      throw new SealError('seal.source_changed', this.#path);
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}

/** What a failure of the system says about a source file. */
export function sourceError(path: string, error: unknown): unknown {
  if (error instanceof SealError) return error;
  const detail = systemCode(error);
  if (detail === 'ENOENT' || detail === 'ENOTDIR')
    return new SealError('seal.source_missing', path, { cause: error });
  if (detail === 'EISDIR' || detail === 'ENXIO')
    return new SealError('seal.source_not_a_file', path, { cause: error });
  return new SealError('seal.source_unreadable', path, { ...(detail !== '' && { detail }), cause: error });
}
