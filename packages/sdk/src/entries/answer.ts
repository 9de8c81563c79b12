import { open } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { answerStatement, comparedMembers, entryKinds, periods } from '@trialkeep/contract';
import type { Conditions, EntryKind, Period } from '@trialkeep/contract';
import {
  canonicalText,
  parseCanonicalObject,
  hasShape,
  isOperationId,
  isTime,
  isUuid,
} from '@trialkeep/ledger';
import { isLine } from '../line.ts';
import { sdkError } from '../errors.ts';
import { systemCode } from '../files.ts';

/** What an answer says before its entries (docs/formats/answer.md). */
export interface AnswerHead {
  readonly asked: {
    /** ms since 1970, the server's. */
    readonly at: number;
    readonly question: Conditions;
    readonly period?: Period;
    readonly saved?: string;
  };
  readonly bound: {
    readonly origin: string;
    readonly size: number;
    /** Base64. */
    readonly root: string;
    readonly checkpoint: string;
    readonly first: number;
  };
  readonly counts: Readonly<Record<EntryKind, number>>;
}

/** An entry of an answer, as it was listed. */
export interface ListedEntry {
  readonly index: number;
  readonly kind: string;
  /** Canonical JSON. */
  readonly text: string;
}

/** What stands behind the entries of every answer of version 1. */
const tail = `],"statement":${JSON.stringify(answerStatement)},"v":1}`;
const entriesBegin = ',"entries":[';
/** Room for the greatest note, and for an entry of the greatest length. */
const maxHeadBytes = 2 * 1024 * 1024;
const maxItemBytes = 66_000;

/** The text of an answer, part by part: what {@link AnswerFile} reads. */
export const answerText = {
  head: ({ asked, bound, counts }: AnswerHead): string =>
    `${(canonicalText({ asked, bound, counts }) ?? '').slice(0, -1)}${entriesBegin}`,
  item: ({ index, kind, text }: ListedEntry): string => `{"entry":${text},"index":${index},"kind":"${kind}"}`,
  separator: ',',
  tail,
} as const;

const isInteger = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

function isQuestion(value: unknown): boolean {
  if (!isObject(value)) return false;
  return Object.entries(value).every(([name, condition]) => {
    if (name === 'from' || name === 'to') return isTime(condition);
    if (name === 'kinds') {
      const kinds = condition as readonly string[];
      return (
        Array.isArray(condition) && entryKinds.filter((kind) => kinds.includes(kind)).join() === kinds.join()
      );
    }
    if (name === 'operation') return isOperationId(condition);
    return [...comparedMembers, 'device'].some((known) => known === name) && isLine(condition);
  });
}

function isHead(value: unknown): value is AnswerHead {
  if (!isObject(value)) return false;
  const isAsked = (asked: unknown): boolean => {
    if (!isObject(asked)) return false;
    const { period, saved, ...rest } = asked;
    if (period !== undefined && !periods.some((known) => known === period)) return false;
    return (saved === undefined || isUuid(saved)) && hasShape(rest, { at: isTime, question: isQuestion });
  };
  const text = (of: unknown): boolean => typeof of === 'string';
  const bound = { checkpoint: text, first: isInteger, origin: isLine, root: text, size: isInteger };
  const counts = Object.fromEntries(entryKinds.map((kind) => [kind, isInteger]));
  return hasShape(value, {
    asked: isAsked,
    bound: (of) => isObject(of) && hasShape(of, bound),
    counts: (of) => isObject(of) && hasShape(of, counts),
  });
}

/**
 * An answer in a file, read from front to back with memory for one entry. It may come from anybody: every part is bounded and has to be
 * the canonical text that the format says.
 */
export class AnswerFile {
  readonly head: AnswerHead;
  readonly #reader: PieceReader;

  private constructor(head: AnswerHead, reader: PieceReader) {
    this.head = head;
    this.#reader = reader;
  }

