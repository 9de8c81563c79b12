import { operations } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { print } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, reasonOption } from '../verb.ts';

interface RedactOptions extends SessionOptions {
  readonly reason: string;
}

export function register(program: Command, io: Io): void {
  const payload = program.command('payload').description('what lies encrypted beside entries of the ledger');
  addServerVerb(payload, 'redact <entry...>', operations['payloads.redact'].summary)
    .addOption(reasonOption(true))
    .addHelpText(
      'after',
      '\nThe entries are named by their ids (`trialkeep ledger show --json`). Do not quote in the reason what is to be removed: the reason\n' +
        'stays. Copies of the database that were made before still hold the payloads, encrypted, until they are destroyed.',
    )
    .action(async (entries: string[], options: RedactOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const done = await client.call('payloads.redact', { entries, reason });
      await print(io, options, done, () => `${done.redacted} payloads are gone; their entries stay.`);
    });
}
