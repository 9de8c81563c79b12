import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { ed25519PublicKey, ed25519Verifier, keyFrom, logKey, sha256 } from './fixture.test.ts';
import {
  formatVerifierKey,
  keyId,
  LedgerError,
  maxNoteBytes,
  openNote,
  parseNote,
  parseVerifierKey,
  signNote,
  type Verifier,
} from './index.ts';

const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text);
const asText = (note: Uint8Array): string => new TextDecoder().decode(note);

/** The example of C2SP signed-note. */
const exampleKey = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
const exampleSignature =
  '— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=';
const exampleText = 'This is an example message.\n';
const example = `${exampleText}\n${exampleSignature}\n`;

function exampleVerifier(): Verifier {
  const { name, keyId, publicKey } = parseVerifierKey(sha256, exampleKey);
  return ed25519Verifier(name, keyId, ed25519PublicKey(publicKey));
}

test('the example of the specification verifies, byte for byte [URS-033]', async () => {
  const { text, signedBy } = await openNote(utf8(example), [exampleVerifier()]);
  assert.equal(text, exampleText);
  assert.deepEqual(
    signedBy.map(({ name }) => name),
    ['example.com/foo'],
  );
  await assert.rejects(async () => openNote(utf8(example.replace('This', 'That')), [exampleVerifier()]), {
    code: 'ledger.note_signature',
  });
});

test('the verifier key of the specification is read and written [URS-033]', () => {
  const key = parseVerifierKey(sha256, exampleKey);
  assert.equal(key.name, 'example.com/foo');
  assert.equal(key.keyId, 0x530d903a);
  assert.equal(key.type, 1);
  assert.equal(formatVerifierKey(sha256, key.name, key.type, key.publicKey), exampleKey);
});

test('verifier keys that are nearly right are refused [URS-033]', () => {
  const wrong = [
    '',
    'example.com/foo',
    ` ${exampleKey}`,
    `${exampleKey}\n`,
    exampleKey.replace('530d903a', '530d903b'),
    exampleKey.replace('530d903a', '530D903A'),
    exampleKey.replace('530d903a', '0530d903a'),
    exampleKey.replace('example.com/foo', 'example.com/bar'),
    exampleKey.replace('example.com/foo', 'example.com foo'),
    exampleKey.replace('example.com/foo', ''),
    exampleKey.replace('U2k', 'U2l'), // stray bits behind the last byte would decode alike
    formatVerifierKey(sha256, 'example.com/foo', 1, new Uint8Array(31)),
    formatVerifierKey(sha256, 'example.com/foo', 6, new Uint8Array(32)),
    `example.com/foo+530d903a+${'A'.repeat(9000)}`,
  ];
  for (const key of wrong) {
    assert.throws(() => parseVerifierKey(sha256, key), { code: 'ledger.key_malformed' }, key.slice(0, 80));
  }
});

test('what is signed opens, whoever else has signed [URS-033]', async () => {
  const line = fc.string({ unit: fc.constantFrom('a', 'é', '\u{1F512}', ' ', '—', '+', '.') });
  const [other, third] = [keyFrom('other', 'witness.example'), keyFrom('third', 'third.example')];
  await fc.assert(
    fc.asyncProperty(fc.array(line, { maxLength: 5 }), async (lines) => {
      const text = `${lines.join('\n')}\n`;
      const note = await signNote(text, [third.signer, logKey.signer, other.signer]);
      const opened = await openNote(note, [other.verifier, logKey.verifier]);
      assert.equal(opened.text, text);
      assert.deepEqual(opened.signedBy, [logKey.verifier, other.verifier]);
    }),
    { numRuns: 30 },
  );
});

test('an unknown key is ignored even if it shares a name or a key id with a known one [URS-033]', async () => {
  const namesake = keyFrom('namesake', logKey.name);
  const note = await signNote('text\n', [namesake.signer, logKey.signer]);
  assert.deepEqual((await openNote(note, [logKey.verifier])).signedBy, [logKey.verifier]);
  const sameId = { ...namesake.signer, name: 'other.example', keyId: logKey.signer.keyId };
  const alone = await signNote('text\n', [sameId]);
  await assert.rejects(async () => openNote(alone, [logKey.verifier]), { code: 'ledger.note_unsigned' });
});

test('one bad signature by a known key rejects the note, beside good ones and behind them [URS-033]', async () => {
  const other = keyFrom('other', 'witness.example');
  const bad = { ...logKey.signer, sign: () => new Uint8Array(64) };
  const short = { ...logKey.signer, sign: () => new Uint8Array(1) };
  for (const signers of [[other.signer, bad], [logKey.signer, bad], [bad, logKey.signer], [short]]) {
    const note = await signNote('text\n', signers);
    const opening = openNote(note, [logKey.verifier, other.verifier]);
    await assert.rejects(opening, { code: 'ledger.note_signature' });
  }
});

