import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { errors } from '@trialkeep/contract';
import { TrialkeepError } from '../errors.ts';
import { exportLedger } from './export.ts';
import { inFolder, StandInLog } from './fixture.test.ts';
import type { ListedSignature } from './fixture.test.ts';
import { signatureFindingTexts } from './signature-finding.ts';
import { parseSignatureRecord } from './signature-record.ts';
import { verifyFolder } from './verify-folder.ts';

const firstTime = 1_700_000_000_000;

function sha256Hex(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** A signature with its document and its entry, as docs/formats/signature.md has them. */
function sign(minute: number, more: object = {}): ListedSignature & { entry: string } {
  const [approval, person, signature] = [randomUUID(), randomUUID(), randomUUID()];
  const time = firstTime + 60_000 * minute;
  const document = `{"approval":"${approval}","input":{},"operation":"keys.destroy","v":1}`;
  const hash = sha256Hex(document);
  const [name, operation, origin] = ['Ada Lovelace', 'approvals.approve', StandInLog.origin];
  const utc = new Date(time).toISOString();
  const components = ['password', 'totp'];
  const meaning = 'approval';
  const all = {
    approval,
    components,
    hash,
    meaning,
    name,
    operation,
    origin,
    person,
    signature,
    time,
    utc,
    v: 1,
    ...more,
  };
  const record = JSON.stringify(all);
  const entry = {
    actor: person,
    hash,
    operation,
    outcome: 'success',
    signature: sha256Hex(record),
    time,
    v: 1,
  };
  return { record, document, entry: JSON.stringify(entry) };
}

function unsigned(minute: number): string {
  return JSON.stringify({
    operation: 'keys.list',
    outcome: 'success',
    time: firstTime + 60_000 * minute,
    v: 1,
  });
}

/** A log of unsigned and signed entries: the signed ones stand at 1, 3, 5 … */
function logOf(signed: readonly (ListedSignature & { entry: string })[]): StandInLog {
  const entries = signed.flatMap(({ entry }, index) => [unsigned(index), entry]);
  return new StandInLog([...entries, unsigned(signed.length)], signed);
}

/** Exports the log, alters the file of signatures, and gives what the verifier finds. */
async function findings(
  log: StandInLog,
  alter: (lines: string[]) => string[] | string,
): Promise<(string | number)[][]> {
  let found: (string | number)[][] = [];
  await inFolder(async (folder) => {
    const { verifierKey } = await exportLedger(log, folder);
    const path = join(folder, 'signatures.jsonl');
    const altered = alter((await readFile(path, 'utf8')).trimEnd().split('\n'));
    await writeFile(
      path,
      typeof altered === 'string' ? altered : altered.map((line) => `${line}\n`).join(''),
    );
    const { verdict, findings: ofLog, signatures } = await verifyFolder({ folder, verifierKey });
    assert.deepEqual(ofLog, []);
    assert.equal(verdict, signatures.failed ? 'failed' : 'consistent');
    assert.equal(
      signatures.failed,
      signatures.findings.some(({ severity }) => severity === 'failure'),
    );
    found = signatures.findings.map(({ code, index = -1, line = -1 }) => [code, index, line]);
  });
  return found;
}

const replaced = (line: string, from: string | RegExp, to: string): string => {
  const text = line.replace(from, to);
  assert.notEqual(text, line);
  return text;
};

test('the signature under a review names the review, and no request for approval [URS-029] [URS-040]', () => {
  const change = { operation: 'reviews.close', meaning: 'review', approval: undefined };
  const { record } = sign(1, change);
  const members = JSON.parse(record) as Record<string, unknown>;
  const text = (review: unknown, more: object = {}): string => {
    const all = { ...members, review, ...more };
    return JSON.stringify(Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1))));
  };
  const review = randomUUID();
  assert.equal(parseSignatureRecord(text(review))?.review, review);
  assert.equal(parseSignatureRecord(text(undefined)), undefined);
  assert.equal(parseSignatureRecord(text('not an id')), undefined);
  assert.equal(parseSignatureRecord(text(review, { approval: review })), undefined);
  assert.equal(parseSignatureRecord(text(review, { meaning: 'approval' })), undefined);
});

test('an export carries its signatures, and they verify offline [URS-029] [URS-030] [URS-031]', async () => {
  await inFolder(async (folder) => {
    const log = logOf(Array.from({ length: 150 }, (_, index) => sign(index)));
    const exported = await exportLedger(log, folder);
    assert.deepEqual(exported.signatures, {
      signed: 150,
      checked: 150,
      missing: 0,
      exported: true,
      failed: false,
      findings: [],
      findingsOmitted: 0,
    });
    assert.equal(exported.verdict, 'consistent');
    assert.equal((await stat(join(folder, 'signatures.jsonl'))).mode & 0o777, 0o600);
    const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) =>
      entry.isFile(),
    );
    assert.equal(exported.files, files.length);
  });
  assert.deepEqual(await findings(logOf([]), () => ''), [], 'no signature, no record');
});

