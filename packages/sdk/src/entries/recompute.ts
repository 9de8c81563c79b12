import { entryKinds, rangeOfPeriod } from '@trialkeep/contract';
import type { EntryKind } from '@trialkeep/contract';
import { LedgerError, parseCheckpoint, parseNote } from '@trialkeep/ledger';
import { verifyFolder } from '../verify/index.ts';
import type { VerifyFolderOptions, VerifyFolderResult } from '../verify/index.ts';
import { TrialkeepError } from '../errors.ts';
import { AnswerFile } from './answer.ts';
import type { AnswerHead, ListedEntry } from './answer.ts';
import { parseEntry } from './entry.ts';
import { meets } from './question.ts';

export interface RecomputeOptions extends Pick<
  VerifyFolderOptions,
  'verifierKey' | 'policy' | 'prunedBelow' | 'onProgress'
> {
  /** The file of the answer. */
  readonly answer: string;
  /** An export of the log, at least as long as the answer's bound. */
  readonly folder: string;
}

/** What can be wrong with an answer, each with its sentence. */
export const recomputeFindingTexts = {
  'answer.missing': 'meets the question and is not in the answer',
  'answer.added': 'is in the answer, and the log has no such entry there that meets the question',
  'answer.altered': 'is in the answer with another text or kind than in the log',
  'answer.unread': 'is of a form that this version does not know, so that nobody can say whether it belongs',
  'answer.counts': 'The counts of the answer are not those of the log.',
  'answer.bound': 'The bound of the answer is not what its checkpoint says.',
  'answer.period': 'The times of the question are not what its period comes to.',
  'answer.not_covered': 'The export does not have every entry that the answer is about.',
  'answer.log_failed': 'The export does not verify, or does not continue the checkpoint of the answer.',
} as const;
export type RecomputeFindingCode = keyof typeof recomputeFindingTexts;

export interface RecomputeFinding {
  readonly code: RecomputeFindingCode;
  /** The place in the log, where it is about one entry. */
  readonly index?: number;
}

export interface RecomputeResult {
  /** `same`: the scan gives this answer. `different`: see the findings. */
  readonly verdict: 'same' | 'different';
  readonly head: AnswerHead;
  /** Entries of the answer that the scan gave as well. */
  readonly confirmed: number;
  readonly findings: readonly RecomputeFinding[];
  /** Further findings that are not listed. */
  readonly findingsOmitted: number;
  readonly log: VerifyFolderResult;
}

const maxFindings = 100;

/**
 * Makes an answer again by scanning an export, and compares (docs/formats/answer.md, recomputing). The export is verified, and has to
 * continue the checkpoint of the answer. Streams: memory for one entry of the answer and one bundle.
 *
 * @throws TrialkeepError `answer.unreadable`, `answer.malformed`, and of `verifyFolder`; LedgerError of its keys
 */
export async function recomputeAnswer(options: RecomputeOptions): Promise<RecomputeResult> {
  const { answer: path, ...where } = options;
  const answer = await AnswerFile.open(path);
  try {
    const scan = new Scan(answer);
    const log = await verifyFolder({
      ...where,
      keptCheckpoint: Buffer.from(answer.head.bound.checkpoint),
      onEntry: (index, bytes) => scan.take(index, bytes),
    });
    if (log.verdict !== 'verified') scan.add('answer.log_failed');
    return { ...(await scan.finish()), head: answer.head, log };
  } finally {
    await answer.close();
  }
}

/** The log's entries beside those of the answer, both in the order of the log. */
class Scan {
  readonly #head: AnswerHead;
  readonly #listed: AsyncGenerator<ListedEntry, void, undefined>;
  readonly #kinds: ReadonlySet<string>;
  readonly #counts = new Map<EntryKind, number>();
  readonly #findings: RecomputeFinding[] = [];
  #omitted = 0;
  #seen = 0;
  #confirmed = 0;
  /** The next entry of the answer; null behind the last. */
  #next: ListedEntry | null | undefined;
  #lastListed = -1;

