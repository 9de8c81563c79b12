import type { Caller } from '@trialkeep/sdk/client';
import { pagesOf, TrialkeepError } from '@trialkeep/sdk/client';
import { entryWriter, parseEntry } from '@trialkeep/sdk/entries';
import type { EntryFormat } from '@trialkeep/sdk/entries';
import { questionOf } from './conditions.ts';
import type { ConditionOptions } from './conditions.ts';
import { withOutput } from './entry-output.ts';
import type { EntryOutputOptions } from './entry-output.ts';
import type { Io } from './io.ts';
import { isoTime, printable, say } from './output.ts';
import type { OutputOptions } from './output.ts';

export interface EntriesOptions extends OutputOptions, ConditionOptions, EntryOutputOptions {
  readonly profile?: string;
  readonly limit?: number;
  readonly payload?: true;
}

/** An entry as it is shown. */
export interface ShownEntry {
  readonly index: number;
  /** The entry's canonical JSON, parsed. */
  readonly entry: Readonly<Record<string, unknown>>;
  /** Its payload, where payloads are asked for; or the code of the reason why there is none. */
  readonly payload?: unknown;
  readonly withheld?: string;
}

const pageEntries = 1000;

/**
 * Prints the entries that the options ask for, page by page, so that memory does not grow with the ledger. The answer ends at the
 * size that the ledger had at the first page: the questions are entries themselves.
 */
export async function printEntries(io: Io, client: Caller, options: EntriesOptions): Promise<void> {
  if (options.format !== undefined) return writeEntries(io, client, options, options.format);
  const { json, payload } = options;
  await withOutput(io, options, async (write) => {
    let count = 0;
    let size = 0;
    for await (const found of entriesOf(client, options)) {
      ({ size } = found);
      if (found.entry === undefined) continue;
      const shown = await readEntry(client, found.index, found.entry, payload === true);
      if (json !== true) await write(entryLine(shown));
      else await write(`${count === 0 ? '{"entries":[' : ','}${JSON.stringify(shown)}`);
      count += 1;
    }
    if (json === true) await write(`${count === 0 ? '{"entries":[' : ''}],"size":${size}}\n`);
    else await write(`${count} entries; the answer is complete up to size ${size}.\n`);
  });
}

/** The same entries in the form of another tool; how many, and up to where, is said beside it. */
async function writeEntries(
  io: Io,
  client: Caller,
  options: EntriesOptions,
  format: EntryFormat,
): Promise<void> {
  const origin = await originOf(client);
  const { head, line } = entryWriter(format, origin);
  let count = 0;
  let size = 0;
  await withOutput(io, options, async (write) => {
    await write(head);
    for await (const found of entriesOf(client, options)) {
      ({ size } = found);
      if (found.entry === undefined) continue;
      await write(line(parseEntry(found.index, found.entry)));
      count += 1;
    }
  });
  say(io, options, `${count} entries of ${origin}, complete up to size ${size}.`);
}

/** The log's name: that of its keys. */
async function originOf(client: Caller): Promise<string> {
  const [line = ''] = (await client.call('ledger.verifier-key', {})).split('\n');
  return line.slice(0, Math.max(0, line.indexOf('+')));
}

/** Each entry with the size that the answer is complete up to; behind them, or where there is none, the size alone. */
async function* entriesOf(
  client: Caller,
  options: EntriesOptions,
): AsyncGenerator<{ index: number; entry?: string; size: number }, void, undefined> {
  const { limit = Number.MAX_SAFE_INTEGER } = options;
  const question = questionOf(options);
  let size: number | undefined;
  let count = 0;
  // Every page of an answer is asked for with the same conditions; the last may be cut.
  const pages = pagesOf((at) =>
    client.call('ledger.query', { ...question, limit: Math.min(pageEntries, limit - count), ...at }),
  );
  for await (const page of pages) {
    const bound = (size ??= page.size);
    const entries = page.entries.filter(({ index }) => index < bound);
    for (const { index, entry } of entries) yield { index, entry, size: bound };
    count += entries.length;
    if (entries.length < page.entries.length || count >= limit) break;
  }
  yield { index: 0, size: size ?? 0 };
}

async function readEntry(
  client: Caller,
  index: number,
  text: string,
  withPayload: boolean,
): Promise<ShownEntry> {
  const entry = JSON.parse(text) as Readonly<Record<string, unknown>>;
  if (!withPayload || typeof entry['entry'] !== 'string') return { index, entry };
  try {
    const { payload } = await client.call('ledger.payload', { entry: entry['entry'] });
    return { index, entry, payload };
  } catch (error) {
    if (error instanceof TrialkeepError && /^payload\.(?:withheld|erased|redacted)$/.test(error.code)) {
      return { index, entry, withheld: error.code };
    }
    throw error;
  }
}

/** What is shown in front, in this order; identifiers of the entry itself are left to --json. */
const front = ['time', 'outcome', 'operation'];
const leftOut = [...front, 'v', 'entry', 'commitment', 'payload'];

export function entryLine({ index, entry, payload, withheld }: ShownEntry): string {
  const { time, outcome, operation } = entry;
  const when = typeof time === 'number' ? isoTime(time) : '-';
  const head = `${String(index).padStart(7)}  ${when}  ${String(outcome).padEnd(7)}  ${String(operation)}`;
  const more = Object.entries(entry)
    .filter(([name]) => !leftOut.includes(name))
    .map(([name, value]) => `  ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const below = withheld ?? (payload === undefined ? undefined : JSON.stringify(payload));
  return printable(`${head}${more.join('')}${below === undefined ? '' : `\n         payload: ${below}`}\n`);
}