test('an altered, dropped, foreign, repeated or cut record is named [URS-030] [URS-031]', async () => {
  const signed = [sign(0), sign(1), sign(2)];
  const log = logOf(signed);
  const foreign = sign(1);
  const foreignLine = JSON.stringify({ document: foreign.document, record: foreign.record });
  assert.deepEqual(await findings(log, (lines) => lines), []);
  assert.deepEqual(await findings(log, (lines) => lines.toReversed()), [], 'the order says nothing');
  const missing = [['signature.missing', 3, -1]];
  const altered = (from: string | RegExp, to: string) => (lines: string[]) =>
    lines.map((line, index) => (index === 1 ? replaced(line, from, to) : line));
  assert.deepEqual(await findings(log, altered('Ada', 'Eve')), [['signature.foreign', -1, 2], ...missing]);
  assert.deepEqual(await findings(log, altered(/approval(\\",\\"name)/, 'rejection$1')), [
    ['signature.foreign', -1, 2],
    ...missing,
  ]);
  assert.deepEqual(await findings(log, (lines) => lines.toSpliced(1, 1)), missing);
  assert.deepEqual(await findings(log, (lines) => lines.toSpliced(1, 1, foreignLine)), [
    ['signature.foreign', -1, 2],
    ...missing,
  ]);
  assert.deepEqual(await findings(log, (lines) => [...lines, lines[0] ?? '']), [
    ['signature.repeated', 1, 4],
  ]);
  for (const [from, to] of [
    [/^\{/, '{ '],
    [/\}$/, ',"more":1}'],
    ['"record"', '"Record"'],
    [/(.*\\"v\\"):1/, '$1:2'],
    ['\\"totp\\"', '\\"sms\\"'],
    [/(utc\\":\\"....)/, '$1-'],
  ] as const) {
    const found = await findings(log, altered(from, to));
    assert.deepEqual(found, [['signature.malformed', -1, 2], ...missing], String(from));
  }
  assert.deepEqual(await findings(log, (lines) => lines.join('\n')), [
    ['signature.malformed', -1, 3],
    ['signature.missing', 5, -1],
  ]);
  const overlong = `${' '.repeat(2_000_000)}\n`;
  const none = [1, 3, 5].map((index) => ['signature.missing', index, -1]);
  assert.deepEqual(await findings(log, (lines) => overlong + lines.join('\n')), [
    ['signature.malformed', -1, 1],
    ...none,
  ]);
});

test('an altered document is named, and a lost one is said to be lost [URS-030] [URS-031]', async () => {
  const log = logOf([sign(0), sign(1)]);
  assert.deepEqual(
    await findings(log, ([first = '', ...others]) => [
      replaced(first, 'keys.destroy', 'keys.suspend'),
      ...others,
    ]),
    [['signature.document_altered', 1, 1]],
  );
  assert.deepEqual(
    await findings(log, ([first = '', ...others]) => [
      replaced(first, /"document":"(?:[^"\\]|\\.)*"/, '"document":null'),
      ...others,
    ]),
    [['signature.document_missing', 1, 1]],
  );
});

test('a record that contradicts its entry is named even where the log commits to both [URS-030]', async () => {
  for (const more of [
    { person: randomUUID() },
    { origin: 'example.org/ledger/other' },
    { operation: 'approvals.deny' },
    { time: firstTime + 7, utc: new Date(firstTime + 7).toISOString() },
    { hash: sha256Hex('another document') },
  ]) {
    const found = await findings(logOf([sign(0), sign(1, more)]), (lines) => lines);
    assert.deepEqual(found, [['signature.mismatch', 3, 2]], JSON.stringify(more));
  }
});

test('signatures that came behind the checkpoint are no part of the export', async () => {
  const [old, late] = [sign(0), sign(2)];
  const log = new StandInLog([unsigned(0), old.entry, unsigned(1)], [old, late]);
  assert.deepEqual(await findings(log, (lines) => lines), []);
  const early = sign(0);
  const forged = new StandInLog([unsigned(0), old.entry, unsigned(1)], [early, old]);
  assert.deepEqual(await findings(forged, (lines) => lines), [['signature.foreign', -1, 1]]);
});

test('without the permission to read signatures the export goes on, and says so', async () => {
  await inFolder(async (folder) => {
    const log = logOf([sign(0)]);
    log.signaturesRefusal = new TrialkeepError('access.denied', errors['access.denied'], { status: 403 });
    const { verdict, verifierKey, signatures } = await exportLedger(log, folder);
    assert.deepEqual(
      [verdict, signatures.exported, signatures.checked, signatures.missing],
      ['consistent', false, 0, 1],
    );
    const again = await verifyFolder({ folder, verifierKey });
    assert.deepEqual(
      again.signatures.findings.map(({ code, severity }) => [code, severity]),
      [['signatures.not_exported', 'warning']],
    );
    execFileSync('mkfifo', [join(folder, 'signatures.jsonl')]);
    assert.equal((await verifyFolder({ folder, verifierKey })).signatures.exported, false);
  });
  await inFolder(async (folder) => {
    const log = logOf([sign(0)]);
    log.signaturesRefusal = new TrialkeepError('server.internal', errors['server.internal']);
    await assert.rejects(exportLedger(log, folder), log.signaturesRefusal);
    await assert.rejects(
      stat(join(folder, 'checkpoint')),
      'an export that was not finished has no checkpoint',
    );
    await rm(folder, { recursive: true });
  });
});

test('every finding has a sentence and a fix', () => {
  for (const [code, { message, fix }] of Object.entries(signatureFindingTexts)) {
    assert.match(message, /^[a-z].*[^.]$/, code);
    assert.match(fix, /^[A-Z].*\.$/, code);
  }
});
