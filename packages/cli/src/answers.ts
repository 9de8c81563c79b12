import type { Caller, Input, Operations, Output } from '@trialkeep/sdk/client';
import { pagesOf, sdkErrors, TrialkeepError } from '@trialkeep/sdk/client';
import { answerText, entryWriter, parseEntry } from '@trialkeep/sdk/entries';
import type { AnswerHead, EntryFormat, EntryKind } from '@trialkeep/sdk/entries';
import { entryLine } from './ledger-entries.ts';
import { printable } from './output.ts';

type Page = Output<Operations['questions.answer']>;
export type AnswerInput = Omit<Input<Operations['questions.answer']>, 'cursor' | 'limit'>;
type Write = (text: string) => Promise<void>;

const pageEntries = 1000;

/** An answer page by page: what stands before the entries comes with the first. */
export interface Answer {
  readonly head: AnswerHead;
  readonly statement: readonly string[];
  pages(): AsyncGenerator<Page['entries'], void, undefined>;
}

/** Asks, and gives the answer as it comes. @throws TrialkeepError `answer.changed` where pages do not belong together */
export async function askLedger(client: Caller, input: AnswerInput): Promise<Answer> {
  const pages = pagesOf((at) => client.call('questions.answer', { ...input, limit: pageEntries, ...at }));
  const first = await pages.next();
  if (first.done === true) throw new Error('There is no first page.');
  const { asked, bound, counts, statement } = first.value;
  if (counts === null) throw new TrialkeepError('client.bad_answer', sdkErrors['client.bad_answer']);
  return {
    head: { asked, bound, counts },
    statement,
    async *pages() {
      yield first.value.entries;
      for await (const page of pages) {
        if (
          page.bound.size !== bound.size ||
          page.bound.first !== bound.first ||
          page.asked.at !== asked.at
        ) {
          throw new TrialkeepError('answer.changed', sdkErrors['answer.changed']);
        }
        yield page.entries;
      }
    },
  };
}

/** Writes the document of docs/formats/answer.md. Gives the number of its entries. */
export async function writeAnswer({ head, pages }: Answer, write: Write): Promise<number> {
  await write(answerText.head(head));
  let count = 0;
  for await (const entries of pages()) {
    for (const { index, kind, entry } of entries) {
      await write((count === 0 ? '' : answerText.separator) + answerText.item({ index, kind, text: entry }));
      count += 1;
    }
  }
  await write(answerText.tail);
  return count;
}

/** Writes the entries in the form of another tool. */
export async function writeFormat(
  { head, pages }: Answer,
  format: EntryFormat,
  write: Write,
): Promise<number> {
  const writer = entryWriter(format, head.bound.origin);
  await write(writer.head);
  let count = 0;
  for await (const entries of pages()) {
    for (const { index, entry } of entries) await write(writer.line(parseEntry(index, entry)));
    count += entries.length;
  }
  return count;
}

const kindWords: Readonly<Record<EntryKind, string>> = {
  'key-released': 'data keys released',
  'decryption-observed': 'decryptions observed by the server',
  'decryption-attested': 'decryptions attested by receipts',
  'encryption-observed': 'encryptions observed by the server',
  'encryption-attested': 'encryptions attested by receipts',
  'use-denied': 'uses denied or failed',
  other: 'others',
};

/** The answer for people: what was asked, the counts of each kind apart, the entries, and what all of it proves. */
export async function writeForPeople(answer: Answer, write: Write): Promise<number> {
  const { asked, bound, counts } = answer.head;
  const iso = (time: number): string => new Date(time).toISOString();
  const asks = Object.entries(asked.question).map(([name, value]) => {
    const isTime = name === 'from' || name === 'to';
    return `${name}=${isTime ? iso(value as number) : String(value)}`;
  });
  await write(`${printable(`asked ${iso(asked.at)}: ${asks.join(' ') || 'everything'}`)}\n`);
  for (const [kind, words] of Object.entries(kindWords)) {
    const count = counts[kind as EntryKind];
    if (count > 0) await write(`${String(count).padStart(9)}  ${words}\n`);
  }
  let total = 0;
  for await (const entries of answer.pages()) {
    for (const { index, entry } of entries) {
      await write(entryLine({ index, entry: JSON.parse(entry) as Record<string, unknown> }));
    }
    total += entries.length;
  }
  const from = bound.first === 0 ? '' : `, from entry ${bound.first} on: those before are archived`;
  const end = `${total} entries; complete up to size ${bound.size} of ${bound.origin}${from}.`;
  await write(`${printable([end, ...answer.statement.map((sentence) => `- ${sentence}`)].join('\n'))}\n`);
  return total;
}
