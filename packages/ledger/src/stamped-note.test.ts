import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stampedNote } from './stamped-note.ts';

const text = `example.com/log\n3\n${Buffer.alloc(32).toString('base64')}\n`;
const line = (name: string, byte: number): string =>
  `— ${name} ${Buffer.alloc(40, byte).toString('base64')}\n`;

test("what is stamped is the checkpoint under the log's own signatures alone [URS-035]", () => {
  const own = `${text}\n${line('example.com/log', 1)}${line('example.com/log', 2)}`;
  const cosigned = `${text}\n${line('example.com/log', 1)}${line('witness', 3)}${line('example.com/log', 2)}${line('example.com/logs', 4)}`;
  for (const note of [own, cosigned])
    assert.equal(Buffer.from(stampedNote(Buffer.from(note))).toString(), own);
  assert.throws(() => stampedNote(Buffer.from(`${text}\n${line('witness', 3)}`)), {
    code: 'ledger.note_unsigned',
  });
  assert.throws(() => stampedNote(Buffer.from(text)), { code: 'ledger.note_malformed' });
});
