import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { commitPayload } from '@trialkeep/crypto';
import { exportLedger } from './export.ts';
import { inFolder, StandInLog } from './fixture.test.ts';
import { formatPayloadLine } from './payload-line.ts';
import type { PayloadLine } from './payload-line.ts';
import { verifyFolder } from './verify-folder.ts';

const subject = '0123456789abcdef0123456789abcdef';

/** An entry, and the line of its payload. */
function make(
  index: number,
  members: Readonly<Record<string, string>> = {},
): { text: string; line: PayloadLine & { state: 'open' }; entry: string } {
  const entry = randomUUID();
  const blinding = randomBytes(32);
  const content = `{"input":{"reason":"n° ${index}"}}`;
  const id = Buffer.from(entry.replaceAll('-', ''), 'hex');
  const commitment = commitPayload(blinding, id, Buffer.from(content)).toString('hex');
  const all = {
    commitment,
    entry,
    operation: 'keys.list',
    outcome: 'success',
    time: index,
    v: 1,
    ...members,
  };
  const text = JSON.stringify(Object.fromEntries(Object.entries(all).sort(([a], [b]) => (a < b ? -1 : 1))));
  const line = { index, entry, state: 'open', content, blinding: blinding.toString('base64') } as const;
  return { text, line, entry };
}

/** A log of 300 entries, of which 5 is redacted by 7, and 6 erased by 8, with the lines of its payloads. */
function makeLog() {
  const made = Array.from({ length: 300 }, (_, index) => make(index));
  made[6] = make(6, { subject });
  const redacted = made[5] ?? assert.fail();
  made[7] = make(7, { operation: 'payloads.redact', redacted: redacted.entry });
  made[8] = make(8, { operation: 'subjects.erase', subject });
  const lines: PayloadLine[] = made.map(({ line }) => line);
  const gone = (index: number, state: 'erased' | 'redacted' | 'withheld'): void => {
    lines[index] = { index, entry: made[index]?.entry ?? '', state };
  };
  gone(5, 'redacted');
  gone(6, 'erased');
  return { log: new StandInLog(made.map(({ text }) => text)), lines, gone };
}

/** What the verifier says about an export with these payloads. */
async function verified(log: StandInLog, lines: readonly PayloadLine[] | string) {
  const text = typeof lines === 'string' ? lines : lines.map(formatPayloadLine).join('');
  let result: Awaited<ReturnType<typeof verifyFolder>> | undefined;
  await inFolder(async (folder) => {
    const { verifierKey } = await exportLedger(log, folder);
    await writeFile(join(folder, 'payloads.jsonl'), text);
    result = await verifyFolder({ folder, verifierKey });
    assert.deepEqual(result.findings, [], 'the log itself is whole');
  });
  assert.ok(result);
  const { payloads, verdict } = result;
  assert.equal(verdict, payloads.failed ? 'failed' : 'consistent');
  return { ...payloads, codes: payloads.findings.map(({ code, index = -1 }) => [code, index]) };
}

test('payloads are held to their commitments, and what is gone to the log [URS-032] [URS-037]', async () => {
  const { log, lines } = makeLog();
  const { codes, ...result } = await verified(log, lines);
  assert.deepEqual(codes, []);
  assert.deepEqual(result, {
    exported: true,
    checked: 298,
    erased: 1,
    redacted: 1,
    withheld: 0,
    failed: false,
    findings: [],
    findingsOmitted: 0,
  });
});

test('an exported ledger carries its payloads where they are asked for [URS-039]', async () => {
  const { log, lines } = makeLog();
  log.payloads = lines;
  await inFolder(async (folder) => {
    const { payloads, verdict } = await exportLedger(log, folder, { payloads: true });
    assert.deepEqual([verdict, payloads.checked, payloads.redacted], ['consistent', 298, 1]);
    const text = await readFile(join(folder, 'payloads.jsonl'), 'utf8');
    assert.equal(text, lines.map(formatPayloadLine).join(''));
  });
});

