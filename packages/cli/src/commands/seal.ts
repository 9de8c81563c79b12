import { sealFile } from '@trialkeep/sdk/seal';
import type { Command } from 'commander';
import { planJobs, runJobs, sealedSuffix } from '../file-jobs.ts';
import type { Io } from '../io.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, contextOption } from '../verb.ts';

interface SealCommandOptions extends SessionOptions {
  readonly key: string;
  readonly context?: Record<string, string>;
  readonly out?: string;
  readonly outDir?: string;
  readonly overwrite?: true;
  readonly digest?: true;
}

export function register(program: Command, io: Io): void {
  addServerVerb(
    program,
    'seal <file...>',
    'seal files of any size on this machine, each under a data key of its own',
  )
    .requiredOption('--key <id>', 'the key that wraps the data keys')
    .addOption(
      contextOption(
        'a pair to bind to the files; may be repeated; readable in their headers, so aliases only',
      ),
    )
    .option('--out <file>', 'where to write a single sealed file')
    .option(
      '--out-dir <folder>',
      `where to write the sealed files; beside each source, with ${sealedSuffix}, otherwise`,
    )
    .option('--overwrite', 'replace existing files')
    .option('--digest', 'state the SHA-256 of each plaintext (with --json)')
    .action(async (sources: string[], options: SealCommandOptions) => {
      const jobs = planJobs(sources, options, (source) => `${source}${sealedSuffix}`);
      const { client } = await connect(io, options);
      await runJobs(io, options, { label: 'sealing', done: 'sealed' }, jobs, (job, onProgress) =>
        sealFile(client, {
          ...job,
          key: options.key,
          context: options.context ?? {},
          overwrite: options.overwrite === true,
          digest: options.digest === true,
          signal: io.signal,
          onProgress,
        }),
      );
    });
}
