import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { CryptoError, noReceipt, verifyBatch } from '@trialkeep/crypto';
import type { AttestedUse, ChainedReceipt, EscrowRecipient, ReceiptBatch } from '@trialkeep/crypto';
import { sdkError } from '../errors.ts';
import { systemCode } from '../files.ts';

/** Sequence numbers that a list goes on behind, without having them. */
export interface Gap {
  readonly from: number;
  readonly to: number;
}

/** What is in a list of openings. */
export interface OpeningsSummary {
  /** Id of the escrow key, 64 hexadecimal digits; undefined where the list is empty. */
  readonly recipient: string | undefined;
  /** Its verification key, hexadecimal; undefined where the list is empty. */
  readonly reporter: string | undefined;
  /** How often something was opened. */
  readonly openings: number;
  /** Receipts: one stands for one opening, or for some equal ones. */
  readonly receipts: number;
  /** Times of the first and the last receipt by the clock where they were written, ms since 1970; undefined where there is none. */
  readonly firstTime: number | undefined;
  readonly lastTime: number | undefined;
  /** What is missing; always empty unless gaps are accepted. */
  readonly gaps: readonly Gap[];
  /** Whether the list ends within a line: an opening whose result was never released, or a copy that is cut off. */
  readonly isCutOff: boolean;
}

export interface VerifyOpeningsOptions {
  /** The public part of the escrow key that the list has to be of; otherwise any one key will do. */
  readonly recipient?: EscrowRecipient;
  /** Whether a list may lack lines, at its start or between others. */
  readonly acceptGaps?: boolean;
  readonly signal?: AbortSignal;
}

/** A line of a list: receipts that follow each other, under one signature. */
export interface OpeningsLine {
  readonly batch: ReceiptBatch;
  readonly receipts: readonly ChainedReceipt[];
}

/** More than 1,000 receipts are long. */
const maxLineBytes = 512 * 1024;
const readBytes = 64 * 1024;
const lineEnd = 0x0a;

/**
 * Verifies a list of openings, without any server: every signature, and that the lines are one chain from the first receipt on. That
 * lines are missing at its end cannot be seen in the list.
 *
 * @throws TrialkeepError `escrow.openings_unusable`, `escrow.openings_invalid`, `escrow.openings_incomplete`, `escrow.openings_foreign`
 */
export async function verifyOpenings(
  path: string,
  options: VerifyOpeningsOptions = {},
): Promise<OpeningsSummary> {
  return withList(path, async (file) => {
    const list = new OpeningsList(file, path, options);
    let [openings, receipts] = [0, 0];
    let [firstTime, lastTime]: (number | undefined)[] = [];
    for await (const line of list.lines()) {
      receipts += line.receipts.length;
      openings += line.batch.uses.reduce((sum, { count }) => sum + count, 0);
      firstTime ??= line.batch.uses[0]?.time;
      lastTime = line.batch.uses.at(-1)?.time;
    }
    const { recipient, reporter, gaps, isCutOff } = list;
    return { recipient, reporter, openings, receipts, firstTime, lastTime, gaps, isCutOff };
  });
}

/** Opens a list for `work`, to be read. @throws TrialkeepError `escrow.openings_unusable`; what `work` throws */
export async function withList<Result>(
  path: string,
  work: (file: FileHandle) => Promise<Result>,
): Promise<Result> {
  let file: FileHandle | undefined;
  try {
    // Without waiting, as on a pipe.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    if (!(await file.stat()).isFile()) throw sdkError('escrow.openings_unusable', { detail: path });
    return await work(file);
  } catch (error) {
    throw unusable(path, error);
  } finally {
    await file?.close();
  }
}

/** An error of the system as one of the list; any other stays itself. */
export function unusable(path: string, error: unknown): unknown {
  const reason = systemCode(error);
  if (!/^E[A-Z]+$/.test(reason) && reason !== 'ERR_SQLITE_ERROR') return error;
  return sdkError('escrow.openings_unusable', { detail: `${path}: ${reason}`, cause: error });
}

/** A list of openings while it is read, line by line, each verified before it is given out (docs/formats/use-receipt.md). */
export class OpeningsList {
  /** Of the receipt that was read last. */
  last = 0;
  lastHash = noReceipt;
  /** Bytes up to the end of the last whole line. */
  end = 0;
  isCutOff = false;
  recipient: string | undefined;
  reporter: string | undefined;
  readonly gaps: Gap[] = [];
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #options: VerifyOpeningsOptions;

