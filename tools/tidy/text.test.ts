import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkText } from './text.ts';

function lines(text: string, path = 'docs/page.md'): (number | undefined)[] {
  return checkText({ path, text }).map((finding) => finding.line);
}

// The examples are put together here so that this file does not breach the rules itself.
const join = (...parts: string[]): string => parts.join('');

test('nothing is left to be done', () => {
  assert.deepEqual(lines(join('a\n// TO', 'DO later\nFIX', 'ME')), [2, 3]);
  assert.deepEqual(lines('mktemp -d trialkeep.XXXXXX'), []);
});

test('no character is invisible', () => {
  for (const invisible of ['\u00ad', '\u200b', '\u202e', '\u2066', '\ufeff', '\u00a0', '\u2028', '\ufe0f']) {
    assert.deepEqual(lines(`one\ntwo${invisible}`), [2], invisible.codePointAt(0)?.toString(16));
  }
  assert.deepEqual(lines('plain, – · … ✔ µ Größe\ttab\r\n'), []);
});

test('no path of one machine', () => {
  for (const folder of ['work', 'root', 'tmp', 'home', 'Users']) {
    assert.deepEqual(lines(join('see "/', folder, '/x"')), [1], folder);
  }
  assert.deepEqual(lines('docs/work/a, /v1/logs/root/7, ~/tmp/x, $TMP/work/, ./tmp/a'), []);
});

test('no package registry by host', () => {
  assert.deepEqual(lines(join('https://registry.', 'npmjs.org/x and deb.', 'debian.org')), [1, 1]);
  assert.deepEqual(lines('the npm registry; www.apache.org; npm registry.example.org'), []);
});

test('vectors and the lock file are left alone', () => {
  const text = join('/wor', 'k/');
  assert.deepEqual(lines(text, 'vectors/a.json'), []);
  assert.deepEqual(lines(text, 'package-lock.json'), []);
});
