import type { KeyObject } from 'node:crypto';
import { readSync, writevSync } from 'node:fs';
import { CryptoError } from '@trialkeep/crypto';
import type { FileErrorCode } from '../errors.ts';
import { systemCode } from '../files.ts';
import { openingFailures, sealingFailures } from '../seal/failure.ts';
import type { SealedDataKeys } from '../seal/keys.ts';

/**
 * What the jobs of a thread have in common. Their file operations are synchronous: that takes a fifth of the processor time of
 * asynchronous ones, and holds nobody up, since they run beside the thread that answers.
 */

export interface JobTools {
  /** Counts bytes as done. @throws Stopped once all work is to end */
  advance(bytes: number): void;
  /** The data keys of messages, each where there is one. */
  openingKeys(messages: readonly WantedKey[]): Promise<readonly (KeyObject | Failure)[]>;
}

/** A data key that opens one or more messages. */
export interface WantedKey {
  readonly message: SealedDataKeys;
  /** How many messages: each is a use of its own. */
  readonly uses: number;
}

/** Thrown in a job where all work is to end. */
export class Stopped extends Error {}

/** What became of one entry that failed; crosses threads. */
export interface Failure {
  readonly failure: FileErrorCode;
  readonly detail?: string | undefined;
}

export function isFailure(result: object): result is Failure {
  return Object.hasOwn(result, 'failure');
}

/** An error that costs one entry, and nothing else. */
export class EntryError extends Error {
  readonly failure: Failure;

  constructor(code: FileErrorCode, detail?: string) {
    super(code);
    this.failure = { failure: code, detail };
  }
}

/** What an error costs: one entry. Any other is thrown on. */
export function failureOf(error: unknown): Failure {
  if (error instanceof EntryError) return error.failure;
  if (error instanceof CryptoError) {
    const failure = openingFailures[error.code] ?? sealingFailures[error.code];
    if (failure !== undefined) return { failure, detail: error.message };
  }
  throw error;
}

/** Runs what reads a source. @throws EntryError */
export function reading<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw readError(error);
  }
}

export function readError(error: unknown): unknown {
  if (error instanceof EntryError) return error;
  const code = systemCode(error);
  if (code === 'ENOENT' || code === 'ENOTDIR') return new EntryError('seal.source_missing');
  // A link where O_NOFOLLOW met one, or a device without a driver.
  if (code === 'ELOOP' || code === 'ENXIO') return new EntryError('seal.source_changed');
  return code === '' ? error : new EntryError('seal.source_unreadable', code);
}

/** Runs what writes a target. @throws EntryError */
export function writing<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw writeError(error);
  }
}

export function writeError(error: unknown): unknown {
  if (error instanceof EntryError) return error;
  const code = systemCode(error);
  if (code === 'ENOSPC' || code === 'EDQUOT') return new EntryError('seal.no_space');
  if (code === 'EEXIST') return new EntryError('seal.target_exists');
  return code === '' ? error : new EntryError('seal.target_unwritable', code);
}

const pieceBytes = 1024 * 1024;
const smallPieceBytes = 64 * 1024;
/** Buffers of this thread for small files: as many as are in use at a time. */
const spare: Buffer[] = [];

/** An open file that is read from its first byte to its end. */
export class FilePieces {
  readonly #file: number;
  readonly #expectedBytes: number;
  readonly #isSmall: boolean;
  readonly #buffer: Buffer;

  /** @param expectedBytes its size, as far as it is known */
  constructor(file: number, expectedBytes: number) {
    this.#file = file;
    this.#expectedBytes = expectedBytes;
    this.#isSmall = expectedBytes < smallPieceBytes;
    const size = this.#isSmall ? smallPieceBytes : pieceBytes;
    this.#buffer = (this.#isSmall ? spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(size);
  }

  /** The bytes; a piece is valid until the next one is asked for, or `release` is called. @throws EntryError */
  *read(): Generator<Buffer, void, undefined> {
    for (let position = 0; ;) {
      const length = reading(() => readSync(this.#file, this.#buffer, 0, this.#buffer.length, position));
      if (length === 0) return;
      position += length;
      yield this.#buffer.subarray(0, length);
      // A small file, and its end, take one read.
      if (length < this.#buffer.length && position === this.#expectedBytes) return;
    }
  }

  /** Lets another file use the memory: once nobody looks at a piece any more, which is later than the end of `read`. */
  release(): void {
    if (this.#isSmall) spare.push(this.#buffer);
  }
}

/** Gathers chunks, so that few calls write them. */
export class GatheringWriter {
  readonly file: number;
  #waiting: Buffer[] = [];
  #waitingBytes = 0;
  /** Bytes given to it so far. */
  bytes = 0;

  constructor(file: number) {
    this.file = file;
  }

  /** The chunk is the writer's from now on. */
  write(chunk: Buffer): void {
    this.#waiting.push(chunk);
    this.#waitingBytes += chunk.length;
    this.bytes += chunk.length;
    if (this.#waitingBytes >= pieceBytes) this.flush();
  }

  /** Hands everything to the system. @throws EntryError */
  flush(): void {
    while (this.#waitingBytes > 0) {
      const written = writing(() => writevSync(this.file, this.#waiting));
      this.#waitingBytes -= written;
      this.#waiting = after(this.#waiting, written);
    }
    this.#waiting = [];
  }
}

/** What is left of chunks behind their first bytes. */
function after(chunks: readonly Buffer[], bytes: number): Buffer[] {
  let skip = bytes;
  for (const [index, chunk] of chunks.entries()) {
    if (skip < chunk.length) return [chunk.subarray(skip), ...chunks.slice(index + 1)];
    skip -= chunk.length;
  }
  return [];
}
