import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { formatCheckpoint, LedgerError, parseCheckpoint, parseNote } from './index.ts';

/** The example of C2SP tlog-checkpoint. */
const exampleText = 'example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n';
const example = `${exampleText}
— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
`;
const root = 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=';

test('the example of the specification is read and written [URS-033]', () => {
  const { text, signatures } = parseNote(new TextEncoder().encode(example));
  assert.equal(signatures.length, 1);
  const checkpoint = parseCheckpoint(text);
  assert.equal(checkpoint.origin, 'example.com/behind-the-sofa');
  assert.equal(checkpoint.size, 20_852_163);
  assert.equal(Buffer.from(checkpoint.root).toString('base64'), root);
  assert.equal(formatCheckpoint(checkpoint), exampleText);
});

test('what is written is read [URS-033]', () => {
  const parts = fc.record(
    {
      origin: fc.string({ minLength: 1, unit: fc.constantFrom('a', '/', ' ', '+', 'é', '—') }),
      size: fc.maxSafeNat(),
      root: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(parts, (checkpoint) => {
      assert.deepEqual(parseCheckpoint(formatCheckpoint(checkpoint)), checkpoint);
    }),
  );
});

test('extension lines are read over, as the specification allows [URS-033]', () => {
  assert.equal(parseCheckpoint(`${exampleText}extension\nanother one\n`).size, 20_852_163);
});

test('checkpoints that are nearly right are refused [URS-033]', () => {
  const wrong: Record<string, string> = {
    empty: '',
    'two lines': 'origin\n0\n',
    'no last newline': exampleText.slice(0, -1),
    'no origin': exampleText.replace('example.com/behind-the-sofa', ''),
    'leading zero': exampleText.replace('20852163', '020852163'),
    'double zero': exampleText.replace('20852163', '00'),
    sign: exampleText.replace('20852163', '+20852163'),
    negative: exampleText.replace('20852163', '-1'),
    'no size': exampleText.replace('20852163', ''),
    space: exampleText.replace('20852163', ' 20852163'),
    hexadecimal: exampleText.replace('20852163', '0x10'),
    exponent: exampleText.replace('20852163', '1e3'),
    'Arabic digits': exampleText.replace('20852163', '١٢'),
    '2^53': exampleText.replace('20852163', '9007199254740992'),
    'far too many digits': exampleText.replace('20852163', '1'.repeat(400)),
    'carriage returns': exampleText.replaceAll('\n', '\r\n'),
    'a short root': exampleText.replace(root, 'CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxqw=='),
    'a long root': exampleText.replace(root, `${root.slice(0, -1)}AAAA=`),
    'stray bits': exampleText.replace('q2I=', 'q2J='),
    'no padding': exampleText.replace('q2I=', 'q2I'),
    'an empty extension line': `${exampleText}\n`,
    'an empty line between': `${exampleText}one\n\ntwo\n`,
  };
  for (const [what, text] of Object.entries(wrong)) {
    assert.throws(() => parseCheckpoint(text), { code: 'ledger.checkpoint_malformed' }, what);
  }
  assert.equal(parseCheckpoint(exampleText.replace('20852163', '0')).size, 0);
  assert.equal(
    parseCheckpoint(exampleText.replace('20852163', '9007199254740991')).size,
    Number.MAX_SAFE_INTEGER,
  );
});

test('noise gives a typed error and nothing else [URS-033]', () => {
  const unit = fc.constantFrom('\n', 'o', '0', '1', '9', root, '+', '=', '\r', ' ');
  fc.assert(
    fc.property(fc.string({ unit, maxLength: 9 }), (text) => {
      try {
        const checkpoint = parseCheckpoint(text);
        assert.ok(text.startsWith(formatCheckpoint(checkpoint)));
      } catch (error) {
        assert.ok(error instanceof LedgerError);
      }
    }),
    { numRuns: 1000 },
  );
});

test('nothing is written that would not be read [URS-033]', () => {
  const good = { origin: 'log.example', size: 1, root: new Uint8Array(32) };
  assert.throws(() => formatCheckpoint({ ...good, origin: '' }), { code: 'ledger.checkpoint_malformed' });
  assert.throws(() => formatCheckpoint({ ...good, origin: 'a\nb' }), { code: 'ledger.checkpoint_malformed' });
  assert.throws(() => formatCheckpoint({ ...good, origin: '\ud800' }), {
    code: 'ledger.checkpoint_malformed',
  });
  assert.throws(() => formatCheckpoint({ ...good, size: 2 ** 53 }), { code: 'ledger.log_size' });
  assert.throws(() => formatCheckpoint({ ...good, size: 0.5 }), { code: 'ledger.log_size' });
  assert.throws(() => formatCheckpoint({ ...good, root: new Uint8Array(31) }), { code: 'ledger.hash_size' });
});
