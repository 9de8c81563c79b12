import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { test } from 'node:test';
import { TrialkeepError } from '@trialkeep/sdk/client';
import type { Caller } from '@trialkeep/sdk/client';
import type { Io } from './io.ts';
import { printEntries } from './ledger-entries.ts';
import type { EntriesOptions } from './ledger-entries.ts';

// The network and the server are replaced by a ledger in memory that grows by an entry with every question, as a real one does.

function growingLedger(size: number): Caller & { questions: number } {
  const ledger = {
    questions: 0,
    call: async (id: string, input: { limit: number; cursor?: string; entry: string }) => {
      ledger.questions += 1;
      if (id === 'ledger.payload') {
        if (input.entry.endsWith('1')) {
          throw new TrialkeepError('payload.withheld', { message: 'Gone.', fix: 'Report it.' });
        }
        return { index: 0, payload: { input: { note: input.entry } }, commitment: '' };
      }
      const grown = size + ledger.questions;
      const first = input.cursor === undefined ? 0 : Number(input.cursor);
      const last = Math.min(first + input.limit, grown);
      const entries = Array.from({ length: last - first }, (_, offset) => ({
        index: first + offset,
        entry: JSON.stringify({
          entry: `e${first + offset}`,
          operation: 'keys.decrypt',
          outcome: 'success',
          time: 0,
        }),
      }));
      return Promise.resolve({ entries, next: last < grown ? String(last) : null, size: grown });
    },
  };
  return ledger as unknown as Caller & { questions: number };
}

async function printed(client: Caller, options: EntriesOptions): Promise<string> {
  const stdout = new PassThrough();
  const io: Io = {
    stdin: Readable.from([]),
    stdout,
    stderr: new PassThrough(),
    env: {},
    signal: new AbortController().signal,
  };
  const text = stdout.toArray();
  await printEntries(io, client, options);
  stdout.end();
  return Buffer.concat(await text).toString();
}

interface Answer {
  readonly entries: { readonly index: number; readonly payload?: unknown; readonly withheld?: string }[];
  readonly size: number;
}

test('the answer ends where the ledger stood at the question, however long it takes [URS-038]', async () => {
  for (const size of [0, 1, 998, 999, 1000, 2500]) {
    const { entries, size: bound } = JSON.parse(await printed(growingLedger(size), { json: true })) as Answer;
    assert.equal(bound, size + 1);
    assert.deepEqual(
      entries.map(({ index }) => index),
      Array.from({ length: size + 1 }, (_, index) => index),
    );
  }
});

test('a limit ends it earlier, within a page or across pages', async () => {
  for (const limit of [1, 3, 1000, 1001, 2000]) {
    const { entries } = JSON.parse(await printed(growingLedger(5000), { json: true, limit })) as Answer;
    assert.equal(entries.length, limit);
  }
});

test('a payload that is missing is said to be withheld, and does not end the answer [URS-037]', async () => {
  const client = growingLedger(3);
  const { entries } = JSON.parse(await printed(client, { json: true, payload: true })) as Answer;
  assert.deepEqual(
    entries.map(({ withheld }) => withheld),
    [undefined, 'payload.withheld', undefined, undefined],
  );
  assert.deepEqual(entries[0]?.payload, { input: { note: 'e0' } });
  const text = await printed(growingLedger(2), { payload: true });
  assert.match(
    text,
    /^ {6}0  1970-01-01T00:00:00\.000Z  success  keys\.decrypt\n +payload: \{"input":\{"note":"e0"\}\}\n/,
  );
  assert.match(text, /\n +payload: payload\.withheld\n/);
  assert.match(text, /\n3 entries; the answer is complete up to size 3\.\n$/);
});
