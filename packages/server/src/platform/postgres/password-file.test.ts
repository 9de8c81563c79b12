import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import type { DatabaseError } from '../database-error.ts';
import { parsePostgresUrl } from './location.ts';
import { readPassword } from './password-file.ts';

const location = parsePostgresUrl('postgresql://app@localhost:6000/keep', 'TRIALKEEP_DATABASE');

function withFile(t: TestContext, text: string): { file: string; env: Record<string, string> } {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-password-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'passwords');
  writeFileSync(file, text, { mode: 0o600 });
  return { file, env: { PGPASSFILE: file } };
}

test('the first line of a password file that fits gives the password', (t) => {
  const lines = [
    '# localhost:6000:keep:app:comment',
    'localhost:6000:keep:app',
    'elsewhere:6000:keep:app:other host',
    'localhost:5432:keep:app:other port',
    'localhost:*:keep:app:the:one\\\\',
    '*:*:*:*:last',
  ];
  const { env } = withFile(t, lines.join('\n'));
  assert.equal(readPassword(location, env), 'the:one\\');
  assert.equal(readPassword({ ...location, host: '/run/postgresql' }, env), 'the:one\\');
  assert.equal(readPassword({ ...location, user: 'other' }, env), 'last');
});

test('names in a password file may hold colons, and a star stands for itself behind a backslash', (t) => {
  const { env } = withFile(t, '\\:\\:1:6000:k\\:p:\\*:secret\r\n');
  assert.equal(readPassword({ ...location, host: '::1', database: 'k:p', user: '*' }, env), 'secret');
  assert.equal(readPassword(location, env), undefined);
});

test('a password file that others can read, or that is not there, is refused', (t) => {
  const { file, env } = withFile(t, '*:*:*:*:canary');
  for (const mode of [0o640, 0o604]) {
    chmodSync(file, mode);
    assert.throws(
      () => readPassword(location, env),
      (error: DatabaseError) => error.code === '28000' && !error.message.includes('canary'),
    );
  }
  assert.throws(() => readPassword(location, { PGPASSFILE: `${file}.absent` }), /is not there/);
});
