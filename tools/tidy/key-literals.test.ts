import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { checkKeyLiterals } from './key-literals.ts';

function found(text: string, path = 'packages/server/src/platform/config.ts'): number {
  return checkKeyLiterals({ path, text }).length;
}

const example = createHash('sha256').update('an example').digest();
const pem = `-----BEGIN PRIVATE KEY-----\n${example.toString('base64')}\n-----END PRIVATE KEY-----`;
const awsAccessKey = `AKIA${'ABCDEFGH'.repeat(2)}`;

test('keys in code, configuration and container files are found [URS-011]', () => {
  for (const encoding of ['hex', 'base64', 'base64url'] as const) {
    const key = example.toString(encoding);
    assert.equal(found(`const key = '${key}';`), 1, encoding);
    assert.equal(found(`ENV TRIALKEEP_KEY=${key}\n`, 'Dockerfile'), 1, encoding);
    assert.equal(found(`key: ${key}\n`, 'deploy/config.yaml'), 1, encoding);
  }
  assert.equal(found(`"${example.toString('hex').toUpperCase()}"`), 1);
  assert.equal(found(`bearer tk_${createHash('sha512').update('x').digest('base64url')}`), 1);
});

test('private keys and access keys are found in documents too [URS-011]', () => {
  for (const path of ['docs/page.md', 'compose.yaml', 'packages/cli/src/a.ts']) {
    assert.ok(found(pem, path) >= 1, path);
    assert.equal(found(`aws: ${awsAccessKey}`, path), 1, path);
  }
});

test('a thousand random keys of 32 bytes are found [URS-011]', () => {
  for (let i = 0; i < 1000; i++) {
    const key = createHash('sha256').update(String(i)).digest();
    assert.equal(found(`'${key.toString('hex')}'`), 1, key.toString('hex'));
    assert.equal(found(`'${key.toString('base64')}'`), 1, key.toString('base64'));
  }
});

test('what only looks long is left alone', () => {
  const harmless = [
    "const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'",
    `'${'0'.repeat(64)}'`,
    "import { x } from '../../packages/server/src/platform/sqlite/connections-of-the-server.ts'",
    'const aVeryLongIdentifierThatSaysWhatItHoldsAndInWhichUnit2 = 1',
    `image: node@sha256:${example.toString('hex')}`,
    `integrity="sha256-${example.toString('base64')}"`,
    '/^-----BEGIN PRIVATE KEY-----$/',
    'a'.repeat(20) + 'B0',
  ];
  for (const text of harmless) assert.equal(found(text), 0, text);
});

test('tests, vectors and the lock file may hold example keys', () => {
  for (const path of ['packages/crypto/src/a.test.ts', 'e2e/a.ts', 'vectors/a.json', 'package-lock.json']) {
    assert.equal(found(`"${example.toString('hex')}"`, path), 0, path);
  }
});
