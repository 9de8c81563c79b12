import { resolve } from 'node:path';
import type { Command } from 'commander';
import { readShareTexts } from '../ceremony/shares-input.ts';
import { Exit } from '../io.ts';
import type { Io } from '../io.ts';
import { print } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { defaultDataDirectory, runServerCommand } from '../server-process.ts';
import type { ServerProcessOptions } from '../server-process.ts';
import { addVerb, gather } from '../verb.ts';

interface CatchUpOptions extends OutputOptions {
  readonly data: string;
  readonly mirror: string;
  readonly tokenFile?: string;
  readonly key?: readonly string[];
  readonly withoutWitnesses?: true;
  readonly shares?: true;
}

interface CaughtUp {
  readonly logs: readonly {
    readonly origin: string;
    readonly from: number;
    readonly to?: number;
    readonly lost: readonly string[];
  }[];
  readonly reasons: readonly string[];
}

export function registerCatchUp(self: Command, io: Io, running: ServerProcessOptions): void {
  addVerb(self, 'catch-up', 'teach a restored database, from a mirror, what it has forgotten')
    .option(
      '--data <directory>',
      'where the installation lies; its server must not run',
      defaultDataDirectory,
    )
    .requiredOption('--mirror <url>', "the mirror's monitoring prefix")
    .option('--token-file <file>', 'the token that the mirror asks readers for; never on the command line')
    .option(
      '--key <vkey>',
      "a log's verifier key, from a trusted place: for logs whose keys were changed since the backup",
      gather,
    )
    .option(
      '--without-witnesses',
      'go on although not every witness can be asked; if one of them knows more, the log has two histories from then on',
    )
    .option(
      '--shares',
      'ask for the shares of the root of trust, where it is held in shares; without a terminal, the lines of standard input',
    )
    .addHelpText(
      'after',
      '\nWhat was revoked, ended or erased since the backup is so again. What was made since is listed: it has to be made again. Status 1\n' +
        'where the server would still start in recovery.',
    )
    .action(async (options: CatchUpOptions) => {
      const token = options.tokenFile === undefined ? [] : ['--token-file', resolve(options.tokenFile)];
      const args = ['catch-up', '--data', options.data, '--mirror', options.mirror, ...token];
      for (const key of options.key ?? []) args.push('--key', key);
      if (options.withoutWitnesses === true) args.push('--without-witnesses');
      const shares = options.shares === true ? await readShareTexts(io) : [];
      if (shares.length > 0) args.push('--shares');
      const done = (await runServerCommand(args, { ...running, input: shares.join('\n') })) as CaughtUp;
      await print(io, options, done, () => report(done));
      if (done.reasons.length > 0) throw new Exit(1);
    });
}

function report({ logs, reasons }: CaughtUp): string {
  const lines = logs.flatMap(({ origin, from, to, lost }) => [
    to === undefined
      ? `${origin}: the mirror has no copy of it.`
      : `${origin}: ${to - from} entries were forgotten, and are there again.`,
    ...lost.map((sentence) => `lost  ${sentence}`),
  ]);
  const end =
    reasons.length === 0
      ? ['The server can be started.']
      : ['The server would stay in recovery:', ...reasons];
  return [...lines, ...end].join('\n');
}
