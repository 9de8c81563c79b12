import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, list, print, printable, table } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { runWitnessCommand } from '../witness-process.ts';
import { addVerb } from '../verb.ts';
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
    readonly keys: readonly string[];
    readonly size: number | null;
    readonly cosignedAt: number | null;
  }[];
}

/** A checkpoint as the process's `conflicts` shows it. */
interface Side {
  readonly size: number;
  readonly root: string;
  readonly checkpoint: string;
}

interface Conflicts {
  readonly conflicts: readonly {
    readonly id: number;
    readonly origin: string;
    readonly kind: 'fork' | 'unproven';
    readonly recordedAt: number;
    readonly older: Side;
    readonly newer: Side;
  }[];
}

export function register(program: Command, io: Io): void {
  const witness = program
    .command('witness')
    .description(
      'a process of its own that cosigns the heads of logs which only grow, and keeps what contradicts',
    );
  registerInit(witness, io, 'witness');
  registerServe(witness, io, 'witness');
  registerLogs(witness, io, 'witness');
  registerReport(witness, io);
  registerConflicts(witness, io, 'witness');
}

function registerReport(witness: Command, io: Io): void {
  addVerb(witness, 'list', 'who this is, and the latest checkpoint of every log')
    .addOption(dataOption('witness'))
    .action(async (options: DataOptions) => {
      const report = (await runWitnessCommand(
        'witness',
        ['report', '--data', options.data],
        running(io),
      )) as Report;
      await print(io, options, report, () => {
        const rows = report.logs.map(({ origin, keys, size, cosignedAt }) => [
          origin,
          keys.length,
          size,
          isoTime(cosignedAt),
        ]);
        return [
          list({ name: report.name, conflicts: report.conflicts }),
          ...report.verifierKeys,
          table(['log', 'keys', 'size', 'cosigned'], rows, 'No log is configured.'),
        ].join('\n');
      });
    });
}

/** The verb that shows the evidence, of a witness and of a mirror. */
export function registerConflicts(noun: Command, io: Io, role: 'witness' | 'mirror'): void {
  addVerb(noun, 'conflicts', 'checkpoints that a log signed and that contradict each other')
    .addOption(dataOption(role))
    .addHelpText(
      'after',
      '\nfork: one size with two roots. Nothing explains that but a log that lies; the two signed checkpoints prove it to anybody.\n' +
        'unproven: the newer tree did not follow from the older one by the proof that was sent. The log has to show a proof that it does.',
    )
    .action(async (options: DataOptions & OutputOptions) => {
      const args = ['conflicts', '--data', options.data];
      const found = (await runWitnessCommand(role, args, running(io))) as Conflicts;
      await print(io, options, found, () => {
        if (found.conflicts.length === 0) return 'No contradiction has been seen.';
        return printable(
          found.conflicts
            .map(({ id, origin, kind, recordedAt, older, newer }) =>
              [
                `conflict ${id}: ${kind} of ${origin}, noticed ${isoTime(recordedAt)}`,
                `size ${older.size}, root ${older.root}`,
                `size ${newer.size}, root ${newer.root}`,
                older.checkpoint,
                newer.checkpoint,
              ].join('\n'),
            )
            .join('\n'),
        );
      });
    });
}

function running(io: Io) {
  return { env: io.env, signal: io.signal, onLog: (line: string) => void io.stderr.write(`${line}\n`) };
}