  constructor(answer: AnswerFile) {
    this.#head = answer.head;
    this.#listed = answer.entries();
    this.#kinds = new Set(answer.head.asked.question.kinds ?? entryKinds);
    if (!saysTheSame(answer.head.bound)) this.add('answer.bound');
    const { at, period, question } = answer.head.asked;
    if (period !== undefined) {
      const { from, to } = rangeOfPeriod(period, at);
      if (question.from !== from || question.to !== to) this.add('answer.period');
    }
  }

  add(code: RecomputeFindingCode, index?: number): void {
    if (this.#findings.length >= maxFindings) this.#omitted++;
    else this.#findings.push({ code, ...(index !== undefined && { index }) });
  }

  async take(index: number, bytes: Uint8Array): Promise<void> {
    const { first, size } = this.#head.bound;
    if (index < first || index >= size) return;
    this.#seen++;
    const isWanted = this.#isWanted(index, Buffer.from(bytes).toString('utf8'));
    let listed = await this.#peek();
    for (; listed !== null && listed.index < index; listed = await this.#pass()) {
      this.add('answer.added', listed.index);
    }
    const isListed = listed?.index === index;
    if (isListed) await this.#pass();
    if (isWanted === undefined) this.add('answer.unread', index);
    else if (isWanted === false && isListed) this.add('answer.added', index);
    else if (isWanted !== false && !isListed) this.add('answer.missing', index);
    else if (isWanted !== false && listed?.text === isWanted.text && listed.kind === isWanted.kind) {
      this.#confirmed++;
    } else if (isWanted !== false) this.add('answer.altered', index);
  }

  async finish(): Promise<Pick<RecomputeResult, 'verdict' | 'confirmed' | 'findings' | 'findingsOmitted'>> {
    for (let listed = await this.#peek(); listed !== null; listed = await this.#pass()) {
      this.add('answer.added', listed.index);
    }
    const { bound, counts } = this.#head;
    if (this.#seen !== bound.size - bound.first) this.add('answer.not_covered');
    if (entryKinds.some((kind) => counts[kind] !== (this.#counts.get(kind) ?? 0))) this.add('answer.counts');
    return {
      verdict: this.#findings.length === 0 ? 'same' : 'different',
      confirmed: this.#confirmed,
      findings: this.#findings,
      findingsOmitted: this.#omitted,
    };
  }

  /** The entry, where the question asks for it; undefined where it cannot be read. */
  #isWanted(index: number, text: string): { text: string; kind: string } | false | undefined {
    try {
      const placed = parseEntry(index, text);
      if (!meets(placed, this.#head.asked.question)) return false;
      this.#counts.set(placed.kind, (this.#counts.get(placed.kind) ?? 0) + 1);
      return this.#kinds.has(placed.kind) && placed;
    } catch (error) {
      if (error instanceof TrialkeepError && error.code === 'entry.malformed') return undefined;
      throw error;
    }
  }

  async #peek(): Promise<ListedEntry | null> {
    this.#next ??= await this.#read();
    return this.#next;
  }

  async #pass(): Promise<ListedEntry | null> {
    this.#next = await this.#read();
    return this.#next;
  }

  async #read(): Promise<ListedEntry | null> {
    const { value, done } = await this.#listed.next();
    if (done === true || value === undefined) return null;
    // One that is listed twice, or out of its order, stands where it does not belong.
    if (value.index <= this.#lastListed) this.add('answer.added', value.index);
    this.#lastListed = Math.max(this.#lastListed, value.index);
    return value;
  }
}

/** Whether the bound is what its checkpoint says; that the checkpoint is the log's is verified with the export. */
function saysTheSame({ checkpoint, origin, size, root, first }: AnswerHead['bound']): boolean {
  try {
    const said = parseCheckpoint(parseNote(Buffer.from(checkpoint)).text);
    const isRoot = Buffer.from(said.root).toString('base64') === root;
    return said.origin === origin && said.size === size && isRoot && first < size;
  } catch (error) {
    if (error instanceof LedgerError) return false;
    throw error;
  }
}
