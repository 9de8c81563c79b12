import { entryFormats } from '@trialkeep/sdk/entries';
import type { EntryFormat } from '@trialkeep/sdk/entries';
import { createTargetFile } from '@trialkeep/sdk/files';
import { Option } from 'commander';
import type { Command } from 'commander';
import { writeOut } from './io.ts';
import type { Io } from './io.ts';

/** Where entries go, and in which form. */
export interface EntryOutputOptions {
  readonly format?: EntryFormat;
  readonly out?: string;
  readonly overwrite?: true;
}

export function addEntryOutput(verb: Command): Command {
  return verb
    .addOption(
      new Option(
        '--format <format>',
        'csv (RFC 4180), jsonl, fhir (R4 AuditEvent, a line each), ocsf (a line each)',
      ).choices(entryFormats),
    )
    .option('--out <file>', 'where to write it, whole or not at all; standard output otherwise')
    .option('--overwrite', 'replace an existing file');
}

/** Characters that are gathered before they are written: a write for each entry would cost more than the entry. */
const gatheredLength = 64 * 1024;

/** Hands `work` a way to write text, in order, to the file or to standard output; a file has all of it, or is not there. */
export async function withOutput<T>(
  io: Io,
  { out, overwrite }: EntryOutputOptions,
  work: (write: (text: string) => Promise<void>) => Promise<T>,
): Promise<T> {
  const target =
    out === undefined ? undefined : await createTargetFile(out, { overwrite: overwrite === true });
  let gathered = '';
  const flush = async (): Promise<void> => {
    const text = gathered;
    gathered = '';
    if (target === undefined) await writeOut(io, text);
    else await target.write(Buffer.from(text));
  };
  try {
    const result = await work(async (text) => {
      io.signal.throwIfAborted();
      gathered += text;
      if (gathered.length >= gatheredLength) await flush();
    });
    if (gathered !== '') await flush();
    await target?.commit();
    return result;
  } finally {
    await target?.abandon();
  }
}
