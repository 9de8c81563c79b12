import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TrialkeepError } from '@trialkeep/sdk/client';
import fc from 'fast-check';
import { CliError } from './errors.ts';
import { errorLines, humanBytes, isoTime, printable, printableName, reportable, table } from './output.ts';

test('text from elsewhere cannot steer a terminal or reorder a line', () => {
  assert.equal(
    printable('\u001b[2Jx\u009b1m\u202ey\u2066z\u2028\r'),
    '\uFFFD[2Jx\uFFFD1m\uFFFDy\uFFFDz\uFFFD\uFFFD',
  );
  assert.equal(printable('Ärztin – 研究\t(α)\n'), 'Ärztin – 研究\t(α)\n');
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.doesNotMatch(
        printable(text),
        /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/,
      );
    }),
  );
  assert.doesNotMatch(table(['a'], [['\u001b[31m']]), /\u001b/);
});

test('a table keeps its columns, and says when it is empty', () => {
  assert.equal(
    table(
      ['id', 'name'],
      [
        ['1', 'long'],
        [22, null],
      ],
    ),
    'id  name\n1   long\n22  -',
  );
  assert.equal(table(['id'], []), 'None.');
});

test('amounts and times are as people read them', () => {
  assert.deepEqual([0, 999, 1000, 15_000, 999_600, 1_500_000, 2e15].map(humanBytes), [
    '0 bytes',
    '999 bytes',
    '1.00 kB',
    '15.0 kB',
    '1000 kB',
    '1.50 MB',
    '2000 TB',
  ]);
  assert.deepEqual([isoTime(0), isoTime(null)], ['1970-01-01T00:00:00.000Z', null]);
});

test('an error shows where it happened, what to do, and the request to ask about', () => {
  const error = new TrialkeepError(
    'key.revoked',
    { message: 'It is over.', fix: 'Rest.' },
    { field: '/key', requestId: 'r1' },
  );
  assert.equal(
    errorLines(reportable(error)),
    'error: It is over. (/key, request r1) [key.revoked]\nfix: Rest.\n',
  );
  const file = new CliError('cli.input_unreadable', { path: '/x' });
  assert.match(
    errorLines(reportable(file)),
    /^error: \/x: The input cannot be read\. \[cli\.input_unreadable\]\nfix: /,
  );
  assert.deepEqual(Object.keys(reportable(file)), ['code', 'message', 'fix', 'path']);
  assert.equal(reportable(new TypeError('x is not a function')).code, 'cli.unexpected');
});

test('a name cannot pass for a line of its own', () => {
  assert.equal(printableName('a\nfix: b\tc'), 'a\uFFFDfix: b\uFFFDc');
  const lines = errorLines({ code: 'c', message: 'm', fix: 'f', path: 'a\nfix: b' });
  assert.equal(lines, 'error: a\uFFFDfix: b: m [c]\nfix: f\n');
});
