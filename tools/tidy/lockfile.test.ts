import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkLockFile } from './lockfile.ts';

function messages(packages: Record<string, object>): string[] {
  const text = JSON.stringify({ packages });
  return checkLockFile({ path: 'package-lock.json', text }).map((finding) => finding.message);
}

const integrity = 'sha512-x';

test('the lock file names no host and misses no hash', () => {
  assert.deepEqual(
    messages({
      '': { name: 'trialkeep' },
      'packages/sdk': { version: '0.1.0' },
      'node_modules/@trialkeep/sdk': { resolved: 'packages/sdk', link: true },
      'node_modules/fastify': { integrity },
    }),
    [],
  );
  assert.match(
    messages({ 'node_modules/a': { integrity, resolved: 'https://example/a.tgz' } }).join(),
    /registry/,
  );
  assert.match(messages({ 'node_modules/a/node_modules/b': {} }).join(), /integrity/);
});

test('nothing runs a script when it is installed', () => {
  assert.match(messages({ 'node_modules/a': { integrity, hasInstallScript: true } }).join(), /runs a script/);
});

test('optional packages of other platforms are listed, with or without a hash', () => {
  const parent = { integrity, optionalDependencies: { 'a-win32': '1.0.0' } };
  assert.match(messages({ 'node_modules/a': parent }).join(), /misses its optional a-win32@1\.0\.0/);
  for (const foreign of [{ os: ['win32'] }, { cpu: ['s390x'] }, { libc: ['musl'] }]) {
    assert.deepEqual(messages({ 'node_modules/a': parent, 'node_modules/a-win32': foreign }), []);
  }
  const own = { os: ['linux'], cpu: ['arm64'], libc: ['glibc'] };
  assert.match(messages({ 'node_modules/a': parent, 'node_modules/a-win32': own }).join(), /integrity/);
});
