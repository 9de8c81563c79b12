import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { StandInServer, inFolder, nameOf, newUse } from './fixture.test.ts';
import type { Fault } from './fixture.test.ts';
import { openReporter } from './reporter.ts';
import type { Reporter } from './reporter.ts';

/** What can happen between a use and its entry in the ledger. */
type Event =
  | { readonly type: 'record'; readonly count: number }
  | { readonly type: 'send'; readonly faults: readonly Fault[] }
  | { readonly type: 'repeat'; readonly batch: number }
  | { readonly type: 'restart' }
  | { readonly type: 'lose a file' };

const event: fc.Arbitrary<Event> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ type: fc.constant('record' as const), count: fc.constantFrom(1, 3, 400, 700) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('send' as const),
      faults: fc.array(fc.constantFrom<Fault>('request lost', 'answer lost'), { maxLength: 2 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('repeat' as const), batch: fc.nat() }) },
  { weight: 2, arbitrary: fc.constant({ type: 'restart' } as const) },
  { weight: 1, arbitrary: fc.constant({ type: 'lose a file' } as const) },
);

/** One reporter through all that happens to it. */
class Story {
  readonly client = new StandInServer();
  readonly recorded: string[] = [];
  readonly #folder: string;
  #reporter: Reporter | undefined;

  constructor(folder: string) {
    this.#folder = folder;
  }

  async #open(): Promise<Reporter> {
    this.#reporter ??= await openReporter({
      folder: this.#folder,
      client: this.client,
      intervalMs: 3_600_000,
    });
    return this.#reporter;
  }

  async happen(event: Event): Promise<void> {
    const reporter = await this.#open();
    switch (event.type) {
      case 'record': {
        const uses = Array.from({ length: event.count }, () => newUse());
        await Promise.all(uses.map((use) => reporter.record(use)));
        this.recorded.push(...uses.map(nameOf));
        return;
      }
      case 'send':
        this.client.faults.push(...event.faults);
        await reporter.flush().catch(() => undefined);
        this.client.faults.length = 0;
        return;
      case 'repeat': {
        // A request that the network delivers again, however late.
        const { batches } = this.client;
        const again = batches[event.batch % Math.max(1, batches.length)];
        if (again !== undefined) this.client.take(again);
        return;
      }
      case 'restart':
        return this.#restart();
      case 'lose a file':
        return this.#loseFile();
    }
  }

  async #restart(): Promise<void> {
    this.client.away = true;
    await this.#reporter?.close();
    this.client.away = false;
    this.#reporter = undefined;
  }

  /** Not the newest: without that nobody knows how far the chain had come. */
  async #loseFile(): Promise<void> {
    await this.#restart();
    const names = (await readdir(this.#folder)).filter((name) => name.startsWith('receipts-')).sort();
    if (names.length > 1 && names[0] !== undefined) await rm(join(this.#folder, names[0]));
  }

  async end(): Promise<void> {
    const reporter = await this.#open();
    await reporter.flush();
    assert.equal(reporter.unsent, 0);
    await reporter.close();
  }
}

test('whatever is lost, repeated or restarted, each receipt is in the ledger once or in a visible gap [URS-038] [URS-033]', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(event, { maxLength: 14 }), async (events) => {
      await inFolder(async (folder) => {
        const story = new Story(folder);
        for (const each of events) await story.happen(each);
        await story.end();
        const { entries, gaps } = story.client;
        const missing = new Set(
          gaps.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, i) => from + i)),
        );
        const bySequence = new Map(entries.map(({ sequence, dataKey }) => [sequence, dataKey]));
        assert.equal(bySequence.size, entries.length, 'no sequence twice');
        for (const [i, dataKey] of story.recorded.entries()) {
          const found = bySequence.get(i + 1);
          assert.equal(found ?? dataKey, dataKey);
          assert.notEqual(found === undefined, !missing.has(i + 1), `receipt ${i + 1}`);
        }
        assert.equal(bySequence.size + missing.size, story.recorded.length);
        if (!events.some(({ type }) => type === 'lose a file')) assert.deepEqual(gaps, []);
      });
    }),
    { numRuns: 30 },
  );
});
