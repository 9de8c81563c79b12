import assert from 'node:assert/strict';
import { cpSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, test } from 'node:test';
import { generateSampleStudy, sampleIdentities } from '@trialkeep/cli/sample-study';
import { bundlePath, parseCheckpoint, parseNote } from '@trialkeep/ledger';
import { placesIn, sightings } from './canaries.ts';
import { filesIn } from './folder.ts';
import { makeFolder, trialkeep } from './harness.ts';
import { realInputs } from './real-inputs.ts';

const scale = 0.02;
const place = makeFolder();
const sample = join(place, 'study');
const data = join(place, 'data');
/** What lies in the folder of the sample, its marker included. */
let study: { readonly files: number; readonly bytes: number };

before(async () => {
  await generateSampleStudy(sample, { scale });
  const sizes = filesIn(sample).map((name) => statSync(join(sample, name)).size);
  study = { files: sizes.length, bytes: sizes.reduce((sum, size) => sum + size, 0) };
});

/** What `start --once --json` prints. */
interface Report {
  readonly sealed: { files: number; bytes: number; seconds: number };
  readonly opened: { files: number; identical: number };
  readonly rotated: { key: string; from: number; to: number };
  readonly revoked: { key: string; refused: boolean; code: string };
  readonly ledger: {
    origin: string;
    entries: number;
    verified: boolean;
    tamperDetectedAt: number | null;
    directory: string;
    verifierKey: string;
  };
  readonly restored: { identical: boolean; stillRevoked: boolean; rollbackNoticed: boolean };
  readonly dataDirectory: string;
}

const members: Readonly<Record<string, readonly string[] | undefined>> = {
  sealed: ['files', 'bytes', 'seconds'],
  opened: ['files', 'identical'],
  rotated: ['key', 'from', 'to'],
  revoked: ['key', 'refused', 'code'],
  ledger: ['origin', 'entries', 'verified', 'tamperDetectedAt', 'directory', 'verifierKey'],
  restored: ['identical', 'stillRevoked', 'rollbackNoticed'],
  dataDirectory: undefined,
};

/** Runs the main job, which has to succeed, and holds what it prints against what it has to be. */
async function run(dataDirectory: string, folder: string): Promise<Report> {
  const argv = ['start', '--once', '--json', '--data', dataDirectory, '--port', '0', folder];
  const { status, stdout, stderr } = await trialkeep(argv);
  assert.equal(status, 0, stderr + stdout);
  assert.equal(stderr, '');
  assert.match(stdout, /^\{[^\n]*\}\n$/);
  const report = JSON.parse(stdout) as Report;
  assert.deepEqual(Object.keys(report), Object.keys(members));
  for (const [name, value] of Object.entries(report)) {
    if (members[name] !== undefined) assert.deepEqual(Object.keys(value as object), members[name]);
  }
  assertHeld(report, dataDirectory);
  return report;
}

const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function assertHeld(
  { sealed, opened, rotated, revoked, ledger, restored, ...rest }: Report,
  data: string,
): void {
  assert.ok(sealed.files > 0 && sealed.bytes > 0 && sealed.seconds > 0);
  assert.deepEqual(opened, { files: sealed.files, identical: sealed.files });
  assert.match(rotated.key, uuid);
  assert.equal(rotated.to, rotated.from + 1);
  assert.deepEqual({ ...revoked, key: '' }, { key: '', refused: true, code: 'key.revoked' });
  assert.match(revoked.key, uuid);
  assert.notEqual(revoked.key, rotated.key);
  assert.equal(ledger.verified, true);
  assert.ok(ledger.tamperDetectedAt !== null && ledger.tamperDetectedAt < ledger.entries);
  assert.ok(ledger.directory.startsWith(data));
  assert.ok(ledger.verifierKey.startsWith(`${ledger.origin}+`));
  const { text } = parseNote(readFileSync(join(ledger.directory, 'checkpoint')));
  const { origin, size } = parseCheckpoint(text);
  assert.deepEqual([origin, size], [ledger.origin, ledger.entries]);
  assert.deepEqual(restored, { identical: true, stillRevoked: true, rollbackNoticed: true });
  assert.deepEqual(rest, { dataDirectory: data });
}

interface Verdict {
  readonly status: number;
  readonly verdict: string;
  readonly findings: readonly { readonly code: string; readonly index?: number }[];
}

