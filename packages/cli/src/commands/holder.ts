import { holderKinds, operations } from '@trialkeep/sdk/client';
import { Option } from 'commander';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, print, table } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, parseTime, reasonOption } from '../verb.ts';
import { addThingOptions, thingOf } from './hold.ts';
import type { ThingOptions } from './hold.ts';

interface RegisterOptions extends SessionOptions, ThingOptions {
  readonly kind: (typeof holderKinds)[number];
  readonly name: string;
  readonly contact: string;
  readonly expires?: number;
}

interface AttestOptions extends SessionOptions, ThingOptions {
  readonly reason: string;
}

export function register(program: Command, io: Io): void {
  const holder = program
    .command('holder')
    .description('places that have keys or copies of them: register, attest, list');

  addThingOptions(
    addServerVerb(holder, 'register', operations['holders.register'].summary),
    'without key and study, it has all keys',
  )
    .addOption(new Option('--kind <kind>', 'what it is').choices(holderKinds).makeOptionMandatory())
    .requiredOption('--name <text>', 'what it is called')
    .requiredOption('--contact <text>', 'who answers for it')
    .option('--expires <date>', 'when what it has is gone by itself', parseTime)
    .action(async (options: RegisterOptions) => {
      const { client } = await connect(io, options);
      const { kind, name, contact, expires } = options;
      const input = { ...thingOf(options), kind, name, contact };
      const made = await client.call('holders.register', {
        ...input,
        ...(expires !== undefined && { expiresAt: expires }),
      });
      await print(io, options, made, () => `Holder ${made.id} is registered.`);
    });

  addThingOptions(
    addServerVerb(holder, 'attest <holder>', operations['holders.attest'].summary),
    'without key and study, it has no key any more',
  )
    .addOption(reasonOption(true))
    .action(async (id: string, options: AttestOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const attested = await client.call('holders.attest', { ...thingOf(options), holder: id, reason });
      await print(io, options, attested, () => `It is attested of holder ${attested.id}: ${attested.state}.`);
    });

  addServerVerb(holder, 'list', operations['holders.list'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const answer = await client.call('holders.list', {});
      await print(io, options, answer, () =>
        table(
          ['id', 'kind', 'name', 'has keys of', 'state', 'expires', 'contact'],
          answer.holders.map((row) => [
            row.id,
            row.kind,
            row.name,
            row.thing === null ? `the whole ${row.scope}` : `${row.about} ${row.thing}`,
            row.state,
            row.expiresAt === null ? 'attested' : isoTime(row.expiresAt),
            row.contact,
          ]),
        ),
      );
    },
  );
}
