import assert from 'node:assert/strict';
import { test } from 'node:test';
import { idsIn, report, rowsOf } from './requirements.ts';

// Put together here, so that these examples are not taken for titles of this file.
const title = (words: string, ...numbers: string[]): string =>
  `${words} [${numbers.map((number) => `URS-${number}`).join(', ')}]`;

test('ids stand in brackets at the end of a title', () => {
  assert.deepEqual(idsIn(title('a flipped bit', '033', '047')), ['URS-033', 'URS-047']);
  assert.deepEqual(idsIn('about URS-033 [and more]'), []);
});

test('an id that was written after the last run has not run', () => {
  const file = 'e2e/a.test.ts';
  const text = `test('${title('old', '001')}'); test('${title('new', '002')}');`;
  const kept = [{ title: title('old', '001'), status: 'failed' as const }];
  assert.deepEqual(rowsOf(file, text, kept), [
    { requirement: 'URS-001', file, title: title('old', '001'), status: 'failed' },
    { requirement: 'URS-002', file, title: '', status: 'not run' },
  ]);
});

test('the report goes by requirement and lists apart what no test names', () => {
  const row = (requirement: string, status: 'passed' | 'failed') => ({
    requirement,
    file: 'e2e/a.test.ts',
    title: 'x',
    status,
  });
  const lines = report(
    [row('URS-002', 'passed'), row('URS-001', 'failed')],
    ['URS-003', 'URS-002', 'URS-003'],
  );
  assert.deepEqual(lines.split('\n'), [
    'URS-001',
    '  failed  e2e/a.test.ts: x',
    'URS-002',
    '  passed  e2e/a.test.ts: x',
    '',
    'Served by an operation of the contract, named by no test:',
    '  URS-003',
  ]);
});
