import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { test } from 'node:test';
import {
  formatProof,
  formatVerifierKey,
  noteTypes,
  parseNote,
  parseProof,
  parseVerifierKey,
  signNote,
  trustOf,
  type Signer,
  canonicalText,
} from '@trialkeep/ledger';
import fc from 'fast-check';
import {
  primitives,
  sampleAnswer,
  sampleErasure,
  sha256,
  trust,
  useEntry,
  verifierKey,
  type Sample,
} from './fixture.test.ts';
import {
  EvidenceError,
  checkEvidence,
  evidenceErrors,
  evidenceFindingTexts,
  formatDocument,
  parseDocument,
  readEvidence,
  type EvidenceErrorCode,
  type EvidenceFiles,
} from './index.ts';
import { makeEvidence } from './make.ts';

const check = (pdf: Uint8Array) => checkEvidence(pdf, { sha256, trust, render: makeEvidence });
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** The codes of what is found in a document that is made of these files. */
async function findingsOf(files: EvidenceFiles): Promise<string[]> {
  const { verdict, findings } = await check(await makeEvidence(files));
  assert.equal(
    verdict === 'failed',
    findings.some(({ severity }) => severity === 'failure'),
  );
  return [...new Set(findings.map(({ code }) => code))];
}

test('every error and every finding has a stable code and a fix [URS-084]', () => {
  for (const [code, { message, fix }] of Object.entries(evidenceErrors)) {
    assert.match(code, /^evidence\.[a-z_]+$/);
    for (const sentence of [message, fix]) assert.match(sentence, /^[A-Z].*\.$/);
    const error = new EvidenceError(code as EvidenceErrorCode, 'detail');
    assert.deepEqual([error.code, error.fix, error.message], [code, fix, `${message} (detail)`]);
  }
  for (const { fix } of Object.values(evidenceFindingTexts)) assert.match(fix, /^[A-Z].*\.$/);
});

test('answers of no, one and many entries, an erasure, and any script verify, and have the same bytes again [URS-084]', async () => {
  const many = Array.from({ length: 60 }, (_, i) => useEntry(i + 1));
  const samples: Sample[] = [
    await sampleAnswer([]),
    await sampleAnswer([useEntry(1)]),
    await sampleAnswer(many),
    await sampleErasure(),
    await sampleAnswer([useEntry(1)], undefined, {
      title: '治験 Ελληνικά Кириллица “ő” \u{1f469}\u{1f3fd}\u200d\u2695\ufe0f',
    }),
    await sampleErasure({}, `${'Wolfeschlegelsteinhausenbergerdorff '.repeat(5)}東京`),
  ];
  for (const { files, document } of samples) {
    const pdf = await makeEvidence(files);
    const result = await check(pdf);
    assert.deepEqual([result.verdict, result.findings], ['consistent', []]);
    assert.deepEqual(result.overview?.document, document);
    assert.deepEqual(
      readEvidence(pdf).files,
      Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, Buffer.from(bytes)])),
    );
    assert.equal(Buffer.compare(await makeEvidence(files), pdf), 0);
  }
});

test('a changed byte anywhere in the file is noticed, in pages, fonts, attachments and structure alike [URS-084]', async () => {
  const { files } = await sampleAnswer([useEntry(1), useEntry(2)]);
  const pdf = await makeEvidence(files);
  const marks = [
    '"monitoring"',
    'c2sp.org/tlog-proof',
    'endstream',
    'xref',
    '/AF',
    'BT',
    'FontFile2',
    'pdfaid',
  ];
  const places = marks.map((mark) => Buffer.from(pdf).indexOf(mark));
  assert.ok(places.every((place) => place > 0));
  const place = fc.oneof(fc.constantFrom(...places), fc.nat(pdf.length - 1));
  await fc.assert(
    fc.asyncProperty(place, fc.integer({ min: 1, max: 255 }), async (at, mask) => {
      const altered = Uint8Array.from(pdf);
      altered[at] = (altered[at] ?? 0) ^ mask;
      const { verdict, findings } = await check(altered);
      // What names another renderer cannot be compared, and says so.
      const isOther = findings.some(({ code }) => code === 'evidence.pages_unchecked');
      assert.ok(verdict === 'failed' || isOther);
      assert.ok(findings.length > 0);
    }),
    { numRuns: 25 },
  );
});

