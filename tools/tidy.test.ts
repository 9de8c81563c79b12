import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkCalls } from './tidy/calls.ts';
import { checkChange } from './tidy/changes.ts';
import { checkDeadFiles, checkDeclared, checkRelativeImports, checkSlices } from './tidy/imports.ts';
import { checkKeyLiterals } from './tidy/key-literals.ts';
import { checkLockFile } from './tidy/lockfile.ts';
import { checkName, checkSize } from './tidy/size.ts';
import type { Finding } from './tidy/source.ts';
import { readRepository } from './tidy/source.ts';
import { checkText } from './tidy/text.ts';

const sources = await readRepository(process.cwd());

/** Fails with each finding on a line of its own. */
function assertNone(findings: readonly Finding[]): void {
  const lines = findings.map(({ path, line, message }) => `${path}:${line ?? 1} ${message}`);
  if (lines.length > 0) assert.fail(`\n${lines.join('\n')}\n`);
}

test('there are sources to look at', () => {
  for (const path of ['package.json', 'tools/tidy.test.ts', 'packages/crypto/src/index.ts']) {
    assert.ok(
      sources.some((source) => source.path === path),
      path,
    );
  }
});

test('no call that is kept for one place, or is unsafe', () => assertNone(sources.flatMap(checkCalls)));
test('no file and no function holds two ideas', () => assertNone(sources.flatMap(checkSize)));
test('every name says something', () => assertNone(sources.flatMap(checkName)));
test('nothing unfinished, invisible or bound to one machine', () => assertNone(sources.flatMap(checkText)));
test('no key in code or configuration [URS-011]', () => assertNone(sources.flatMap(checkKeyLiterals)));
test('the lock file is bound to no host and runs nothing', () => assertNone(sources.flatMap(checkLockFile)));
test('every change file can be read', () => assertNone(sources.flatMap(checkChange)));
test('relative imports stay in their package', () => assertNone(checkRelativeImports(sources)));
test('slices are entered through their index', () => assertNone(checkSlices(sources)));
test('packages declare what they import', () => assertNone(checkDeclared(sources)));
test('no dead file', () => assertNone(checkDeadFiles(sources)));
