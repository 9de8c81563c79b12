import { operations, recipientCovers } from '@trialkeep/sdk/client';
import { Option } from 'commander';
import type { Command } from 'commander';
import { readInput } from '../input.ts';
import type { Io } from '../io.ts';
import { isoTime, print, table } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, reasonOption } from '../verb.ts';

interface RegisterOptions extends SessionOptions {
  readonly file: string;
  readonly covers: (typeof recipientCovers)[number];
  readonly study?: string;
  readonly system?: string;
  readonly reason: string;
}

/** Longest public file that is sent, bytes. */
const maxFileBytes = 16_384;

/** `trialkeep second-recipient`: who besides the server can open data. */
export function register(program: Command, io: Io): void {
  const noun = program
    .command('second-recipient')
    .description('who besides the server can open data, such as the investigator: register, remove, list');

  addServerVerb(noun, 'register <name>', operations['second-recipients.register'].summary)
    .requiredOption('--file <file>', "the party's public file, of `trialkeep escrow create`")
    .addOption(
      new Option('--covers <what>', 'the class investigator-controlled, or all that is in the scope')
        .choices(recipientCovers)
        .default('investigator-controlled'),
    )
    .option('--study <id>', 'only of this study')
    .option('--system <id>', 'only of keys of this system')
    .addOption(reasonOption(true))
    .action(async (name: string, options: RegisterOptions) => {
      const { client } = await connect(io, options);
      const { covers, study, system } = options;
      const recipient = (await readInput(io, options.file, maxFileBytes)).toString('utf8');
      const reason = await readReason(io, options.reason);
      const scope = { ...(study !== undefined && { study }), ...(system !== undefined && { system }) };
      const made = await client.call('second-recipients.register', {
        name,
        recipient,
        covers,
        ...scope,
        reason,
      });
      await print(io, options, made, () => `Second recipient ${made.id} (${made.recipientId ?? ''}).`);
    });

  addServerVerb(noun, 'remove <recipient>', operations['second-recipients.remove'].summary)
    .addOption(reasonOption(true))
    .action(async (recipient: string, options: SessionOptions & { readonly reason: string }) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const removed = await client.call('second-recipients.remove', { recipient, reason });
      await print(io, options, removed, () => `Second recipient ${removed.id} is ${removed.state}.`);
    });

  addServerVerb(noun, 'list', operations['second-recipients.list'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const answer = await client.call('second-recipients.list', {});
      await print(io, options, answer, () =>
        table(
          ['id', 'name', 'covers', 'study', 'system', 'state', 'registered', 'recipient id'],
          answer.recipients.map((row) => [
            row.id,
            row.name,
            row.covers,
            row.study ?? 'all',
            row.system ?? 'all',
            row.state,
            isoTime(row.registeredAt),
            row.recipientId ?? 'lost',
          ]),
        ),
      );
    },
  );
}
