import { operations } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, print, table } from '../output.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb } from '../verb.ts';

interface CreateOptions extends SessionOptions {
  readonly title?: string;
}

export function register(program: Command, io: Io): void {
  const study = program.command('study').description('studies of the tenant');

  addServerVerb(study, 'create <protocol>', operations['studies.create'].summary)
    .option('--title <text>', 'title of the study')
    .action(async (protocol: string, options: CreateOptions) => {
      const { client } = await connect(io, options);
      const { title } = options;
      const made = await client.call('studies.create', { protocol, ...(title !== undefined && { title }) });
      await print(io, options, made, () => `Study ${made.protocol} is registered: ${made.id}`);
    });

  addServerVerb(study, 'list', operations['studies.list'].summary).action(async (options: SessionOptions) => {
    const { client } = await connect(io, options);
    const answer = await client.call('studies.list', {});
    await print(io, options, answer, () =>
      table(
        ['id', 'protocol', 'title', 'registered'],
        answer.studies.map(({ id, protocol, title, createdAt }) => [id, protocol, title, isoTime(createdAt)]),
      ),
    );
  });
}
