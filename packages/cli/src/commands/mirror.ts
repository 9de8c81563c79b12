import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, list, print, table } from '../output.ts';
import { addVerb } from '../verb.ts';
import { runWitnessCommand } from '../witness-process.ts';
import { registerConflicts } from './witness.ts';
import {
  dataOption,
  registerInit,
  registerLogs,
  registerServe,
  type DataOptions,
  type Kept,
} from './witness-verbs.ts';

/** What the process's `report` answers. */
interface Report extends Kept {
  readonly logs: readonly {
    readonly origin: string;
    /** Of the pending checkpoint. */
    readonly size: number | null;
    readonly nextEntry: number;
    readonly copiedSize: number | null;
    readonly copiedAt: number | null;
    /** The folder of the copy, below the data directory. */
    readonly copy: string;
  }[];
}

export function register(program: Command, io: Io): void {
  const mirror = program
    .command('mirror')
    .description('a process of its own that keeps whole, verified copies of logs under its own key');
  registerInit(mirror, io, 'mirror');
  registerServe(mirror, io, 'mirror');
  registerLogs(mirror, io, 'mirror');
  registerReport(mirror, io);
  registerConflicts(mirror, io, 'mirror');
}

function registerReport(mirror: Command, io: Io): void {
  addVerb(mirror, 'list', 'who this is, and how far the copy of every log has come')
    .addOption(dataOption('mirror'))
    .addHelpText(
      'after',
      '\nThe folder of a copy can be verified as it is: trialkeep verify FOLDER --key VKEY.',
    )
    .action(async (options: DataOptions) => {
      const running = {
        env: io.env,
        signal: io.signal,
        onLog: (line: string) => void io.stderr.write(`${line}\n`),
      };
      const args = ['report', '--data', options.data];
      const report = (await runWitnessCommand('mirror', args, running)) as Report;
      await print(io, options, report, () => {
        const rows = report.logs.map(({ origin, size, nextEntry, copiedSize, copiedAt, copy }) => [
          origin,
          size,
          nextEntry,
          copiedSize,
          isoTime(copiedAt),
          copy,
        ]);
        return [
          list({ name: report.name, conflicts: report.conflicts }),
          ...report.verifierKeys,
          table(['log', 'pending', 'stored', 'cosigned', 'at', 'folder'], rows, 'No log is configured.'),
        ].join('\n');
      });
    });
}
