import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { errorTables } from './docs/errors.ts';
import { load, table } from './docs/page.ts';

test('the generated pages are up to date', async () => {
  await promisify(execFile)(process.execPath, ['tools/docs.ts', '--check']);
});

test('docs/errors.md lists every error code, each of them once', async () => {
  const page = readFileSync('docs/errors.md', 'utf8');
  const tables = await errorTables();
  const codes = tables.flatMap(({ texts }) => Object.keys(texts));
  assert.ok(codes.length > 0);
  for (const code of codes) {
    assert.equal(page.split(`| \`${code}\` `).length - 1, 1, `${code} stands in docs/errors.md once`);
  }
});

test('every error says what is wrong and what to do', async () => {
  for (const { texts } of await errorTables()) {
    for (const [code, { message, fix }] of Object.entries(texts)) {
      assert.match(code, /^[a-z_]+\.[a-z_]+$/);
      assert.ok(message.length > 0 && /[.!]$/.test(fix), code);
    }
  }
});

test('a page whose code is missing says what is missing', async () => {
  await assert.rejects(
    load('packages/nowhere/src/errors.ts', 'errors'),
    /packages\/nowhere\/src\/errors\.ts is missing/,
  );
  await assert.rejects(load('tools/docs/page.ts', 'nothing'), /does not export nothing/);
});

test('a table keeps its cells apart', () => {
  assert.equal(table(['a'], [['x|y\nz']]), '| a |\n| --- |\n| x\\|y z |');
});
