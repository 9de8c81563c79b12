import { operations, reviewRisks, reviewerRoles } from '@trialkeep/sdk/client';
import type { Input, Operations, Output } from '@trialkeep/sdk/client';
import { Option } from 'commander';
import type { Command } from 'commander';
import { addTimelessConditions, questionOf } from '../conditions.ts';
import type { ConditionOptions } from '../conditions.ts';
import type { Io } from '../io.ts';
import { isoTime, print, printable, table } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, gather, gatherFrom, parseInteger, parseTime, reasonOption } from '../verb.ts';

type Plan = Output<Operations['reviews.plan']>;
type Planned = Input<Operations['reviews.plan']>;

interface PlanOptions extends SessionOptions, ConditionOptions {
  readonly name?: string;
  readonly every?: number;
  readonly grace?: number;
  readonly risk?: Planned['risk'];
  readonly role?: Planned['reviewers']['roles'];
  readonly reviewer?: string[];
  readonly rationale?: string;
}

interface NewPlanOptions extends PlanOptions {
  readonly name: string;
  readonly every: number;
  readonly grace: number;
  readonly risk: Planned['risk'];
  readonly rationale: string;
  readonly first?: number;
  readonly firstDue?: number;
}

interface ReasonOptions extends SessionOptions {
  readonly reason: string;
}

export function registerPlans(review: Command, io: Io): void {
  registerPlanning(review, io);
  registerEnding(review, io);
}

function registerPlanning(review: Command, io: Io): void {
  planOptions(addServerVerb(review, 'plan', operations['reviews.plan'].summary), true)
    .option(
      '--first <index>',
      'place of the log where the first review begins; otherwise with the plan',
      parseInteger(0, Number.MAX_SAFE_INTEGER),
    )
    .option('--first-due <time>', 'when the first review is opened; otherwise after one interval', parseTime)
    .action(async (options: NewPlanOptions) => {
      const { client } = await connect(io, options);
      const { name, every, grace, risk, first, firstDue } = options;
      const planned = await client.call('reviews.plan', {
        name,
        filter: questionOf(options),
        intervalDays: every,
        graceDays: grace,
        risk,
        reviewers: reviewersOf(options) ?? { roles: ['auditor'], persons: [] },
        rationale: await readReason(io, options.rationale),
        ...(first !== undefined && { first }),
        ...(firstDue !== undefined && { firstDueAt: firstDue }),
      });
      await print(io, options, planned, () => planText(planned));
    });

  planOptions(addServerVerb(review, 'change <plan>', operations['reviews.change-plan'].summary), false)
    .option('--everything', 'review all entries: takes the conditions away')
    .addOption(reasonOption(true))
    .action(async (plan: string, options: PlanOptions & ReasonOptions & { readonly everything?: true }) => {
      const { client } = await connect(io, options);
      const { name, every, grace, risk, rationale, everything } = options;
      const filter = questionOf(options);
      const reviewers = reviewersOf(options);
      const isFiltered = everything === true || Object.keys(filter).length > 0;
      const changed = await client.call('reviews.change-plan', {
        plan,
        reason: await readReason(io, options.reason),
        ...(name !== undefined && { name }),
        ...(isFiltered && { filter: everything === true ? {} : filter }),
        ...(every !== undefined && { intervalDays: every }),
        ...(grace !== undefined && { graceDays: grace }),
        ...(risk !== undefined && { risk }),
        ...(reviewers !== undefined && { reviewers }),
        ...(rationale !== undefined && { rationale }),
      });
      await print(io, options, changed, () => planText(changed));
    });
}

function registerEnding(review: Command, io: Io): void {
  addServerVerb(review, 'end <plan>', operations['reviews.end-plan'].summary)
    .addOption(reasonOption(true))
    .action(async (plan: string, options: ReasonOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const ended = await client.call('reviews.end-plan', { plan, reason });
      await print(io, options, ended, () =>
        printable(
          `The plan ${ended.name} has ended. Entries from place ${ended.covered} on are in no review of it.`,
        ),
      );
    });

  addServerVerb(review, 'plans', operations['reviews.plans'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const result = await client.call('reviews.plans', {});
      await print(io, options, result, () =>
        table(
          ['id', 'name', 'state', 'risk', 'every', 'next', 'covered', 'filter'],
          result.plans.map((row) => [
            row.id,
            row.name,
            row.state,
            row.risk,
            `${row.intervalDays} days`,
            row.state === 'active' ? isoTime(row.dueAt) : null,
            row.covered,
            JSON.stringify(row.filter),
          ]),
        ),
      );
    },
  );
}

function planOptions(verb: Command, isNew: boolean): Command {
  const grace = new Option('--grace <days>', 'days after which an open review is overdue').argParser(
    parseInteger(0, 90),
  );
  return addTimelessConditions(verb)
    .addOption(new Option('--name <name>', 'what the plan is called; in clear').makeOptionMandatory(isNew))
    .addOption(
      new Option('--every <days>', 'a review is opened every so many days')
        .argParser(parseInteger(1, 366))
        .makeOptionMandatory(isNew),
    )
    .addOption(isNew ? grace.default(14) : grace)
    .addOption(
      new Option('--risk <risk>', 'high: every entry is shown; medium and low: a drawn sample')
        .choices(reviewRisks)
        .makeOptionMandatory(isNew),
    )
    .addOption(
      new Option(
        '--role <role>',
        `people of this role review, may be repeated (${reviewerRoles.join(', ')})`,
      ).argParser(gatherFrom(reviewerRoles)),
    )
    .option('--reviewer <id>', 'this person reviews, may be repeated', gather)
    .addOption(
      new Option('--rationale <text>', 'why so; - reads it from standard input').makeOptionMandatory(isNew),
    );
}

function reviewersOf({ role, reviewer }: PlanOptions): Planned['reviewers'] | undefined {
  if (role === undefined && reviewer === undefined) return undefined;
  return { roles: role ?? [], persons: reviewer ?? [] };
}

function planText({ id, name, version, covered, dueAt, intervalDays }: Plan): string {
  return printable(
    `Plan ${name} (${id}), version ${version}: the next review is opened on ${isoTime(dueAt)}, then every ${intervalDays} days. ` +
      `It begins at place ${covered} of the log.`,
  );
}
