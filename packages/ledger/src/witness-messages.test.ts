import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { sha256 } from './fixture.test.ts';
import {
  addSignatures,
  formatAddCheckpoint,
  formatSignatures,
  formatSignSubtree,
  formatSize,
  LedgerError,
  maxNoteBytes,
  maxWitnessRequestBytes,
  parseAddCheckpoint,
  parseNote,
  parseSignatures,
  parseSignSubtree,
  parseSize,
  verifySubtree,
} from './index.ts';
import { bytesOf, fromHex, hex, vectorsOf } from './witnessing.fixture.test.ts';
import { parseCheckpoint } from './checkpoint.ts';

const malformed = { code: 'ledger.message_malformed' };

test('vectors: add-checkpoint is read and written again [URS-033]', () => {
  for (const { body, oldSize, proof } of vectorsOf('addCheckpoint')) {
    const message = parseAddCheckpoint(fromHex(body));
    assert.deepEqual([message.oldSize, message.proof.map(hex)], [oldSize, proof]);
    assert.equal(parseNote(message.checkpoint).text.split('\n')[0], 'vectors.example/log');
    assert.equal(hex(formatAddCheckpoint(message)), body);
  }
  for (const { why, body } of vectorsOf('badAddCheckpoint')) {
    assert.throws(() => parseAddCheckpoint(fromHex(body)), malformed, why);
  }
});

test('vectors: sign-subtree is read and written again, and its proof holds [URS-033]', () => {
  for (const { body, start, end, root, proof, size } of vectorsOf('signSubtree')) {
    const message = parseSignSubtree(fromHex(body));
    assert.deepEqual(message.subtree, { start, end });
    assert.deepEqual([hex(message.root), message.proof.map(hex)], [root, proof]);
    assert.equal(hex(formatSignSubtree(message)), body);
    const checkpoint = parseCheckpoint(parseNote(message.checkpoint).text);
    assert.equal(checkpoint.size, size);
    const claim = { subtree: message.subtree, subtreeRoot: message.root, proof: message.proof };
    verifySubtree(sha256, { ...claim, size, root: checkpoint.root });
  }
  for (const { why, body } of vectorsOf('badSignSubtree')) {
    assert.throws(() => parseSignSubtree(fromHex(body)), malformed, why);
  }
});

test('the size in an answer is a number in decimal and a newline, and nothing else [URS-033]', () => {
  for (const size of [0, 1, 300, Number.MAX_SAFE_INTEGER]) assert.equal(parseSize(formatSize(size)), size);
  for (const text of [
    '',
    '\n',
    '1',
    '1\n\n',
    '01\n',
    '1\r\n',
    ' 1\n',
    '+1\n',
    '9007199254740992\n',
    `${'1'.repeat(5000)}\n`,
  ]) {
    assert.throws(() => parseSize(bytesOf(text)), malformed, JSON.stringify(text));
  }
  assert.throws(() => formatSize(-1), { code: 'ledger.log_size' });
});

test('messages have bounded lengths [URS-033]', () => {
  const checkpoint = new Uint8Array(maxNoteBytes);
  const proof = Array.from({ length: 63 }, () => new Uint8Array(32));
  const message = { oldSize: Number.MAX_SAFE_INTEGER, proof, checkpoint };
  const body = formatAddCheckpoint(message);
  assert.ok(body.length <= maxWitnessRequestBytes);
  assert.equal(parseAddCheckpoint(body).checkpoint.length, maxNoteBytes);
  assert.throws(() => parseAddCheckpoint(Buffer.concat([body, Uint8Array.of(0)])), malformed);
  assert.throws(
    () => formatAddCheckpoint({ ...message, checkpoint: new Uint8Array(maxNoteBytes + 1) }),
    malformed,
  );
  assert.throws(() => formatAddCheckpoint({ ...message, proof: [...proof, ...proof] }), malformed);
  assert.throws(() => formatAddCheckpoint({ ...message, oldSize: -1 }), { code: 'ledger.log_size' });
  const root = new Uint8Array(32);
  assert.throws(
    () => formatSignSubtree({ subtree: { start: 1, end: 3 }, root, proof, checkpoint }),
    malformed,
  );
});

test('what is sent is read again; other bytes are refused and nothing else [URS-033]', () => {
  const hash = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const messages = fc.record({
    oldSize: fc.maxSafeNat(),
    proof: fc.array(hash, { maxLength: 63 }),
    checkpoint: fc.uint8Array({ maxLength: 50 }),
  });
  fc.assert(
    fc.property(messages, fc.nat(), fc.nat(255), (message, at, octet) => {
      const body = formatAddCheckpoint(message);
      assert.deepEqual(formatAddCheckpoint(parseAddCheckpoint(body)), body);
      body[at % body.length] = octet;
      try {
        assert.deepEqual(formatAddCheckpoint(parseAddCheckpoint(body)), body);
      } catch (error) {
        assert.ok(error instanceof LedgerError && error.code === 'ledger.message_malformed');
      }
    }),
    { numRuns: 200 },
  );
});

const one = { name: 'w.example', keyId: 0xfffffffe, signature: Uint8Array.of(1, 2, 3) };
const two = { name: 'w.example', keyId: 1, signature: Uint8Array.of(9) };

test('signature lines of a witness are read strictly [URS-033]', () => {
  assert.deepEqual(parseSignatures(formatSignatures([one, two])), [one, two]);
  const line = new TextDecoder().decode(formatSignatures([one]));
  for (const text of [
    '',
    '\n',
    line.slice(0, -1),
    `${line}\n`,
    line.replace('—', '-'),
    `${line.trim()}\r\n`,
    ` ${line}`,
    line.replace('w.example', 'w+example'),
  ]) {
    assert.throws(
      () => parseSignatures(bytesOf(text)),
      { code: 'ledger.note_malformed' },
      JSON.stringify(text),
    );
  }
  assert.throws(() => parseSignatures(bytesOf(line.repeat(65))), { code: 'ledger.note_size' });
  assert.throws(() => parseSignatures(new Uint8Array(maxNoteBytes + 1)), { code: 'ledger.note_size' });
});

test('signatures are put under a note once each, and the note stays as it was [URS-033]', () => {
  const note = Buffer.concat([bytesOf('text\n\n'), formatSignatures([one])]);
  const more = addSignatures(note, [two, one]);
  assert.deepEqual(more.subarray(0, note.length), new Uint8Array(note));
  assert.deepEqual(parseNote(more).signatures, [one, two]);
  assert.deepEqual(addSignatures(more, [one, two]), more);
  assert.throws(() => addSignatures(bytesOf('no note'), [one]), { code: 'ledger.note_malformed' });
  const many = Array.from({ length: 64 }, (_, keyId) => ({ ...two, keyId }));
  assert.throws(() => addSignatures(note, many), { code: 'ledger.note_size' });
});
