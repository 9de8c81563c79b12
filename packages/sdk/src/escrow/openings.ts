import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname } from 'node:path';
import { chainUses, maximumBatchReceipts, receiptContext, signUses } from '@trialkeep/crypto';
import type { AttestedUse, EncryptionContext, EscrowKey } from '@trialkeep/crypto';
import { sdkError } from '../errors.ts';
import { syncFolder, systemCode } from '../files.ts';
import { formatLine, OpeningsList, unusable } from './list.ts';
import { lockFile } from '../lock.ts';

/** One message that is being opened. */
export interface Opening {
  /** The wrapped data key, as it stands in the message. */
  readonly dataKey: Uint8Array;
  readonly context: EncryptionContext;
}

interface Waiting {
  readonly use: AttestedUse;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

type End = Pick<OpeningsList, 'last' | 'lastHash' | 'end'>;

/** The list of what was opened with an escrow key, held by this process: appended durably, each line signed by the key. */
export class Openings {
  /** Receipts that were on the list when it was opened. */
  readonly before: number;
  readonly #key: EscrowKey;
  readonly #now: () => number;
  readonly #file: FileHandle;
  readonly #lock: { release(): void };
  readonly #end: End;
  readonly #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  /** What made the state of the file unknown. */
  #broken: unknown;

  private constructor(
    key: EscrowKey,
    now: () => number,
    held: { file: FileHandle; lock: { release(): void }; end: End },
  ) {
    this.before = held.end.last;
    this.#key = key;
    this.#now = now;
    this.#file = held.file;
    this.#lock = held.lock;
    this.#end = held.end;
  }

  /**
   * Takes the list for this process, makes it (mode 0600) where there is none, verifies it whole, and cuts off the half line that a
   * killed process left at its end.
   *
   * @param now ms since 1970
   * @throws TrialkeepError `escrow.openings_in_use`, `escrow.openings_unusable`, `escrow.openings_invalid`,
   * `escrow.openings_incomplete`, `escrow.openings_foreign`
   */
  static async open(path: string, key: EscrowKey, now: () => number): Promise<Openings> {
    let lock: ReturnType<typeof lockFile>;
    let file: FileHandle | undefined;
    try {
      lock = lockFile(`${path}.lock`);
      if (lock === undefined) throw sdkError('escrow.openings_in_use', { detail: path });
      file = await open(path, constants.O_RDWR | constants.O_CREAT | constants.O_NOFOLLOW, 0o600);
      if (!(await file.stat()).isFile()) throw sdkError('escrow.openings_unusable', { detail: path });
      await syncFolder(dirname(path));
      const list = new OpeningsList(file, path, { recipient: key.publicPart });
      const lines = list.lines();
      while ((await lines.next()).done !== true);
      if (list.isCutOff) await file.truncate(list.end);
      const { last, lastHash, end } = list;
      return new Openings(key, now, { file, lock, end: { last, lastHash, end } });
    } catch (error) {
      await file?.close();
      lock?.release();
      throw unusable(path, error);
    }
  }

  /**
   * Resolves once the receipt is on disk, together with those of other openings that wait at that moment: only then may what was opened
   * be released.
   *
   * @throws TrialkeepError `escrow.opening_not_recorded`
   */
  async record({ dataKey, context }: Opening): Promise<void> {
    if (this.#closing !== undefined) throw notRecorded('the list is closed');
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const use: AttestedUse = {
      use: 'open',
      recipient: this.#key.publicPart.id,
      dataKey: createHash('sha256').update(dataKey).digest('hex'),
      ...receiptContext(context),
      count: 1,
      time: this.#now(),
    };
    this.#waiting.push({ use, resolve, reject });
    this.#writing ??= this.#writeAll();
    await promise;
  }

  /** Gives the list back, once what waits is on it. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
    this.#lock.release();
  }

  /** Writes what waits, all that came while the disk was busy in one line. */
  async #writeAll(): Promise<void> {
    // Lets the callers of this turn come along.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, maximumBatchReceipts);
      try {
        await this.#append(group.map(({ use }) => use));
        group.forEach(({ resolve }) => resolve());
      } catch (error) {
        group.forEach(({ reject }) => reject(error));
      }
    }
    // In the same turn as the look at what waits, so that nobody is left behind.
    this.#writing = undefined;
  }

  async #append(uses: readonly AttestedUse[]): Promise<void> {
    if (this.#broken !== undefined) throw notRecorded(this.#broken);
    const place = { first: this.#end.last + 1, previous: this.#end.lastHash, uses };
    const batch = signUses(this.#key.signer, place);
    const receipts = chainUses({ reporter: batch.reporter, ...place });
    const bytes = Buffer.from(`${formatLine({ batch, receipts })}\n`);
    await this.#write(bytes);
    const newest = receipts.at(-1);
    if (newest === undefined) return;
    Object.assign(this.#end, {
      last: newest.receipt.sequence,
      lastHash: newest.hash,
      end: this.#end.end + bytes.length,
    });
  }

  /** Writes behind the last whole line, and takes back what it could not write whole. */
  async #write(bytes: Buffer): Promise<void> {
    const { end } = this.#end;
    try {
      for (let offset = 0; offset < bytes.length;) {
        offset += (await this.#file.write(bytes, offset, undefined, end + offset)).bytesWritten;
      }
    } catch (error) {
      await this.#file.truncate(end).catch((failure: unknown) => (this.#broken = failure));
      throw notRecorded(error);
    }
    try {
      await this.#file.datasync();
    } catch (error) {
      // What of it is on disk now is not to be found out: only reading it again tells.
      this.#broken = error;
      throw notRecorded(error);
    }
  }
}

function notRecorded(cause: unknown): Error {
  const detail = typeof cause === 'string' ? cause : systemCode(cause);
  return sdkError('escrow.opening_not_recorded', { ...(detail !== '' && { detail }), cause });
}