  /** @throws TrialkeepError `answer.unreadable`, `answer.malformed` */
  static async open(path: string): Promise<AnswerFile> {
    let file: FileHandle;
    try {
      file = await open(path);
    } catch (cause) {
      throw sdkError('answer.unreadable', { detail: systemCode(cause), cause });
    }
    const reader = new PieceReader(file);
    try {
      const text = `${await reader.upTo(entriesBegin, maxHeadBytes)}}`;
      const head = parseCanonicalObject(text);
      if (!isHead(head)) throw malformed('what stands before the entries');
      return new AnswerFile(head, reader);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The entries as they are listed, once. @throws TrialkeepError `answer.malformed`, also for what stands behind them */
  async *entries(): AsyncGenerator<ListedEntry, void, undefined> {
    for (let count = 0; ; count++) {
      const next = await this.#reader.peek();
      if (next === ']') break;
      if (count > 0) await this.#reader.expect(',');
      const item = parseCanonicalObject(await this.#reader.object(maxItemBytes));
      const entry = item?.['entry'];
      const isItem = item && hasShape(item, { entry: isObject, index: isInteger, kind: isLine });
      if (item === undefined || isItem !== true) throw malformed(`entry ${count} of the answer`);
      yield {
        index: item['index'] as number,
        kind: item['kind'] as string,
        text: canonicalText(entry) ?? '',
      };
    }
    await this.#reader.expect(tail);
    await this.#reader.expectEnd();
  }

  async close(): Promise<void> {
    await this.#reader.close();
  }
}

function malformed(detail: string) {
  return sdkError('answer.malformed', { detail });
}

const [quote, backslash, opening, closing] = ['"', '\\', '{', '}'].map((sign) => sign.charCodeAt(0));

/** Pieces of a JSON text out of a file, each bounded. */
class PieceReader {
  readonly #file: FileHandle;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(file: FileHandle) {
    this.#file = file;
  }

  /** The text before a mark, which is passed over. */
  async upTo(mark: string, maxBytes: number): Promise<string> {
    let at: number;
    while ((at = this.#bytes.indexOf(mark)) < 0) {
      if (this.#bytes.length > maxBytes || !(await this.#more())) throw malformed('it has no entries');
    }
    return this.#take(at, mark.length);
  }

  /** The next character; '' at the end. */
  async peek(): Promise<string> {
    while (this.#bytes.length === 0) if (!(await this.#more())) return '';
    return String.fromCharCode(this.#bytes[0] ?? 0);
  }

  async expect(text: string): Promise<void> {
    const bytes = Buffer.from(text);
    while (this.#bytes.length < bytes.length) if (!(await this.#more())) throw malformed('it ends too early');
    if (!this.#bytes.subarray(0, bytes.length).equals(bytes))
      throw malformed('what stands behind the entries');
    this.#bytes = this.#bytes.subarray(bytes.length);
  }

  async expectEnd(): Promise<void> {
    if ((await this.peek()) !== '') throw malformed('it goes on behind its end');
  }

  /** The text of one object. */
  async object(maxBytes: number): Promise<string> {
    let depth = 0;
    let inText = false;
    for (let at = 0; ; at++) {
      if (at > maxBytes) throw malformed('an entry is too long');
      while (at >= this.#bytes.length) if (!(await this.#more())) throw malformed('it ends too early');
      const byte = this.#bytes[at];
      if (inText) {
        if (byte === backslash) at++;
        else if (byte === quote) inText = false;
        continue;
      }
      if (byte === quote) inText = true;
      else if (byte === opening) depth++;
      else if (byte === closing) depth--;
      if (depth <= 0) return this.#take(at + 1, 0);
    }
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  #take(length: number, behind: number): string {
    const piece = this.#bytes.subarray(0, length);
    this.#bytes = this.#bytes.subarray(length + behind);
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(piece);
    } catch {
      throw malformed('not UTF-8');
    }
  }

  async #more(): Promise<boolean> {
    const piece = Buffer.alloc(256 * 1024);
    const { bytesRead } = await this.#file.read(piece, 0, piece.length);
    this.#bytes = Buffer.concat([this.#bytes, piece.subarray(0, bytesRead)]);
    return bytesRead > 0;
  }
}
