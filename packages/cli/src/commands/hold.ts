import { holdKinds, operations } from '@trialkeep/sdk/client';
import type { Operations, Output } from '@trialkeep/sdk/client';
import { Option } from 'commander';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, print, table } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, parseTime, reasonOption } from '../verb.ts';

type Hold = Output<Operations['holds.place']>;

/** What a hold or a holder is about. */
export interface ThingOptions {
  readonly study?: string;
  readonly subject?: string;
  readonly key?: string;
}

interface PlaceOptions extends SessionOptions, ThingOptions {
  readonly kind: (typeof holdKinds)[number];
  readonly until?: number;
  readonly reason: string;
}

interface ReleaseOptions extends SessionOptions {
  readonly reason: string;
}

interface ListOptions extends SessionOptions {
  readonly all?: true;
}

/** The options that name a thing; `none` says what it is without them. */
export function addThingOptions(verb: Command, none: string): Command {
  return verb
    .option('--key <id>', `a key; ${none}`)
    .option('--study <id>', 'a study, with all its subjects')
    .option('--subject <alias>', 'a subject of that study');
}

/** The members of an input that name a thing. */
export function thingOf({ study, subject, key }: ThingOptions): ThingOptions {
  return {
    ...(study !== undefined && { study }),
    ...(subject !== undefined && { subject }),
    ...(key !== undefined && { key }),
  };
}

export function register(program: Command, io: Io): void {
  const hold = program
    .command('hold')
    .description('what must not be destroyed or erased: place, release, list');

  addThingOptions(
    addServerVerb(hold, 'place', operations['holds.place'].summary),
    'without key and study, the whole tenant',
  )
    .addOption(
      new Option('--kind <kind>', 'retention ends by its date, legal when it is released')
        .choices(holdKinds)
        .makeOptionMandatory(),
    )
    .option('--until <date>', 'when it ends by itself', parseTime)
    .addOption(reasonOption(true))
    .action(async (options: PlaceOptions) => {
      const { client } = await connect(io, options);
      const { kind, until } = options;
      const reason = await readReason(io, options.reason);
      const input = { ...thingOf(options), kind, ...(until !== undefined && { until }), reason };
      const placed = await client.call('holds.place', input);
      await print(io, options, placed, () => `Hold ${placed.id} keeps ${said(placed)}.`);
    });

  addServerVerb(hold, 'release <hold>', operations['holds.release'].summary)
    .addOption(reasonOption(true))
    .action(async (id: string, options: ReleaseOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const released = await client.call('holds.release', { hold: id, reason });
      await print(io, options, released, () => `Hold ${released.id} is ${released.state}.`);
    });

  addServerVerb(hold, 'list', operations['holds.list'].summary)
    .option('--all', 'those that have ended too')
    .action(async (options: ListOptions) => {
      const { client } = await connect(io, options);
      const answer = await client.call('holds.list', options.all === true ? { state: 'all' } : {});
      await print(io, options, answer, () =>
        table(
          ['id', 'kind', 'about', 'thing', 'state', 'until', 'placed'],
          answer.holds.map((row) => [
            row.id,
            row.kind,
            row.about,
            row.thing,
            row.state,
            row.until === null ? 'released' : isoTime(row.until),
            isoTime(row.placedAt),
          ]),
        ),
      );
    });
}

function said({ about, thing, until }: Hold): string {
  const what = about === 'tenant' ? 'everything of the tenant' : `the ${about} ${thing}`;
  return until === null ? `${what} until it is released` : `${what} until ${isoTime(until)}`;
}
