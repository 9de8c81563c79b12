import {
  checkedReviewRecord,
  operations,
  pagesOf,
  reviewMarks,
  reviewOutcomes,
  reviewStates,
} from '@trialkeep/sdk/client';
import type { Caller, Input, Operations, Output, ReviewRecord } from '@trialkeep/sdk/client';
import { Option } from 'commander';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { ask, readSecrets } from '../input.ts';
import { writeOut } from '../io.ts';
import type { Io } from '../io.ts';
import { entryLine } from '../ledger-entries.ts';
import { isoTime, print, printable, table } from '../output.ts';
import { namesOfPeople } from '../request-text.ts';
import { recordText, reviewLine } from '../review-text.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, parseInteger, reasonOption } from '../verb.ts';
import { registerPlans } from './review-plan.ts';

type Review = Output<Operations['reviews.open']>;
type Comment = Output<Operations['reviews.comments']>['comments'][number];

interface ListOptions extends SessionOptions {
  readonly state?: Review['state'];
  readonly plan?: string;
}

interface EntriesOptions extends SessionOptions {
  readonly from?: number;
  readonly limit?: number;
}

interface CommentOptions extends SessionOptions {
  readonly mark: Input<Operations['reviews.comment']>['mark'];
  readonly comment: string;
  readonly followUp?: string;
  readonly own?: true;
}

interface ConcludeOptions extends SessionOptions {
  readonly outcome: Input<Operations['reviews.conclude']>['outcome'];
  readonly conclusion: string;
}

interface CloseOptions extends SessionOptions {
  readonly yes?: true;
}

export function register(program: Command, io: Io): void {
  const review = program.command('review').description('audit-trail reviews');
  registerPlans(review, io);
  registerLooking(review, io);
  registerWorking(review, io);
  registerClosing(review, io);
}

function registerLooking(review: Command, io: Io): void {
  addServerVerb(review, 'list', operations['reviews.list'].summary)
    .addOption(new Option('--state <state>', 'only those in this state').choices(reviewStates))
    .option('--plan <id>', 'only those of this plan')
    .action(async (options: ListOptions) => {
      const { client } = await connect(io, options);
      const { state, plan } = options;
      const asked = { ...(state !== undefined && { state }), ...(plan !== undefined && { plan }) };
      const reviews: Review[] = [];
      for await (const page of pagesOf((at) => client.call('reviews.list', { ...asked, ...at }))) {
        reviews.push(...page.reviews);
      }
      await print(io, options, { reviews }, () =>
        table(
          ['id', 'plan', 'state', 'risk', 'from', 'to', 'opened', 'due', 'closed'],
          reviews.map((row) => [
            row.id,
            row.name,
            row.state,
            row.risk,
            row.from,
            row.to,
            isoTime(row.openedAt),
            isoTime(row.dueAt),
            isoTime(row.closedAt),
          ]),
        ),
      );
    });

  addServerVerb(review, 'show <review>', operations['reviews.show'].summary).action(
    async (id: string, options: SessionOptions) => {
      const { client } = await connect(io, options);
      const { shown, record, comments } = await look(client, id);
      const names = options.json === true ? new Map<string, string>() : await namesOfPeople(client);
      await print(io, options, { ...shown, comments }, () =>
        recordText({ ...shown, comments }, record, names),
      );
    },
  );
}

function registerWorking(review: Command, io: Io): void {
  addServerVerb(review, 'open <plan>', operations['reviews.open'].summary)
    .addOption(reasonOption(true))
    .action(async (plan: string, options: SessionOptions & { readonly reason: string }) => {
      const { client } = await connect(io, options);
      const opened = await client.call('reviews.open', {
        plan,
        reason: await readReason(io, options.reason),
      });
      await print(io, options, opened, () => reviewLine(opened));
    });

  const index = parseInteger(0, Number.MAX_SAFE_INTEGER);
  addServerVerb(review, 'entries <review>', operations['reviews.entries'].summary)
    .option('--from <index>', 'go on at this place, as `trialkeep review show` gives it', index)
    .option('--limit <number>', 'at most so many entries', parseInteger(1, 1_000_000))
    .action(async (id: string, options: EntriesOptions) => {
      const { client } = await connect(io, options);
      await printPages(io, client, id, options);
    });

  addServerVerb(review, 'comment <review> <entry...>', operations['reviews.comment'].summary)
    .addOption(
      new Option('--mark <mark>', 'how the entries are marked').choices(reviewMarks).default('noted'),
    )
    .requiredOption('--comment <text>', 'what is to be said; - reads it from standard input')
    .option('--follow-up <text>', 'what is to be done and by whom, for what is questioned')
    .option('--own', 'says that these entries are of your own doing')
    .action(async (id: string, entries: string[], options: CommentOptions) => {
      const { client } = await connect(io, options);
      const { mark, followUp, own } = options;
      const made = await client.call('reviews.comment', {
        review: id,
        entries,
        mark,
        comment: await readReason(io, options.comment),
        ...(followUp !== undefined && { followUp }),
        ...(own === true && { own }),
      });
      await print(io, options, made, () => `${made.comments.length} entries are marked as ${mark}.`);
    });
}

