import type { Caller, Input, Operations } from '@trialkeep/sdk/client';
import { pagesOf, TrialkeepError } from '@trialkeep/sdk/client';
import { writeOut } from './io.ts';
import type { Io } from './io.ts';
import { isoTime, printable } from './output.ts';
import type { OutputOptions } from './output.ts';

type Query = Input<Operations['ledger.query']>;

export interface EntriesOptions extends OutputOptions, Omit<Query, 'cursor' | 'limit'> {
  readonly profile?: string;
  readonly limit?: number;
  readonly payload?: true;
}

/** An entry as it is shown. */
interface ShownEntry {
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
  const { profile: _profile, json, payload, limit = Number.MAX_SAFE_INTEGER, ...filter } = options;
  let size: number | undefined;
  let count = 0;
  const pages = pagesOf((at) =>
    client.call('ledger.query', { ...filter, limit: Math.min(pageEntries, limit - count), ...at }),
  );
  for await (const page of pages) {
    const bound = (size ??= page.size);
    const entries = page.entries.filter(({ index }) => index < bound);
    for (const { index, entry } of entries) {
      const shown = await readEntry(client, index, entry, payload === true);
      if (json !== true) await writeOut(io, entryLine(shown));
      else await writeOut(io, `${count === 0 ? '{"entries":[' : ','}${JSON.stringify(shown)}`);
      count += 1;
    }
    if (entries.length < page.entries.length || count >= limit) break;
  }
  if (json === true) await writeOut(io, `${count === 0 ? '{"entries":[' : ''}],"size":${size}}\n`);
  else await writeOut(io, `${count} entries; the answer is complete up to size ${size}.\n`);
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
    if (error instanceof TrialkeepError && error.code === 'payload.withheld') {
      return { index, entry, withheld: error.code };
    }
    throw error;
  }
}

/** What is shown in front, in this order; identifiers of the entry itself are left to --json. */
const front = ['time', 'outcome', 'operation'];
const leftOut = [...front, 'v', 'entry', 'commitment', 'payload'];

function entryLine({ index, entry, payload, withheld }: ShownEntry): string {
  const { time, outcome, operation } = entry;
  const when = typeof time === 'number' ? isoTime(time) : '-';
  const head = `${String(index).padStart(7)}  ${when}  ${String(outcome).padEnd(7)}  ${String(operation)}`;
  const more = Object.entries(entry)
    .filter(([name]) => !leftOut.includes(name))
    .map(([name, value]) => `  ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const below = withheld ?? (payload === undefined ? undefined : JSON.stringify(payload));
  return printable(`${head}${more.join('')}${below === undefined ? '' : `\n         payload: ${below}`}\n`);
}
