import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TrialkeepError } from '../errors.ts';
import { pagesOf } from './pages.ts';

interface Page {
  readonly next: string | null;
}

/** The cursors that were asked for, of a list whose pages name these next ones. */
async function askedFor(nexts: Readonly<Record<string, Page | object>>): Promise<(string | undefined)[]> {
  const asked: (string | undefined)[] = [];
  const pages = pagesOf(async ({ cursor }) => {
    asked.push(cursor);
    return nexts[cursor ?? 'first'] as Page;
  });
  let used = 0;
  for await (const page of pages) {
    used += 1;
    assert.equal(page, nexts[asked.at(-1) ?? 'first']);
    assert.equal(asked.length, used, 'The next page is not asked for before this one is used.');
  }
  return asked;
}

test('a list ends at the page that names no next one, whether by null or by nothing', async () => {
  assert.deepEqual(await askedFor({ first: { next: null } }), [undefined]);
  assert.deepEqual(await askedFor({ first: { next: 'a' }, a: { next: 'b' }, b: { next: null } }), [
    undefined,
    'a',
    'b',
  ]);
  assert.deepEqual(await askedFor({ first: { next: 'a' }, a: {} }), [undefined, 'a']);
});

test('pages that go round end with an error', async () => {
  const round = { first: { next: 'a' }, a: { next: 'b' }, b: { next: 'a' } };
  await assert.rejects(askedFor(round), (error) => {
    assert.ok(error instanceof TrialkeepError);
    assert.equal(error.code, 'client.bad_answer');
    return true;
  });
});
