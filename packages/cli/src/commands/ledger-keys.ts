import { operations } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, print } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, parseInteger, reasonOption } from '../verb.ts';

interface RotateOptions extends SessionOptions {
  readonly reason: string;
  readonly overlapDays?: number;
}

interface ReasonOptions extends SessionOptions {
  readonly reason: string;
}

/** What happens to the keys that sign the log. */
export function registerLogKeys(ledger: Command, io: Io): void {
  addServerVerb(ledger, 'verifier-key', operations['ledger.verifier-key'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const verifierKeys = (await client.call('ledger.verifier-key', {})).trim().split('\n');
      await print(io, options, { verifierKey: verifierKeys[0], verifierKeys }, () => verifierKeys.join('\n'));
    },
  );

  addServerVerb(ledger, 'rotate-key', operations['ledger.rotate-key'].summary)
    .option('--overlap-days <number>', 'how long old and new keys sign together', parseInteger(1, 400))
    .addOption(reasonOption(true))
    .action(async (options: RotateOptions) => {
      const { client } = await connect(io, options);
      const { overlapDays } = options;
      const reason = await readReason(io, options.reason);
      const rotated = await client.call('ledger.rotate-key', {
        reason,
        ...(overlapDays !== undefined && { overlapDays }),
      });
      await print(io, options, rotated, () =>
        [
          `New keys sign beside the old ones, ${rotated.ends.join(' and ')}, until ${isoTime(rotated.endsAt)}.`,
          'Give them to whoever verifies this log:',
          ...rotated.begins,
        ].join('\n'),
      );
    });

  addServerVerb(ledger, 'retire-key', operations['ledger.retire-key'].summary)
    .addOption(reasonOption(true))
    .action(async (options: ReasonOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const retired = await client.call('ledger.retire-key', { reason });
      await print(io, options, retired, () => `Keys ${retired.ends.join(' and ')} sign no longer.`);
    });
}
