import { maxNoteBytes, parseCheckpoint, parseNote } from '@trialkeep/ledger';
import { operations, outcomes } from '@trialkeep/sdk/client';
import { exportLedger } from '@trialkeep/sdk/verify';
import { Option } from 'commander';
import type { Command } from 'commander';
import { readInput, writeResult } from '../input.ts';
import { Exit } from '../io.ts';
import type { Io } from '../io.ts';
import { print, printable } from '../output.ts';
import { signatureLines } from '../signature-lines.ts';
import { startProgress } from '../progress.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, parseInteger, parseTime } from '../verb.ts';
import { printEntries } from '../ledger-entries.ts';
import type { EntriesOptions } from '../ledger-entries.ts';

interface ExportCommandOptions extends SessionOptions {
  readonly key?: string;
  readonly checkpoint?: string;
}

interface CheckpointOptions extends SessionOptions {
  readonly out?: string;
  readonly overwrite?: true;
}

export function register(program: Command, io: Io): void {
  const ledger = program.command('ledger').description('ask and export the ledger');

  addServerVerb(ledger, 'show', operations['ledger.query'].summary)
    .option('--subject <alias>', 'only about this subject')
    .option('--class <name>', 'only about this class of record')
    .option('--key <id>', 'only uses of this key')
    .option('--operation <name>', 'only this operation, such as keys.decrypt-data-key')
    .addOption(new Option('--outcome <outcome>', 'only those that ended so').choices(outcomes))
    .option('--study <id>', 'only about this study')
    .option('--system <id>', 'only about this system')
    .option('--actor <id>', 'only by this credential or person')
    .option('--from <time>', 'from this time on', parseTime)
    .option('--to <time>', 'up to this time', parseTime)
    .option('--limit <number>', 'at most so many entries', parseInteger(1, Number.MAX_SAFE_INTEGER))
    .option('--payload', 'open the payload of each entry; each opening is an entry of its own')
    .action(async (options: SessionOptions & EntriesOptions) => {
      const { client } = await connect(io, options);
      await printEntries(io, client, options);
    });

  registerExport(ledger, io);
  registerEvidence(ledger, io);
}

function registerExport(ledger: Command, io: Io): void {
  addServerVerb(
    ledger,
    'export <folder>',
    'copy the whole ledger into a folder (C2SP tlog-tiles), with its signatures, and verify the copy',
  )
    .option('--key <vkey>', "the log's verifier key, from a trusted place; otherwise the server is asked")
    .option('--checkpoint <file>', 'a checkpoint that was kept earlier')
    .addHelpText(
      'after',
      '\nThe records of electronic signatures go into signatures.jsonl there, where the credential may read them. Status 1 where\n' +
        'they do not verify; the copy is then whole, and its signatures are not.',
    )
    .action(async (folder: string, options: ExportCommandOptions) => {
      const { client } = await connect(io, options);
      const { key, checkpoint } = options;
      const kept = checkpoint === undefined ? undefined : await readInput(io, checkpoint, maxNoteBytes);
      const progress = await startProgress(io, options, 'exporting', 'entries');
      // Fetching and verifying each count half of the bar.
      const onProgress = (step: string, done: number, total: number) =>
        progress.update(step === 'fetch' ? done : total + done, 2 * total);
      const exporting = exportLedger(client, folder, {
        ...(key !== undefined && { verifierKey: key }),
        ...(kept !== undefined && { keptCheckpoint: kept }),
        signal: io.signal,
        onProgress,
      });
      const exported = await exporting.finally(() => progress.stop());
      const { origin, size, files, bytes, verifierKey, verdict, freshness } = exported;
      const { signatures } = exported;
      const result = {
        folder,
        origin,
        entries: size,
        files,
        bytes,
        verifierKey,
        verdict,
        freshness,
        signatures,
      };
      await print(io, options, result, () =>
        printable(
          [
            `${size} entries of ${origin} lie in ${folder}, and fit their checkpoint.`,
            ...signatureLines(signatures),
            'Anyone can verify them without the server:',
            `trialkeep verify '${folder}' --key '${verifierKey}'`,
          ].join('\n'),
        ),
      );
      if (verdict === 'failed') throw new Exit(1);
    });
}

function registerEvidence(ledger: Command, io: Io): void {
  addServerVerb(
    ledger,
    'checkpoint',
    `${operations['ledger.checkpoint'].summary}; keep it out of the server's reach`,
  )
    .option('--out <file>', 'where to keep it; standard output otherwise')
    .option('--overwrite', 'replace an existing file')
    .action(async (options: CheckpointOptions) => {
      const { client } = await connect(io, options);
      const note = Buffer.from(await client.call('ledger.checkpoint', {}));
      const { origin, size, root } = parseCheckpoint(parseNote(note).text);
      if (options.out !== undefined || options.json !== true) await writeResult(io, options, note);
      const out = options.out === undefined ? { checkpoint: note.toString() } : { out: options.out };
      const result = { origin, size, root: Buffer.from(root).toString('base64'), ...out };
      if (options.out === undefined && options.json !== true) return;
      await print(
        io,
        options,
        result,
        () => `The checkpoint of ${origin} at ${size} entries is in ${options.out}.`,
      );
    });

  addServerVerb(ledger, 'verifier-key', operations['ledger.verifier-key'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const verifierKey = (await client.call('ledger.verifier-key', {})).trim();
      await print(io, options, { verifierKey }, () => verifierKey);
    },
  );
}