  constructor(file: FileHandle, path: string, options: VerifyOpeningsOptions) {
    this.#file = file;
    this.#path = path;
    this.#options = options;
    this.recipient = options.recipient?.id;
    this.reporter = options.recipient && Buffer.from(options.recipient.verificationKey).toString('hex');
  }

  /** @throws TrialkeepError as `verifyOpenings`; what reading the file throws */
  async *lines(): AsyncGenerator<OpeningsLine, void, undefined> {
    let number = 0;
    for await (const { bytes, isWhole } of rawLines(this.#file)) {
      this.#options.signal?.throwIfAborted();
      number += 1;
      const place = `${this.#path}, line ${number}`;
      if (bytes.length > maxLineBytes) throw sdkError('escrow.openings_invalid', { detail: place });
      this.isCutOff = !isWhole;
      if (!isWhole) return;
      const line = parseLine(bytes, place);
      this.#accept(line, place);
      this.end += bytes.length + 1;
      yield line;
    }
  }

  #accept({ batch, receipts }: OpeningsLine, place: string): void {
    this.reporter ??= batch.reporter;
    this.recipient ??= batch.uses[0]?.recipient;
    const isOurs = batch.uses.every(({ recipient }) => recipient === this.recipient);
    if (batch.reporter !== this.reporter || !isOurs) {
      throw sdkError('escrow.openings_foreign', { detail: place });
    }
    const next = this.last + 1;
    if (batch.first > next) {
      if (this.#options.acceptGaps !== true) {
        throw sdkError('escrow.openings_incomplete', { detail: `${place}: ${next} to ${batch.first - 1}` });
      }
      this.gaps.push({ from: next, to: batch.first - 1 });
    } else if (batch.first < next || batch.previous !== this.lastHash) {
      throw sdkError('escrow.openings_invalid', { detail: place });
    }
    const newest = receipts.at(-1);
    this.last = newest?.receipt.sequence ?? this.last;
    this.lastHash = newest?.hash ?? this.lastHash;
  }
}

/** The one spelling of a line, without its end. */
export function formatLine({ batch, receipts }: OpeningsLine): string {
  const { reporter, first, previous, signature } = batch;
  const uses = receipts.map(({ receipt }): AttestedUse => {
    const { v: _v, reporter: _reporter, sequence: _sequence, previous: _previous, ...use } = receipt;
    return use;
  });
  return JSON.stringify({ reporter, first, previous, uses, signature });
}

function parseLine(bytes: Buffer, place: string): OpeningsLine {
  const text = bytes.toString('utf8');
  try {
    const batch = JSON.parse(text) as ReceiptBatch;
    const line = { batch, receipts: verifyBatch(batch) };
    const isOpening = batch.uses.every(({ use, recipient }) => use === 'open' && recipient !== undefined);
    if (isOpening && formatLine(line) === text) return line;
  } catch (error) {
    const isOfText =
      error instanceof CryptoError || error instanceof SyntaxError || error instanceof TypeError;
    if (!isOfText) throw error;
    throw sdkError('escrow.openings_invalid', { detail: place, cause: error });
  }
  throw sdkError('escrow.openings_invalid', { detail: place });
}

/** Lines without their ends; one that is too long is given out as far as it was read, and is the last. */
async function* rawLines(
  file: FileHandle,
): AsyncGenerator<{ readonly bytes: Buffer; readonly isWhole: boolean }, void, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  for (let position = 0; ;) {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(readBytes), 0, readBytes, position);
    if (bytesRead === 0) break;
    position += bytesRead;
    rest = Buffer.concat([rest, buffer.subarray(0, bytesRead)]);
    let start = 0;
    for (let end = rest.indexOf(lineEnd); end !== -1; end = rest.indexOf(lineEnd, start)) {
      yield { bytes: rest.subarray(start, end), isWhole: true };
      start = end + 1;
    }
    rest = rest.subarray(start);
    if (rest.length > maxLineBytes) break;
  }
  if (rest.length > 0) yield { bytes: rest, isWhole: false };
}
