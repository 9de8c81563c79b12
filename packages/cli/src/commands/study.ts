import { operations } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, print, table } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, parseInteger, reasonOption } from '../verb.ts';

interface CreateOptions extends SessionOptions {
  readonly title?: string;
}

interface EraseOptions extends SessionOptions {
  readonly reason: string;
  readonly waitingDays?: number;
}

interface ReopenOptions extends SessionOptions {
  readonly reason: string;
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
        ['id', 'protocol', 'title', 'state', 'registered'],
        answer.studies.map(({ id, protocol, title, state, createdAt }) => [
          id,
          protocol,
          title,
          state,
          isoTime(createdAt),
        ]),
      ),
    );
  });

  registerErasure(study, io);

  addServerVerb(
    study,
    'reopen <id>',
    'Have two people end the closure of a study that holds now, and no later one',
  )
    .addOption(reasonOption(true))
    .action(async (id: string, options: ReopenOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const { closedAt } = await client.call('revocations.preview', { scope: { study: id } });
      // Of a study that is open the server says so.
      const asked = { study: id, closedAt: closedAt ?? 0, reason };
      const answer = await client.call('revocations.reopen-study', asked);
      await print(
        io,
        options,
        answer,
        () => `Study ${answer.study} is open since ${isoTime(answer.changedAt)}.`,
      );
    });
}

function registerErasure(study: Command, io: Io): void {
  addServerVerb(study, 'erase <id>', operations['studies.erase'].summary)
    .option('--waiting-days <days>', 'from the approval on; 30 by default', parseInteger(7, 30))
    .addOption(reasonOption(true))
    .action(async (id: string, options: EraseOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const { waitingDays } = options;
      const asked = { study: id, reason, ...(waitingDays !== undefined && { waitingDays }) };
      const answer = await client.call('studies.erase', asked);
      await print(io, options, answer, () => `Study ${id} is erased at ${isoTime(answer.dueAt)}.`);
    });

  addServerVerb(study, 'cancel-erasure <id>', operations['studies.cancel-erasure'].summary)
    .addOption(reasonOption(true))
    .action(async (id: string, options: EraseOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const answer = await client.call('studies.cancel-erasure', { study: id, reason });
      await print(io, options, answer, () => `The erasure of study ${id} is called off.`);
    });
}