const closingHelp =
  '\nThe record is shown first, with its hash computed here. On a terminal it is confirmed, and password and one-time code are\n' +
  'asked for as your electronic signature; otherwise --yes is needed, and they are read from standard input: the password in the\n' +
  'first line, the code in the second.';

function registerClosing(review: Command, io: Io): void {
  addServerVerb(review, 'conclude <review>', operations['reviews.conclude'].summary)
    .addOption(
      new Option('--outcome <outcome>', 'what came of it').choices(reviewOutcomes).makeOptionMandatory(),
    )
    .requiredOption('--conclusion <text>', 'in sentences; - reads it from standard input')
    .action(async (id: string, options: ConcludeOptions) => {
      const { client } = await connect(io, options);
      const conclusion = await readReason(io, options.conclusion);
      const shown = await client.call('reviews.conclude', {
        review: id,
        outcome: options.outcome,
        conclusion,
      });
      await print(io, options, shown, () =>
        printable(`Concluded. Sign the record with: trialkeep review close ${id}`),
      );
    });

  addServerVerb(review, 'close <review>', operations['reviews.close'].summary)
    .option('--yes', 'sign without being asked once more')
    .addHelpText('after', closingHelp)
    .action(async (id: string, options: CloseOptions) => {
      const isAsked = options.yes !== true;
      if (isAsked && io.stdin.isTTY !== true) throw new CliError('cli.confirmation_needed');
      const { client } = await connect(io, options);
      const { shown, record, comments } = await look(client, id);
      if (isAsked || options.json !== true) {
        const text = recordText({ ...shown, comments }, record, await namesOfPeople(client));
        io.stderr.write(`${text}\n\n`);
      }
      if (isAsked && (await ask(io, 'Type yes to sign exactly this: ')).trim() !== 'yes') {
        throw new CliError('cli.not_confirmed');
      }
      const [password, code] = await readSecrets(io, ['password', 'one-time code']);
      // Without a conclusion the server says so.
      const hash = shown.hash ?? '0'.repeat(64);
      const closed = await client.call('reviews.close', { review: id, hash, signature: { password, code } });
      await print(io, options, closed, () => `Signed and closed. ${reviewLine(closed)}`);
    });
}

/** A review with everything that was said in it, its record checked. */
async function look(
  client: Caller,
  review: string,
): Promise<{
  shown: Output<Operations['reviews.show']>;
  record: ReviewRecord | undefined;
  comments: Comment[];
}> {
  const shown = await client.call('reviews.show', { review });
  const comments: Comment[] = [];
  for await (const page of pagesOf((at) => client.call('reviews.comments', { review, ...at }))) {
    comments.push(...page.comments);
  }
  return { shown, record: await checkedReviewRecord(shown), comments };
}

const pageEntries = 200;

/** Page by page, so that memory does not grow with the review; the answer of a page counts as presented. */
async function printPages(io: Io, client: Caller, review: string, options: EntriesOptions): Promise<void> {
  const { limit = Number.MAX_SAFE_INTEGER, json } = options;
  let from = options.from ?? 0;
  let count = 0;
  let last: Output<Operations['reviews.entries']> | undefined;
  if (json === true) await writeOut(io, '{"entries":[');
  do {
    last = await client.call('reviews.entries', {
      review,
      from,
      limit: Math.min(pageEntries, limit - count),
    });
    for (const row of last.entries) {
      const { index, entry, own, marks } = row;
      const note = `${own ? '  (your own)' : ''}${marks > 0 ? `  (${marks} marks)` : ''}`;
      const parsed = JSON.parse(entry) as Readonly<Record<string, unknown>>;
      const id = typeof parsed['entry'] === 'string' ? parsed['entry'] : '-';
      const text = `${id}  ${entryLine({ index, entry: parsed }).trimEnd()}${note}\n`;
      await writeOut(io, json === true ? `${count === 0 ? '' : ','}${JSON.stringify(row)}` : text);
      count += 1;
    }
    from = last.next ?? from;
  } while (last.next !== null && count < limit);
  const { next, presented } = last;
  if (json === true) await writeOut(io, `],"next":${next},"presented":${presented}}\n`);
  else await writeOut(io, `${presented} entries have been presented; ${rest(next)}\n`);
}

function rest(next: number | null): string {
  return next === null ? 'that is all of them.' : `go on with --from ${next}.`;
}
