import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OperationError } from '../platform/errors.ts';
import type { Recorded } from '../platform/implementation.ts';
import { recordContext } from './context.ts';

const study = '580f2d38-5c3d-4774-ae89-db60d26a98e0';
const subject = '00112233445566778899aabbccddeeff';

test('the names that Trialkeep knows go on the record, and no others [URS-032]', () => {
  const record: Recorded = {};
  recordContext({ study, subject, class: 'ecg', purpose: 'review', visit: '3', constructor: 'x' }, record);
  assert.deepEqual(record, { study, subject, class: 'ecg', purpose: 'review' });
});

test('a context that could be taken for something else is refused, with the name that is wrong [URS-043]', () => {
  const refused: [Record<string, string>, string][] = [
    [{ study: study.toUpperCase() }, '/context/study'],
    [{ study: `${study}\n` }, '/context/study'],
    [{ study, subject: 'S-001' }, '/context/subject'],
    [{ subject }, '/context/subject'],
    [{ class: 'Two Words' }, '/context/class'],
    [{ purpose: '' }, '/context/purpose'],
    [{ 'trialkeep:entry': 'x' }, '/context/trialkeep:entry'],
    [Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`n${i}`, 'é'.repeat(512)])), '/context'],
  ];
  for (const [context, field] of refused) {
    assert.throws(
      () => recordContext(context, {}),
      (error) => error instanceof OperationError && error.code === 'context.invalid' && error.field === field,
      JSON.stringify(context).slice(0, 80),
    );
  }
});
