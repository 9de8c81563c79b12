import type { Operations, Output, ReviewRecord } from '@trialkeep/sdk/client';
import { isoTime, list, printable, table } from './output.ts';

type Review = Output<Operations['reviews.open']>;
type Comment = Output<Operations['reviews.comments']>['comments'][number];

/** A review in one line. */
export function reviewLine({ id, name, state, from, to, matched, perMille, dueAt }: Review): string {
  const share = perMille === 1000 ? 'all of them' : `a sample of about ${perMille / 10} %`;
  const until = state === 'closed' ? '' : `, due by ${isoTime(dueAt)}`;
  return printable(
    `Review ${id} of ${name} is ${state}: places ${from} to ${to - 1}, ${matched} entries match, ${share} to be shown${until}.`,
  );
}

/**
 * A review in words. What is signed is taken from the record whose hash has been checked, nothing else of it from what the server says
 * about it.
 */
export function recordText(
  shown: Output<Operations['reviews.show']> & { readonly comments: readonly Comment[] },
  record: ReviewRecord | undefined,
  names: ReadonlyMap<string, string>,
): string {
  const person = (id: string) => (names.has(id) ? `${names.get(id)} (${id})` : id);
  const lines = [reviewLine(shown.review)];
  if (shown.readings.length > 0) {
    const rows = shown.readings.map(({ person: id, presented, below, isComplete }) => [
      person(id),
      presented,
      isComplete ? 'all' : `up to ${below}`,
    ]);
    lines.push('', table(['shown to', 'entries', 'how far'], rows));
  }
  if (shown.comments.length > 0) {
    lines.push(
      '',
      table(
        ['index', 'mark', 'by', 'comment', 'follow-up'],
        shown.comments.map((each) => commentRow(each, person)),
      ),
    );
  }
  if (record === undefined) return printable([...lines, '', 'It is not concluded.'].join('\n'));
  const { counts, range, sample, plan } = record;
  lines.push(
    '',
    'The record that is signed:',
    list({
      plan: `${plan.name}, version ${plan.version}, risk ${plan.risk}`,
      filter: JSON.stringify(record.filter),
      range: `${range.from} to ${range.to - 1}${range.first === range.from ? '' : `; archived below ${range.first}`}`,
      'root of the log': range.root,
      matched: counts.matched,
      sample: `${sample.perMille} of 1000; ${counts.presented} entries were presented`,
      marked: `${counts.marked}, of which ${counts.questioned} questioned and ${counts.own} declared as own`,
      outcome: record.conclusion.outcome,
      conclusion: textOf(shown.conclusion),
      reviewer: person(record.reviewer),
      ledger: record.origin,
      hash: shown.hash,
    }),
  );
  return printable(lines.join('\n'));
}

function commentRow(
  { index, mark, own, author, document }: Comment,
  person: (id: string) => string,
): (string | number | null)[] {
  const { text, followUp } = partsOf(document);
  return [index, own ? `${mark}, own` : mark, person(author), text, followUp];
}

function textOf(document: string | null): string | null {
  return partsOf(document).text;
}

/** The texts of a document, on one line each; null where it does not open. */
function partsOf(document: string | null): { text: string | null; followUp: string | null } {
  const content = document === null ? {} : (JSON.parse(document) as Record<string, unknown>);
  const line = (value: unknown) => (typeof value === 'string' ? value.replaceAll(/[\n\t]+/g, ' ') : null);
  return { text: line(content['text']), followUp: line(content['followUp']) };
}
