import { operations, pagesOf } from '@trialkeep/sdk/client';
import type { Operations, Output } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, print, table } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, parseInteger, reasonOption } from '../verb.ts';

type Registered = Output<Operations['data-keys.list']>;

interface ListOptions extends SessionOptions {
  readonly limit: number;
}

interface ForgetOptions extends SessionOptions {
  readonly reason?: string;
}

const usualLimit = 1000;

export function register(program: Command, io: Io): void {
  const dataKey = program
    .command('data-key')
    .description('data keys that services have had registered, by their hashes: list, forget');

  addServerVerb(dataKey, 'list <key>', 'List the registered data keys of a key, and say how many there are')
    .option('--limit <number>', 'so many at most', parseInteger(0, 10_000_000), usualLimit)
    .action(async (key: string, options: ListOptions) => {
      const { client } = await connect(io, options);
      let registered = 0;
      const dataKeys: Registered['dataKeys'][number][] = [];
      for await (const page of pagesOf((at) => client.call('data-keys.list', { key, ...at }))) {
        registered = page.registered;
        dataKeys.push(...page.dataKeys.slice(0, options.limit - dataKeys.length));
        if (dataKeys.length >= options.limit) break;
      }
      await print(io, options, { registered, dataKeys }, () => {
        const rows = dataKeys.map((row) => [row.reference, row.version, isoTime(row.registeredAt)]);
        return `${registered} registered\n\n${table(['reference', 'version', 'registered'], rows)}`;
      });
    });

  addServerVerb(dataKey, 'forget <key> <reference...>', operations['data-keys.forget'].summary)
    .addOption(reasonOption(false))
    .action(async (key: string, references: string[], options: ForgetOptions) => {
      const { client } = await connect(io, options);
      const reason = options.reason === undefined ? {} : { reason: await readReason(io, options.reason) };
      const answer = await client.call('data-keys.forget', { key, references, ...reason });
      await print(io, options, answer, () => `${answer.removed} taken out of the registry.`);
    });
}