async function verify(folder: string, { verifierKey }: Report['ledger'], kept?: string): Promise<Verdict> {
  const checkpoint = kept === undefined ? [] : ['--checkpoint', kept];
  const { status, stdout } = await trialkeep([
    'verify',
    folder,
    '--key',
    verifierKey,
    ...checkpoint,
    '--json',
  ]);
  return { ...(JSON.parse(stdout) as Omit<Verdict, 'status'>), status };
}

let first: Report;

test('the main job holds on the sample study, and prints one object that says so [URS-047] [URS-080] [URS-033]', async () => {
  first = await run(data, sample);
  assert.equal(first.sealed.files, study.files);
  assert.equal(first.sealed.bytes, study.bytes);
});

test('what it leaves names no participant [URS-043] [URS-037]', () => {
  const identities = sampleIdentities(scale).flatMap(({ subjectNumber, fullName, address, phone, email }) =>
    [subjectNumber, fullName, address, phone, email].filter((text) => text.length >= 8),
  );
  const canaries = [...new Set(identities)].map((secret, number) => ({ name: `identity ${number}`, secret }));
  assert.ok(
    sightings(canaries, placesIn(sample)).length > canaries.length / 2,
    'the sample names its participants',
  );
  assert.deepEqual(sightings(canaries, placesIn(data)), []);
});

test('anyone can verify its ledger with the printed key, and notices a single byte [URS-033]', async () => {
  const { ledger } = first;
  const kept = join(dirname(ledger.directory), 'kept.checkpoint');
  const whole = await verify(ledger.directory, ledger);
  assert.deepEqual([whole.status, whole.verdict], [0, 'consistent']);
  const continued = await verify(ledger.directory, ledger, kept);
  assert.deepEqual([continued.status, continued.verdict], [0, 'verified']);

  for (const index of [0, Math.floor(ledger.entries / 2), ledger.entries - 1]) {
    const copy = join(makeFolder(), 'ledger');
    cpSync(ledger.directory, copy, { recursive: true });
    editEntry(copy, index, ledger.entries);
    const caught = await verify(copy, ledger, kept);
    assert.deepEqual([caught.status, caught.verdict], [1, 'failed']);
    assert.ok(
      caught.findings.some((finding) => finding.index === index),
      JSON.stringify(caught),
    );
  }
});

test('no file of its ledger can be altered or lost unnoticed [URS-033]', async () => {
  const { ledger } = first;
  for (const name of filesIn(ledger.directory)) {
    const copy = join(makeFolder(), 'ledger');
    cpSync(ledger.directory, copy, { recursive: true });
    const file = join(copy, name);
    const bytes = readFileSync(file);
    const last = bytes.length - 2;
    // A study without signatures has an empty file for them, to which a line can be added.
    if (last >= 0) bytes[last] = (bytes[last] ?? 0) ^ 1;
    writeFileSync(file, last >= 0 ? bytes : '{}\n');
    const caught = await verify(copy, ledger);
    assert.deepEqual([caught.status, caught.verdict], [1, 'failed'], name);
  }
});

/** Changes a digit of the time of an entry: what somebody would do who wants to hide when something happened. */
function editEntry(folder: string, index: number, size: number): void {
  const bundle = Math.floor(index / 256);
  const file = join(folder, bundlePath(bundle, Math.min(256, size - bundle * 256)));
  const bytes = readFileSync(file);
  let offset = 0;
  for (let entry = 0; entry < index % 256; entry += 1) offset += 2 + bytes.readUInt16BE(offset);
  const digit = bytes.indexOf('"time":', offset) + 12;
  bytes[digit] = bytes[digit] === 0x31 ? 0x32 : 0x31;
  writeFileSync(file, bytes);
}

test('a second run on the same data directory holds too', async () => {
  const second = await run(data, sample);
  assert.equal(second.sealed.files, study.files);
  assert.notEqual(second.ledger.directory, first.ledger.directory);
  assert.notEqual(second.ledger.origin, first.ledger.origin);
  assert.equal((await verify(first.ledger.directory, first.ledger)).status, 0);
  assert.deepEqual(readdirSync(join(data, 'runs')).sort(), ['1', '2']);
});

const { folder: inputs, missing } = realInputs();

test('the main job holds on real inputs [URS-047] [URS-080] [URS-033]', { skip: missing }, async () => {
  const { sealed } = await run(join(makeFolder(), 'data'), inputs);
  assert.ok(sealed.files >= 50, 'the inputs are not where they were');
});