test('notes that are nearly right are refused [URS-033]', () => {
  const wrong: Record<string, string> = {
    empty: '',
    'no signature': `${exampleText}\n`,
    'no blank line': `${exampleText}${exampleSignature}\n`,
    'no last newline': example.slice(0, -1),
    'carriage returns': example.replaceAll('\n', '\r\n'),
    'a carriage return in the text': example.replace('message.', 'message.\r'),
    'a NUL': example.replace('This', 'Th\0is'),
    'a hyphen for the dash': example.replace('—', '-'),
    'two spaces': example.replace('foo Uw', 'foo  Uw'),
    'a space at the end': example.replace('QM=\n', 'QM= \n'),
    'a plus in the name': example.replace('com/foo', 'com+foo'),
    'a no-break space in the name': example.replace('com/foo', 'com\u00a0foo'),
    'no name': example.replace('example.com/foo ', ' '),
    'base64 without padding': example.replace('QM=\n', 'QM\n'),
    'base64 with stray bits': example.replace('QM=\n', 'QN=\n'),
    'base64 of the URL alphabet': example.replace('RKuw', 'R-uw'),
    'a key id and nothing behind it': `${exampleText}\n— example.com/foo Uw2QOg==\n`,
    'text behind the signatures': `${example}more\n`,
  };
  for (const [what, note] of Object.entries(wrong)) {
    assert.throws(() => parseNote(utf8(note)), { code: 'ledger.note_malformed' }, what);
  }
});

test('invalid UTF-8 is refused, and a byte order mark is text [URS-033]', () => {
  const bytes = utf8(example);
  bytes[3] = 0xff;
  assert.throws(() => parseNote(bytes), { code: 'ledger.note_malformed' });
  const surrogate = Uint8Array.from([0xed, 0xa0, 0x80, ...utf8(example)]);
  assert.throws(() => parseNote(surrogate), { code: 'ledger.note_malformed' });
  assert.equal(parseNote(utf8(`\ufeff${example}`)).text, `\ufeff${exampleText}`);
});

test('the text ends at the last blank line [URS-033]', () => {
  assert.equal(parseNote(utf8(`one\n\ntwo\n\n${example}`)).text, `one\n\ntwo\n\n${exampleText}`);
  assert.equal(parseNote(utf8(`one\n\n\n${exampleSignature}\n`)).text, 'one\n\n');
});

test('notes are bounded: 64 signatures and 1 MiB [URS-033]', () => {
  const signed = (count: number): Uint8Array => utf8(`text\n\n${`${exampleSignature}\n`.repeat(count)}`);
  assert.equal(parseNote(signed(64)).signatures.length, 64);
  assert.throws(() => parseNote(signed(65)), { code: 'ledger.note_size' });
  const long = utf8(`${'x'.repeat(maxNoteBytes - example.length)}\n${example}`);
  assert.ok(long.length > maxNoteBytes);
  assert.throws(() => parseNote(long), { code: 'ledger.note_size' });
});

test('whatever parses is written the same way again [URS-033]', () => {
  const unit = fc.constantFrom('\n', '\n\n', '— ', 'a', ' ', '+', 'Uw2QOkn8', 'AA==', 'é', '\r', '=');
  const signature = fc.constantFrom(`${exampleSignature}\n`, '— a Uw2QOkn8\n', '— é AAAAAAA=\n');
  const noise = fc.oneof(
    fc.string({ unit, maxLength: 12 }),
    fc
      .tuple(fc.string({ unit, maxLength: 4 }), signature, fc.string({ unit, maxLength: 2 }))
      .map((p) => p.join('')),
    fc.tuple(fc.string({ unit, maxLength: 4 }), signature).map((p) => p.join('\n\n')),
  );
  let parsed = 0;
  fc.assert(
    fc.property(noise, (content) => {
      try {
        const { text, signatures } = parseNote(utf8(content));
        const lines = signatures.map(({ name, keyId, signature }) => {
          const id = Buffer.alloc(4);
          id.writeUInt32BE(keyId);
          return `— ${name} ${Buffer.concat([id, signature]).toString('base64')}\n`;
        });
        assert.equal(`${text}\n${lines.join('')}`, content);
        parsed++;
      } catch (error) {
        assert.ok(error instanceof LedgerError, String(error));
      }
    }),
    { numRuns: 1500 },
  );
  assert.ok(parsed > 0, 'some of the noise is a note');
});

test('bytes of any kind give a typed error and nothing else [URS-033]', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.throws(() => parseNote(bytes), LedgerError);
    }),
  );
});

test('only a whole text is signed, by a key with a proper name [URS-033]', async () => {
  for (const text of ['', 'no newline', 'a\r\n', 'tab\t\n', 'lone \ud800 surrogate\n']) {
    await assert.rejects(async () => signNote(text, [logKey.signer]), { code: 'ledger.note_malformed' });
  }
  await assert.rejects(async () => signNote('a\n', []), { code: 'ledger.note_unsigned' });
  for (const name of ['', 'a b', 'a+b', 'a\u2003b', 'a\nb', 'a\u0000b']) {
    assert.throws(() => keyId(sha256, name, 1, new Uint8Array(32)), { code: 'ledger.key_name' });
    await assert.rejects(async () => signNote('a\n', [{ ...logKey.signer, name }]), {
      code: 'ledger.key_name',
    });
  }
});

test('a key id with its highest bit set is written unsigned [URS-033]', async () => {
  const high = { name: 'high.example', keyId: 0xfffffffe, sign: () => Uint8Array.of(9) };
  const note = await signNote('a\n', [high]);
  assert.equal(asText(note), 'a\n\n— high.example /////gk=\n');
  assert.equal(parseNote(note).signatures[0]?.keyId, 0xfffffffe);
});
