import { openFile } from '@trialkeep/sdk/seal';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { planJobs, runJobs, sealedSuffix } from '../file-jobs.ts';
import type { Io } from '../io.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, contextOption, gather, reasonOption } from '../verb.ts';

interface OpenCommandOptions extends SessionOptions {
  readonly key?: string[];
  readonly context?: Record<string, string>;
  readonly reason?: string;
  readonly out?: string;
  readonly outDir?: string;
  readonly overwrite?: true;
  readonly digest?: true;
}

export function register(program: Command, io: Io): void {
  addServerVerb(
    program,
    'open <file...>',
    'open sealed files on this machine; each appears whole, or not at all',
  )
    .option('--key <id>', 'a key that may be used; may be repeated; otherwise any that a file names', gather)
    .addOption(contextOption('a pair that the files must carry; may be repeated'))
    .addOption(reasonOption(false))
    .option('--out <file>', 'where to write a single file')
    .option(
      '--out-dir <folder>',
      `where to write the files; beside each source, without ${sealedSuffix}, otherwise`,
    )
    .option('--overwrite', 'replace existing files')
    .option('--digest', 'state the SHA-256 of each plaintext (with --json)')
    .action(async (sources: string[], options: OpenCommandOptions) => {
      const jobs = planJobs(sources, options, openedName);
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      await runJobs(io, options, { label: 'opening', done: 'opened' }, jobs, (job, onProgress) =>
        openFile(client, {
          ...job,
          ...(options.key !== undefined && { keys: options.key }),
          context: options.context ?? {},
          ...(reason !== undefined && { reason }),
          overwrite: options.overwrite === true,
          digest: options.digest === true,
          signal: io.signal,
          onProgress,
        }),
      );
    });
}

function openedName(source: string): string {
  if (source.endsWith(sealedSuffix)) return source.slice(0, -sealedSuffix.length);
  const detail = `${source} does not end with ${sealedSuffix}`;
  throw new CliError('cli.usage', { detail, fix: 'Name the file to write with --out.' });
}
