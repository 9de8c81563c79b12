import { maxNoteBytes, parseCheckpoint, parseNote } from '@trialkeep/ledger';
import { operations } from '@trialkeep/sdk/client';
import { exportLedger } from '@trialkeep/sdk/verify';
import type { Command } from 'commander';
import { addConditions } from '../conditions.ts';
import { addEntryOutput } from '../entry-output.ts';
import { readInput, writeResult } from '../input.ts';
import { Exit } from '../io.ts';
import type { Io } from '../io.ts';
import { print, printable } from '../output.ts';
import { payloadLines } from '../payload-lines.ts';
import { signatureLines } from '../signature-lines.ts';
import { startProgress } from '../progress.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, gather, parseInteger } from '../verb.ts';
import { printEntries } from '../ledger-entries.ts';
import type { EntriesOptions } from '../ledger-entries.ts';
import { registerAsk } from './ask.ts';
import { registerArchive } from './ledger-archive.ts';
import { registerLogKeys } from './ledger-keys.ts';
import { registerProof } from './ledger-proof.ts';
import { registerWitnessing } from './witnessing.ts';

interface ExportCommandOptions extends SessionOptions {
  readonly key?: readonly string[];
  readonly checkpoint?: string;
  readonly payloads?: true;
}

interface CheckpointOptions extends SessionOptions {
  readonly out?: string;
  readonly overwrite?: true;
}

export function register(program: Command, io: Io): void {
  const ledger = program.command('ledger').description('ask and export the ledger');

  addEntryOutput(addConditions(addServerVerb(ledger, 'show', operations['ledger.query'].summary)))
    .option('--limit <number>', 'at most so many entries', parseInteger(1, Number.MAX_SAFE_INTEGER))
    .option('--payload', 'open the payload of each entry; each opening is an entry of its own')
    .action(async (options: SessionOptions & EntriesOptions) => {
      const { client } = await connect(io, options);
      await printEntries(io, client, options);
    });

  registerAsk(ledger, io);
  registerWitnessing(ledger, io);
  registerExport(ledger, io);
  registerArchive(ledger, io);
  registerEvidence(ledger, io);
  registerProof(ledger, io);
  registerLogKeys(ledger, io);
}

function registerExport(ledger: Command, io: Io): void {
  addServerVerb(
    ledger,
    'export <folder>',
    'copy the whole ledger into a folder (C2SP tlog-tiles), with its signatures, and verify the copy',
  )
    .option(
      '--key <vkey>',
      "the log's verifier key, from a trusted place; otherwise the server is asked",
      gather,
    )
    .option('--checkpoint <file>', 'a checkpoint that was kept earlier')
    .option(
      '--payloads',
      'bring the payloads along, opened; each run of them is an entry of the ledger, behind the exported checkpoint',
    )
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
        ...(options.payloads === true && { payloads: true }),
        signal: io.signal,
        onProgress,
      });
      const exported = await exporting.finally(() => progress.stop());
      const { origin, size, files, bytes, verifierKey, verdict, freshness } = exported;
      const { signatures, payloads, minimumIndex } = exported;
      const pruned = minimumIndex > 0 ? ` --pruned-below ${minimumIndex}` : '';
      const result = {
        folder,
        origin,
        entries: size,
        minimumIndex,
        files,
        bytes,
        verifierKey,
        verdict,
        freshness,
        signatures,
        ...(payloads.exported && { payloads }),
      };
      await print(io, options, result, () =>
        printable(
          [
            `${size} entries of ${origin} lie in ${folder}, and fit their checkpoint.`,
            ...signatureLines(signatures),
            ...payloadLines(payloads),
            'Anyone can verify them without the server:',
            `trialkeep verify '${folder}' --key '${verifierKey}'${pruned}`,
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
}
