import { open, readFile, readdir, rm, stat, truncate } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { CryptoError, chainUses, maximumBatchReceipts, noReceipt, parseReceipt } from '@trialkeep/crypto';
import type { AttestedUse, ChainedReceipt, ReceiptBatch } from '@trialkeep/crypto';
import { sdkError } from '../errors.ts';
import { syncFolder, systemCode } from '../files.ts';
import { readReleased, writeReleased } from './released.ts';

/** Receipts that follow each other, ready to be signed. */
export type UnsignedBatch = Pick<ReceiptBatch, 'first' | 'previous' | 'uses'>;

/** A file of the spool; `last` is before `first` while it is empty. */
interface Segment {
  readonly path: string;
  readonly first: number;
  last: number;
}

const segmentName = /^receipts-(\d{16})\.jsonl$/;
/** More than a full file is long; what is longer is not one. */
const maxSegmentBytes = 2 * 1024 * 1024;

/** The files of a folder that hold receipts, in their order. */
export async function segmentNames(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => segmentName.test(name)).sort();
}

/**
 * A reporter's receipts on disk (docs/formats/use-receipt.md): appended durably, read in batches, and deleted once they are
 * acknowledged. Appending and reading may overlap; each by itself is for one caller at a time.
 */
export class Spool {
  readonly #folder: string;
  readonly #reporter: string;
  readonly #segments: Segment[];
  #last: number;
  #lastHash: string;
  /** Receipts up to this one are acknowledged. */
  #released: number;
  #file: { readonly handle: FileHandle; bytes: number } | undefined;
  /** What made the state of the file unknown. */
  #broken: unknown;

  private constructor(
    folder: string,
    reporter: string,
    segments: Segment[],
    end: { last: number; hash: string; released: number },
  ) {
    this.#folder = folder;
    this.#reporter = reporter;
    this.#segments = segments;
    this.#last = end.last;
    this.#lastHash = end.hash;
    this.#released = end.released;
  }

  /** Reads the chain from the folder, and cuts off the half line that a killed process left at its end. @throws TrialkeepError `receipts.damaged` */
  static async open(folder: string, reporter: string): Promise<Spool> {
    const names = await segmentNames(folder);
    const segments: Segment[] = [];
    const end = { last: 0, hash: noReceipt };
    for (const [i, name] of names.entries()) {
      const path = join(folder, name);
      const first = Number(segmentName.exec(name)?.[1]);
      const isNewest = i === names.length - 1;
      if (isNewest) await cutOff(path);
      const chain = await readSegment(path, reporter, first);
      // The newest is empty where the process ended before its first receipt was on disk.
      if (chain.length === 0 && isNewest && (segments.length > 0 || first === 1)) {
        await rm(path);
        continue;
      }
      const [head] = chain;
      const goesOn = first > end.last + 1 || (first === end.last + 1 && head?.receipt.previous === end.hash);
      const tail = chain.at(-1);
      const isWhole = isNewest || chain.length === maximumBatchReceipts;
      if (!goesOn || !isWhole || tail === undefined) throw sdkError('receipts.damaged', { detail: path });
      segments.push({ path, first, last: tail.receipt.sequence });
      Object.assign(end, { last: tail.receipt.sequence, hash: tail.hash });
    }
    const released = await readReleased(folder);
    if (released > end.last) {
      const detail = `${folder}: nothing up to receipt ${released}, which is acknowledged`;
      throw sdkError('receipts.damaged', { detail });
    }
    return new Spool(folder, reporter, segments, { ...end, released });
  }

  /** Sequence of the newest receipt; 0 before the first. */
  get last(): number {
    return this.#last;
  }