test('a longer, a shorter and a foreign file are refused [URS-084]', async () => {
  const { files } = await sampleAnswer([useEntry(1)]);
  const pdf = Buffer.from(await makeEvidence(files));
  const text = pdf.toString('latin1');
  const update = `${text}\nxref\n0 1\n0000000000 65535 f \ntrailer\n<<>>\nstartxref\n${text.length}\n%%EOF\n`;
  const bad = [
    Buffer.alloc(0),
    Buffer.from('%PDF-1.7\n'),
    pdf.subarray(0, -1),
    Buffer.concat([pdf, Buffer.from('\n')]),
    Buffer.from(update, 'latin1'),
    Buffer.from(text.replace('%PDF-1.7', '%PDF-1.4'), 'latin1'),
    Buffer.from(text.replace('(entry.json)', '(other.json)'), 'latin1'),
    Buffer.from(text.replaceAll('(entry.json)', '(evidence.json)'), 'latin1'),
  ];
  for (const file of bad) {
    const { verdict, findings } = await check(file);
    assert.deepEqual([verdict, findings[0]?.code], ['failed', 'evidence.form']);
  }
});

test('noise is refused with a typed error, never anything else [URS-084]', () => {
  const frame = (inner: string): string => {
    const head = '%PDF-1.7\n%\xff\xff\xff\xff\n';
    const object = `1 0 obj\n${inner}\nendobj\n`;
    const at = head.length + object.length;
    const row = `${String(head.length).padStart(10, '0')} 00000 n \n`;
    return `${head}${object}xref\n0 2\n0000000000 65535 f \n${row}trailer\n<<\n/Size 2\n/Root 1 0 R\n/Info 1 0 R\n/ID [<00> <00>]\n>>\nstartxref\n${at}\n%%EOF\n`;
  };
  const pieces = [
    '<<',
    '>>',
    '[',
    ']',
    '(',
    ')',
    '\\',
    '/Type',
    '/Catalog',
    '1 0 R',
    '<00>',
    'true',
    '-1.5',
    ' ',
    '\n',
    '#',
    '%',
  ];
  const inner = fc.array(fc.constantFrom(...pieces), { maxLength: 30 }).map((some) => some.join(' '));
  const nested = fc.integer({ min: 1, max: 5000 }).map((depth) => '['.repeat(depth));
  fc.assert(
    fc.property(fc.oneof(inner, nested), (text) => {
      assert.throws(() => readEvidence(Buffer.from(frame(text), 'latin1')), EvidenceError);
    }),
    { numRuns: 300 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.throws(() => readEvidence(bytes), EvidenceError);
      assert.throws(() => parseDocument(bytes), EvidenceError);
    }),
  );
});

test('content is read in one encoding, with the members of its kind and no others [URS-084]', async () => {
  const { document } = await sampleAnswer([useEntry(1)]);
  const bytes = formatDocument(document);
  assert.deepEqual(parseDocument(bytes), document);
  const refused = (value: unknown, code: EvidenceErrorCode): void => {
    const text = canonicalText(value) ?? '';
    assert.throws(() => parseDocument(bytesOf(text)), { code });
  };
  refused({ ...document, v: 2 }, 'evidence.kind_unknown');
  refused({ ...document, kind: 'toString' }, 'evidence.kind_unknown');
  refused({ ...document, more: 1 }, 'evidence.content_malformed');
  refused({ ...document, title: 'two\nlines' }, 'evidence.content_malformed');
  refused({ ...document, names: { me: 'x' } }, 'evidence.content_malformed');
  refused({ ...document, kind: 'subject.erasure' }, 'evidence.content_malformed');
  const body = document.body as unknown as { entries: unknown[] };
  refused(
    { ...document, body: { ...body, entries: [...body.entries, ...body.entries] } },
    'evidence.content_malformed',
  );
  const spaced = new TextDecoder().decode(bytes).replace('"v":1', '"v": 1');
  assert.throws(() => parseDocument(bytesOf(spaced)), { code: 'evidence.content_malformed' });
});

