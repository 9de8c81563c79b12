import { setTimeout as pause } from 'node:timers/promises';
import { drillScopes, operations } from '@trialkeep/sdk/client';
import type { Operations, Output } from '@trialkeep/sdk/client';
import { Option } from 'commander';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, list, print, table } from '../output.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, parseInteger } from '../verb.ts';

type Drill = Output<Operations['revocations.drill']>;
type Schedule = Output<Operations['revocations.drills']>['schedule'];

interface ScopeOptions extends SessionOptions {
  readonly scope?: (typeof drillScopes)[number];
}

interface RunOptions extends ScopeOptions {
  readonly wait: boolean;
}

const pollMs = 500;
const scopeOption = (): Option =>
  new Option('--scope <kind>', 'what the emergency is about; a system by default').choices(drillScopes);

export function register(program: Command, io: Io): void {
  const drill = program
    .command('drill')
    .description(
      'drills of emergency revocation, on things that are made up for them; nothing real is revoked',
    );
  addServerVerb(drill, 'run', operations['revocations.drill'].summary)
    .addOption(scopeOption())
    .option('--no-wait', 'do not wait until it has ended')
    .action(async (options: RunOptions) => {
      const { client } = await connect(io, options);
      let shown: Drill = await client.call('revocations.drill', scopeOf(options));
      while (options.wait && shown.state === 'running') {
        await pause(pollMs);
        const { drills } = await client.call('revocations.drills', {});
        shown = drills.find(({ id }) => id === shown.id) ?? shown;
      }
      await print(io, options, shown, () => details(shown));
    });

  addServerVerb(drill, 'schedule', operations['revocations.schedule-drill'].summary)
    .requiredOption('--every-days <number>', 'how often; 0: no more', parseInteger(0, 366))
    .addOption(scopeOption())
    .action(async (options: ScopeOptions & { readonly everyDays: number }) => {
      const { client } = await connect(io, options);
      const { everyDays } = options;
      const asked = { everyDays, ...scopeOf(options) };
      const answer = await client.call('revocations.schedule-drill', asked);
      await print(io, options, answer, () => planned(answer.schedule));
    });

  addServerVerb(drill, 'list', operations['revocations.drills'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const answer = await client.call('revocations.drills', {});
      await print(io, options, answer, () => {
        const rows = answer.drills.map((row) => [row.id, row.scope, row.state, isoTime(row.begunAt)]);
        return `${planned(answer.schedule)}\n\n${table(['id', 'scope', 'outcome', 'begun'], rows)}`;
      });
    },
  );
}

function scopeOf({ scope }: ScopeOptions) {
  return scope === undefined ? {} : { scope };
}

function planned(schedule: Schedule): string {
  if (schedule === null) return 'No drills are scheduled.';
  const overdue = schedule.overdue ? '; it is overdue' : '';
  return `A drill every ${schedule.everyDays} days, the next at ${isoTime(schedule.nextAt)}${overdue}.`;
}

function details({ id, scope, state, begunAt, endedAt, steps }: Drill): string {
  const about = list({ id, scope, outcome: state, begun: isoTime(begunAt), ended: isoTime(endedAt) });
  if (steps.length === 0) return about;
  const rows = steps.map(({ name, elapsedMs, outcome, code }) => [
    name,
    elapsedMs,
    code === undefined ? outcome : `${outcome}: ${code}`,
  ]);
  return `${about}\n\n${table(['step', 'ms', 'outcome'], rows)}`;
}
