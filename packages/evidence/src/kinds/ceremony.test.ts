import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkEvidence } from '../check.ts';
import { sampleOf, sha256, trust, useEntry } from '../fixture.test.ts';
import type { Sample } from '../fixture.test.ts';
import { hex } from '../hex.ts';
import { makeEvidence } from '../make.ts';
import { formatMinutes, parseMinutes } from './ceremony.ts';
import type { CeremonyMinutes } from './ceremony.ts';

const minutes: CeremonyMinutes = {
  action: 'new',
  attended: [
    { name: 'Dr. Ana-Maria Ștefănescu', role: 'ceremony administrator' },
    { name: 'Jo Weiß', role: 'custodian' },
  ],
  begun: 1_800_000_000_000,
  confirmed: [
    { by: 'Jo Weiß', how: 'typed', index: 1 },
    { by: 'Ada', how: 'file', index: 2 },
    { by: 'Kim', how: 'sealed', index: 3 },
  ],
  count: 3,
  ended: 1_800_000_600_000,
  fingerprints: ['a'.repeat(64), 'b'.repeat(64), 'c'.repeat(64)],
  id: '3f2504e0-4f89-41d3-9a0c-0305e82c3302',
  root: '3f2504e0-4f89-41d3-9a0c-0305e82c3303',
  set: '0A1B2C3D',
  software: { digests: { node: 'd'.repeat(64) }, node: 'v24.0.0', trialkeep: '0.1.0' },
  threshold: 2,
  v: 1,
};

function sample(text: string, entry: object = {}): Promise<Sample> {
  const hash = hex(sha256(new TextEncoder().encode(text)));
  const own = JSON.parse(
    JSON.stringify({
      ...useEntry(1),
      actor: undefined,
      role: undefined,
      operation: 'instance.ceremony',
      hash,
      ...entry,
    }),
  ) as ReturnType<typeof useEntry>;
  return sampleOf([own], ({ first, size }) => ({
    kind: 'root.ceremony',
    body: { entries: [{ entry: own, index: first }], minutes: text, size },
  }));
}

async function verdictOf({ files }: Sample) {
  const pdf = await makeEvidence(files);
  const { verdict, findings } = await checkEvidence(pdf, { sha256, trust, render: makeEvidence });
  return [verdict, findings.map(({ code }) => code)];
}

test('minutes of a ceremony verify, and other minutes than those that the entry took up do not [URS-010] [URS-084]', async () => {
  const text = formatMinutes(minutes);
  assert.deepEqual(parseMinutes(text), minutes);
  assert.deepEqual(await verdictOf(await sample(text)), ['consistent', []]);
  const other = await sample(text, { hash: 'e'.repeat(64) });
  assert.equal((await verdictOf(other))[0], 'failed');
  const refused = await sample(text, { outcome: 'refused' });
  assert.equal((await verdictOf(refused))[0], 'failed');
});

test('minutes that contradict themselves are none [URS-010]', () => {
  const [first = assert.fail(), ...others] = minutes.confirmed;
  const wrong: Readonly<Record<string, unknown>>[] = [
    { threshold: 1 },
    { threshold: 4 },
    { count: 2 },
    { attended: [] },
    { confirmed: others },
    { confirmed: [...others, first] },
    { confirmed: [first, first, ...others] },
    { ended: minutes.begun - 1 },
    { replaced: '0A1B2C3D' },
    { action: 'rekey' },
    { set: '0A1B2C3U' },
    { fingerprints: minutes.fingerprints.slice(1) },
    { share: 'TKS1' },
    { v: 2 },
  ];
  for (const change of wrong) {
    assert.throws(() => formatMinutes({ ...minutes, ...change }), RangeError, JSON.stringify(change));
  }
  formatMinutes({ ...minutes, action: 'rekey', replaced: '00000000' });
  formatMinutes({ ...minutes, action: 'test', confirmed: minutes.confirmed.slice(1) });
  assert.equal(parseMinutes(`${formatMinutes(minutes)}\n`), undefined);
});
