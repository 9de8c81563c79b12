import { sealFile } from '@trialkeep/sdk/seal';
import { Option } from 'commander';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { planJobs, runJobs, sealedSuffix } from '../file-jobs.ts';
import type { FileJob } from '../file-jobs.ts';
import type { Io } from '../io.ts';
import { sealingKeys } from '../key-source.ts';
import type { SealingKeyOptions } from '../key-source.ts';
import { isFolder, runSealTree } from '../tree-jobs.ts';
import type { SealTreeCommand } from '../tree-jobs.ts';
import { addServerVerb, contextOption, gather } from '../verb.ts';

type SealCommandOptions = SealTreeCommand & SealingKeyOptions;

const foldersHelp = `
Files: each becomes a sealed file of its own, under a data key of its own.
Folders: with a folder among them, all become one sealed tree, whose names nobody can read without the key. It is finished when
its manifest is there. What is interrupted goes on when the same command is run again. What cannot be sealed (unreadable, changed
meanwhile, a device, a pipe) is named, the status is 1, and the tree stays unfinished; with --incomplete it is finished without it.`;

export function register(program: Command, io: Io): void {
  addServerVerb(program, 'seal <path...>', 'seal files of any size, and folders, on this machine')
    .option('--key <id>', "the server's key that wraps the data keys")
    .option(
      '--recipient <file>',
      'the public file of an escrow pair that shall open it; may be repeated; without --key no server is asked',
      gather,
    )
    .addOption(
      contextOption(
        'a pair to bind to the files; may be repeated; readable in their headers, so aliases only',
      ),
    )
    .option('--sign', 'sign each file, or the manifest of the tree, so that nobody who opens it can alter it')
    .option('--out <file>', 'where to write a single sealed file')
    .option(
      '--out-dir <folder>',
      `where to write the sealed files, or the tree; beside the source, with ${sealedSuffix}, otherwise`,
    )
    .option('--overwrite', 'replace existing files, or the tree')
    .option('--digest', 'state the SHA-256 of each plaintext (with --json); a tree keeps it in its manifest')
    .addOption(
      new Option(
        '--incomplete',
        'finish a tree although some of it cannot be sealed; its manifest says what',
      ),
    )
    .addHelpText('after', foldersHelp)
    .action(async (sources: string[], options: SealCommandOptions) => {
      const folders = await Promise.all(sources.map(isFolder));
      if (folders.includes(true)) {
        await runSealTree(io, options, sources, await sealingKeys(io, options));
        return;
      }
      if (options.incomplete === true)
        throw new CliError('cli.usage', { detail: '--incomplete is for folders' });
      const jobs = planJobs(sources, options, (source) => `${source}${sealedSuffix}`);
      const { keys } = await sealingKeys(io, options);
      await runJobs(io, options, jobs, {
        label: 'sealing',
        done: 'files sealed',
        work: (job: FileJob, onProgress) =>
          sealFile(keys, {
            ...job,
            context: options.context ?? {},
            overwrite: options.overwrite === true,
            digest: options.digest === true,
            signed: options.sign === true,
            signal: io.signal,
            onProgress,
          }),
      });
    });
}
