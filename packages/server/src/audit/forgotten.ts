import type { Database } from '../platform/database.ts';
import { parseEntry } from './entry.ts';
import type { Entry } from './entry.ts';
import { readEntries } from './store.ts';

/** Entries of which one says what became of something, or takes something away; told by bytes that canonical JSON always has. */
const telling = [
  '"state":"',
  '"approval":"',
  '"logKeys":',
  '"object":"',
  '"rotationPeriodDays":',
  '"operation":"uses.report"',
  '.create"',
].map((text) => Buffer.from(text));
const positionsPerRead = 5000;

/**
 * The entries of a log that say what became of something, in order: what the rows of a database that was put back are brought in line
 * with. Linear in the log, in memory in what it says.
 */
export async function tellingEntries(database: Database, log: number): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (let first = 0; ; first += positionsPerRead) {
    const bytes = await database.read((snapshot) => readEntries(snapshot, log, first, positionsPerRead));
    for (const each of bytes) {
      const buffer = Buffer.from(each.buffer, each.byteOffset, each.byteLength);
      if (telling.some((text) => buffer.includes(text))) entries.push(parseEntry(each));
    }
    if (bytes.length < positionsPerRead) return entries.filter(({ outcome }) => outcome !== 'requested');
  }
}
