import {
  bundlePath,
  decodeBundle,
  parseCheckpoint,
  parseNote,
  parseProof,
  tileWidth,
} from '@trialkeep/ledger';
import { operations } from '@trialkeep/sdk/client';
import type { Caller } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import { writeResult } from '../input.ts';
import type { Io } from '../io.ts';
import { print } from '../output.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb } from '../verb.ts';

interface ProofOptions extends SessionOptions {
  readonly out: string;
  readonly entryOut?: string;
  readonly overwrite?: true;
}

/** Proofs for one entry. */
export function registerProof(ledger: Command, io: Io): void {
  addServerVerb(ledger, 'proof <entry>', operations['ledger.proof'].summary)
    .requiredOption('--out <file>', 'where to write the proof, such as entry.tlog-proof')
    .option('--entry-out <file>', 'where to write the entry itself, which the proof is checked with')
    .option('--overwrite', 'replace existing files')
    .action(async (entry: string, options: ProofOptions) => {
      const { client } = await connect(io, options);
      const { out, entryOut, overwrite } = options;
      const replacing = overwrite === undefined ? {} : { overwrite };
      const asked = /^\d{1,15}$/.test(entry) ? { index: Number(entry) } : { entry };
      const text = Buffer.from(await client.call('ledger.proof', asked));
      const { index, checkpoint } = parseProof(text);
      const { origin, size } = parseCheckpoint(parseNote(checkpoint).text);
      // First what may be gone: a proof without its entry shows nothing.
      const bytes = entryOut === undefined ? undefined : await readEntry(client, index, size);
      await writeResult(io, { out, ...replacing }, text);
      if (bytes !== undefined && entryOut !== undefined) {
        await writeResult(io, { out: entryOut, ...replacing }, bytes);
      }
      const result = { origin, index, size, out, ...(entryOut !== undefined && { entryOut }) };
      const check = `trialkeep verify '${out}' --entry '${entryOut ?? 'FILE'}' --key VKEY`;
      await print(
        io,
        options,
        result,
        () => `The proof of entry ${index} of ${origin} is in ${out}. Anyone can check it:\n${check}`,
      );
    });
}

/** An entry as it was hashed, out of its bundle. */
async function readEntry(client: Caller, index: number, size: number): Promise<Uint8Array> {
  const bundle = Math.floor(index / tileWidth);
  const width = Math.min(tileWidth, size - bundle * tileWidth);
  const path = bundlePath(bundle, width).replace(/^tile\//, '');
  const entries = decodeBundle(await client.call('ledger.tile', { path }), width);
  return entries[index % tileWidth] ?? new Uint8Array(0);
}