test('an altered, exchanged or dropped payload is named, and so is a false reason [URS-033] [URS-037]', async () => {
  const { log, lines, gone } = makeLog();
  const open = (index: number): PayloadLine & { state: 'open' } => {
    const line = lines[index];
    assert.ok(line?.state === 'open');
    return line;
  };
  const cases: [PayloadLine[], [string, number][]][] = [
    [lines.with(3, { ...open(3), content: '{"input":{"reason":"another"}}' }), [['payload.mismatch', 3]]],
    [lines.with(3, { ...open(3), blinding: open(4).blinding }), [['payload.mismatch', 3]]],
    [lines.with(3, { ...open(3), content: open(4).content }), [['payload.mismatch', 3]]],
    [lines.toSpliced(3, 1), [['payload.missing', 3]]],
    [lines.with(9, { index: 9, entry: open(9).entry, state: 'redacted' }), [['payload.unfounded', 9]]],
    [lines.with(9, { index: 9, entry: open(9).entry, state: 'erased' }), [['payload.unfounded', 9]]],
    [lines.with(9, { index: 9, entry: open(9).entry, state: 'withheld' }), [['payload.unexplained', 9]]],
    [lines.with(9, { ...open(9), entry: open(10).entry }), [['payload.malformed', -1]]],
    [[...lines, open(0)], [['payload.malformed', -1]]],
    [[...lines, open(299)], [['payload.malformed', -1]]],
    [[...lines, { ...open(299), index: 300 }], [['payload.malformed', -1]]],
  ];
  for (const [altered, expected] of cases) assert.deepEqual((await verified(log, altered)).codes, expected);
  gone(9, 'withheld');
  assert.equal((await verified(log, lines)).failed, false, 'withheld is not corrupt');
});

test('a line that is repeated, or out of order, ends the reading with a finding [URS-033]', async () => {
  const { log, lines } = makeLog();
  const line = lines[3] ?? assert.fail();
  const repeated = await verified(log, lines.toSpliced(3, 0, line));
  assert.deepEqual([repeated.codes, repeated.checked], [[['payload.malformed', -1]], 4]);
  const later = await verified(log, lines.toSpliced(9, 0, line));
  assert.deepEqual([later.codes, later.checked], [[['payload.malformed', -1]], 7]);
});

test('a line for an entry that has no payload is named, and nothing else is [URS-033]', async () => {
  const made = Array.from({ length: 20 }, (_, index) => make(index));
  const texts = made.map(({ text }) => text).with(4, '{"operation":"instance.create","v":1}');
  const { codes, checked } = await verified(
    new StandInLog(texts),
    made.map(({ line }) => line),
  );
  assert.deepEqual([codes, checked], [[['payload.malformed', -1]], 19]);
});

test('an entry that was edited takes no payload of another one along [URS-033]', async () => {
  const { log, lines } = makeLog();
  await inFolder(async (folder) => {
    const { verifierKey } = await exportLedger(log, folder);
    await writeFile(join(folder, 'payloads.jsonl'), lines.map(formatPayloadLine).join(''));
    const bundle = join(folder, 'tile/entries/000');
    const bytes = await readFile(bundle);
    const at = bytes.indexOf((lines[3] ?? assert.fail()).entry);
    bytes[at] = (bytes[at] ?? 0) ^ 1;
    await writeFile(bundle, bytes);
    const { verdict, findings, payloads } = await verifyFolder({ folder, verifierKey });
    assert.equal(verdict, 'failed');
    assert.ok(findings.length > 0);
    assert.deepEqual([payloads.findings, payloads.checked], [[], 297]);
  });
});

test('lines that are none end the reading with one finding [URS-033]', async () => {
  const { log, lines } = makeLog();
  const good = lines.map(formatPayloadLine);
  const [first = ''] = good;
  for (const bad of [
    'nonsense\n',
    first.replace('{', '{ '),
    first.replace('"open"', '"opened"'),
    first.replace(/"blinding":"[^"]*"/, '"blinding":"AAAA"'),
    first.replace('"index":0', '"index":-1'),
    first.replace(/\}\n$/, ',"more":1}\n'),
  ]) {
    const { codes, failed } = await verified(log, [bad, ...good.slice(1)].join(''));
    assert.deepEqual([codes, failed], [[['payload.malformed', -1]], true], bad);
  }
  assert.deepEqual((await verified(log, good.join('').slice(0, -1))).codes, [['payload.malformed', -1]]);
});