test('a document of right form and wrong content is a failure that says what is wrong [URS-084]', async () => {
  const { files } = await sampleAnswer([useEntry(1), useEntry(2)]);
  const other = await sampleAnswer([useEntry(3)]);
  const content = new TextDecoder().decode(files['evidence.json']);
  const altered = bytesOf(content.replace('Ward gateway 7', 'Ward gateway 8'));
  assert.deepEqual(await findingsOf({ ...files, 'evidence.json': altered }), ['evidence.entry']);
  assert.deepEqual(await findingsOf({ ...files, 'entry.json': other.files['entry.json'] }), [
    'evidence.entry',
    'evidence.proof',
  ]);
  assert.deepEqual(await findingsOf({ ...files, 'entries.proof': new Uint8Array(32) }), ['evidence.listed']);
  const { 'entries.proof': _proof, ...without } = files;
  assert.deepEqual(await findingsOf(without), ['evidence.listed']);
  assert.deepEqual(await findingsOf({ ...files, 'checkpoint.tsr': new Uint8Array(10) }), [
    'evidence.timestamp_unchecked',
  ]);
});

test('what a body says of itself has to fit its entries [URS-037] [URS-038] [URS-084]', async () => {
  const misfits = await sampleAnswer([useEntry(1, { class: 'form' })]);
  assert.deepEqual(await findingsOf(misfits.files), ['evidence.contradiction']);
  const misnamed = await sampleAnswer([useEntry(1, { outcome: 'refused' })]);
  assert.deepEqual(await findingsOf(misnamed.files), ['evidence.contradiction']);
  // A re-encryption has two entries, of two kinds: the sample calls both of them decryptions.
  const moved = { operation: 'keys.re-encrypt' };
  const decrypted = await sampleAnswer([useEntry(1, moved)], moved);
  assert.deepEqual(await findingsOf(decrypted.files), []);
  const source = '00000000-0000-4000-8000-000000000000';
  const encrypted = await sampleAnswer([useEntry(1, { ...moved, source })], moved);
  assert.deepEqual(await findingsOf(encrypted.files), ['evidence.contradiction']);
  assert.deepEqual(await findingsOf((await sampleErasure({ state: 'erased' })).files), [
    'evidence.contradiction',
  ]);
  assert.deepEqual(await findingsOf((await sampleErasure({ subject: 'f'.repeat(32) })).files), [
    'evidence.contradiction',
  ]);
  assert.deepEqual(await findingsOf((await sampleErasure({ entries: [] })).files), [
    'evidence.contradiction',
  ]);
});

test('a document about one log under the key of another one fails, whichever origin it states [URS-084]', async () => {
  const { files } = await sampleErasure();
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const name = 'other.example/log';
  const raw = publicKey.export({ format: 'der', type: 'spki' }).subarray(-32);
  const otherKey = formatVerifierKey(sha256, name, noteTypes.ed25519, raw);
  const { checkpoint, ...proof } = parseProof(files['evidence.tlog-proof']);
  const signer: Signer = {
    name,
    keyId: parseVerifierKey(sha256, otherKey).keyId,
    sign: (text) => sign(null, text, privateKey),
  };
  const resigned = formatProof({
    ...proof,
    checkpoint: await signNote(parseNote(checkpoint).text, [signer]),
  });
  const both = trustOf(sha256, primitives, { verifierKeys: [verifierKey, otherKey] });
  const checked = async (some: EvidenceFiles) =>
    checkEvidence(await makeEvidence(some), { sha256, trust: both, render: makeEvidence });
  assert.equal((await checked(files)).verdict, 'consistent');
  const { verdict, findings } = await checked({ ...files, 'evidence.tlog-proof': resigned });
  assert.deepEqual([verdict, findings[0]?.code], ['failed', 'evidence.proof']);
});

test('a document under a key that nobody trusts fails [URS-084]', async () => {
  const { files } = await sampleAnswer([useEntry(1)]);
  const pdf = await makeEvidence(files);
  const { verdict, findings } = await checkEvidence(pdf, { sha256, trust: { logs: [], witnesses: [] } });
  assert.equal(verdict, 'failed');
  assert.equal(findings[0]?.code, 'evidence.proof');
});
