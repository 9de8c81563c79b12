import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkName, checkSize } from './size.ts';
import { readSource } from './source.ts';

async function sizeFindings(path: string, text: string): Promise<number> {
  return checkSize(await readSource(path, text)).length;
}

const lines = (count: number): string => ';\n'.repeat(count);

test('a file is at most 400 lines long, a test 600', async () => {
  assert.equal(await sizeFindings('packages/sdk/src/a.ts', lines(400)), 0);
  assert.equal(await sizeFindings('packages/sdk/src/a.ts', lines(401)), 1);
  assert.equal(await sizeFindings('packages/sdk/src/a.test.ts', lines(600)), 0);
  assert.equal(await sizeFindings('e2e/a.ts', lines(601)), 1);
  assert.equal(await sizeFindings('docs/page.md', lines(2000)), 0);
});

test('a function is at most 70 lines long, of whatever kind', async () => {
  const body = (length: number): string => `{\n${lines(length - 2)}}`;
  const kinds = [
    (length: number) => `function f() ${body(length)}`,
    (length: number) => `const f = async () => ${body(length)};`,
    (length: number) => `const o = { f() ${body(length)} };`,
    (length: number) => `class C { #f() ${body(length)} }`,
  ];
  for (const make of kinds) {
    assert.equal(await sizeFindings('packages/sdk/src/a.ts', make(70)), 0, make(2));
    assert.equal(await sizeFindings('packages/sdk/src/a.ts', make(71)), 1, make(2));
  }
});

test('a group of tests may be longer, a test in it may not', async () => {
  const group = (test: string): string => `describe('all', () => {\n${lines(70)}${test}\n});`;
  assert.equal(await sizeFindings('e2e/a.test.ts', group('')), 0);
  assert.equal(await sizeFindings('e2e/a.test.ts', group(`test('one', () => {${lines(71)}});`)), 1);
});

test('a file is named after what it holds', () => {
  const bad = ['packages/sdk/src/utils.ts', 'tools/helpers/a.ts', 'e2e/misc.test.ts', 'bench/string-util.ts'];
  for (const path of bad) assert.equal(checkName({ path, text: '' }).length, 1, path);
  assert.deepEqual(checkName({ path: 'packages/sdk/src/miscoded-input.ts', text: '' }), []);
});