  /** Receipts that are not acknowledged. */
  get unsent(): number {
    return this.#segments.reduce(
      (sum, { first, last }) => sum + Math.max(0, last - Math.max(first - 1, this.#released)),
      0,
    );
  }

  /** Receipts that one append takes at most. */
  get room(): number {
    const segment = this.#segments.at(-1);
    const room = segment === undefined ? 0 : segment.first + maximumBatchReceipts - 1 - segment.last;
    return room > 0 ? room : maximumBatchReceipts;
  }

  /**
   * Puts uses, {@link room} at most, behind the chain. Resolves once they are on disk; where it throws, none of them counts.
   *
   * @throws TrialkeepError `receipts.no_space`, `receipts.not_written`
   */
  async append(uses: readonly AttestedUse[]): Promise<void> {
    if (this.#broken !== undefined) throw notWritten(this.#broken);
    const place = { reporter: this.#reporter, first: this.#last + 1, previous: this.#lastHash };
    const chain = chainUses({ ...place, uses });
    const newest = chain.at(-1);
    if (newest === undefined) return;
    const bytes = Buffer.from(chain.map(({ text }) => `${text}\n`).join(''));
    const segment = await this.#segmentFor(place.first).catch((error: unknown) => {
      throw notWritten(error);
    });
    await this.#write(bytes);
    segment.last = newest.receipt.sequence;
    this.#last = segment.last;
    this.#lastHash = newest.hash;
  }

  /** The oldest receipts after that sequence, as many as a batch takes; undefined where there are none. */
  async next(after: number): Promise<UnsignedBatch | undefined> {
    const segment = this.#segments.find(({ last }) => last > after);
    if (segment === undefined) return undefined;
    const { path, first, last } = segment;
    const chain = (await readSegment(path, this.#reporter, first, last)).filter(
      ({ receipt }) => receipt.sequence > after,
    );
    const [head] = chain;
    if (head === undefined || chain.at(-1)?.receipt.sequence !== last) {
      throw sdkError('receipts.damaged', { detail: path });
    }
    const { sequence, previous } = head.receipt;
    return { first: sequence, previous, uses: chain.map(({ receipt }) => useOf(receipt)) };
  }

  /**
   * Forgets receipts that the server has. The newest receipt stays: the chain goes on from it.
   *
   * @throws TrialkeepError `receipts.no_space`, `receipts.not_written` where they are forgotten by this process alone
   */
  async release(upTo: number): Promise<void> {
    try {
      await this.#release(upTo);
    } catch (error) {
      throw notWritten(error);
    }
  }

  async #release(upTo: number): Promise<void> {
    const isMore = upTo > this.#released;
    if (isMore) this.#released = upTo;
    const newest = this.#segments.findLast(({ first, last }) => last >= first);
    for (const segment of [...this.#segments]) {
      if (segment === newest || segment.last < segment.first || segment.last > this.#released) continue;
      await rm(segment.path, { force: true });
      this.#segments.splice(this.#segments.indexOf(segment), 1);
    }
    if (isMore) await writeReleased(this.#folder, upTo);
  }

  async close(): Promise<void> {
    await this.#file?.handle.close();
    this.#file = undefined;
  }

  /** The file that the next receipts belong in, opened. */
  async #segmentFor(first: number): Promise<Segment> {
    const newest = this.#segments.at(-1);
    if (newest !== undefined && newest.last - newest.first + 1 < maximumBatchReceipts) {
      if (this.#file === undefined) {
        const handle = await open(newest.path, 'r+');
        this.#file = { handle, bytes: (await handle.stat()).size };
      }
      return newest;
    }
    await this.close();
    const path = join(this.#folder, `receipts-${String(first).padStart(16, '0')}.jsonl`);
    // One that could not be begun before may be there, with nothing that counts.
    const handle = await open(path, 'w', 0o600);
    this.#file = { handle, bytes: 0 };
    await syncFolder(this.#folder);
    const segment = { path, first, last: first - 1 };
    this.#segments.push(segment);
    return segment;
  }

  /** Writes behind what counts, and takes back what it could not write whole. */
  async #write(bytes: Buffer): Promise<void> {
    const file = this.#file;
    if (file === undefined) throw notWritten(new Error('No file is open.'));
    try {
      for (let offset = 0; offset < bytes.length;) {
        const { bytesWritten } = await file.handle.write(bytes, offset, undefined, file.bytes + offset);
        offset += bytesWritten;
      }
    } catch (error) {
      await file.handle.truncate(file.bytes).catch((failure: unknown) => (this.#broken = failure));
      throw notWritten(error);
    }
    try {
      await file.handle.datasync();
    } catch (error) {
      // What of it is on disk now is not to be found out: only reading it again tells.
      this.#broken = error;
      throw notWritten(error);
    }
    file.bytes += bytes.length;
  }
}

/** The receipts of a file, those up to `last`: the file may be growing. @throws TrialkeepError `receipts.damaged` */
async function readSegment(
  path: string,
  reporter: string,
  first: number,
  last = Number.MAX_SAFE_INTEGER,
): Promise<ChainedReceipt[]> {
  if ((await stat(path)).size > maxSegmentBytes) throw sdkError('receipts.damaged', { detail: path });
  const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
  const chain: ChainedReceipt[] = [];
  for (const line of lines.slice(0, Math.max(0, last - first + 1))) {
    const read = parsed(line);
    const receipt = read?.receipt;
    const isNext =
      receipt?.reporter === reporter &&
      receipt.sequence === first + chain.length &&
      (chain.length === 0 || receipt.previous === chain.at(-1)?.hash);
    if (read === undefined || !isNext) {
      throw sdkError('receipts.damaged', { detail: `${path}, line ${chain.length + 1}` });
    }
    chain.push(read);
  }
  return chain;
}

function parsed(line: string): ChainedReceipt | undefined {
  try {
    return parseReceipt(line);
  } catch (error) {
    if (error instanceof CryptoError) return undefined;
    throw error;
  }
}

/** Cuts off what follows the last line's end: a receipt that was being written when the process ended, and whose use was never released. */
async function cutOff(path: string): Promise<void> {
  if ((await stat(path)).size > maxSegmentBytes) throw sdkError('receipts.damaged', { detail: path });
  const bytes = await readFile(path);
  const end = bytes.lastIndexOf(0x0a) + 1;
  if (end < bytes.length) await truncate(path, end);
}

/** The use without what follows from its place. */
function useOf({
  v: _v,
  reporter: _r,
  sequence: _s,
  previous: _p,
  ...use
}: ChainedReceipt['receipt']): AttestedUse {
  return use;
}

function notWritten(error: unknown): Error {
  const reason = systemCode(error);
  const isFull = reason === 'ENOSPC' || reason === 'EDQUOT';
  const detail = reason === '' ? undefined : { detail: reason };
  return sdkError(isFull ? 'receipts.no_space' : 'receipts.not_written', { ...detail, cause: error });
}
