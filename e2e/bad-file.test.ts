import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { contentOf, filesIn } from './folder.ts';
import { answerOf, asCaller, clientOf, failureOf, makeFolder } from './harness.ts';
import { newInstallation, ServerProcess, trialkeep } from './harness.ts';
import type { RunOptions } from './harness.ts';
import { mountSmallDisk } from './small-disk.ts';
import { newSystem, newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';

let server: ServerProcess;
let tenant: Tenant;
let stranger: Tenant;
let otherKey: string;
const folder = makeFolder();
const at = (name: string): string => join(folder, name);

before(async () => {
  const { data, administrator } = await newInstallation();
  server = await ServerProcess.start(data);
  tenant = await newTenant(server, administrator.secret, 'Sponsor');
  stranger = await newTenant(server, administrator.secret, 'Other sponsor');
  otherKey = (await newSystem(clientOf(server, tenant.credentials.custodian.secret), 'Other EDC')).key;
  for (const name of ['one', 'two']) writeFileSync(at(name), noise(plaintextBytes));
  await answerOf(['seal', 'one', 'two', ...key(), '--context', 'class=ecg'], asService());
});

/** Two frames and a part of one. */
const plaintextBytes = 600_000;
/** Random bytes that do not happen to begin as a message of the format does. */
const noise = (length: number): Buffer => Buffer.concat([Buffer.from('N'), randomBytes(length - 1)]);

const key = (): string[] => ['--key', tenant.key];
const asService = (more: RunOptions = {}, of = tenant): RunOptions => ({
  cwd: folder,
  ...more,
  env: asCaller(server, of.credentials.service.secret),
});

/** Runs the command, which has to fail with that code, and sees that the folder is as it was, temporary files included. */
async function assertFails(what: string, argv: string[], code: string, options = asService()): Promise<void> {
  const before = contentOf(folder);
  const failure = await failureOf(argv, options);
  assert.deepEqual([failure.code, failure.status], [code, 1], `${what}: ${failure.message}`);
  assert.deepEqual(contentOf(folder), before, what);
}

/** What somebody makes of a sealed file; offsets are of the AWS Encryption SDK message format 2.0. */
function spoilt(): [string, Buffer, string][] {
  const [one, two] = [readFileSync(at('one.sealed')), readFileSync(at('two.sealed'))];
  const flip = (offset: number): Buffer => {
    const copy = Buffer.from(one);
    copy[offset] = (copy[offset] ?? 0) ^ 1;
    return copy;
  };
  // Both headers have the same length: context and key are the same.
  const bodyAt = one.length - (plaintextBytes + 3 * (4 + 12 + 16) + 8);
  return [
    ['empty', Buffer.alloc(0), 'seal.damaged'],
    ['noise', noise(5000), 'seal.not_sealed'],
    ['plaintext', readFileSync(at('one')), 'seal.not_sealed'],
    ['header cut off', one.subarray(0, 200), 'seal.damaged'],
    ['body missing', one.subarray(0, bodyAt), 'seal.damaged'],
    ['last frame missing', one.subarray(0, bodyAt + 2 * 262_176), 'seal.damaged'],
    ['last byte missing', one.subarray(0, -1), 'seal.damaged'],
    ['lengthened', Buffer.concat([one, Buffer.alloc(1)]), 'seal.damaged'],
    ['suite changed', flip(2), 'seal.not_sealed'],
    ['message id changed', flip(10), 'seal.damaged'],
    ['first frame changed', flip(bodyAt + 1000), 'seal.damaged'],
    ['last frame changed', flip(one.length - 100), 'seal.damaged'],
    ['tag changed', flip(one.length - 1), 'seal.damaged'],
    ['body of another file', Buffer.concat([one.subarray(0, bodyAt), two.subarray(bodyAt)]), 'seal.damaged'],
  ];
}

test('a sealed file that is not as it was written leaves nothing under the target name [URS-047]', async () => {
  for (const [what, bytes, code] of spoilt()) {
    writeFileSync(at('spoilt.sealed'), bytes);
    await assertFails(what, ['open', 'spoilt.sealed'], code);
  }
  rmSync(at('spoilt.sealed'));
  const opened = await trialkeep(
    ['open', 'one.sealed', '--out', 'opened', '--context', 'class=ecg'],
    asService(),
  );
  assert.equal(opened.status, 0, opened.stderr);
  assert.ok(readFileSync(at('opened')).equals(readFileSync(at('one'))));
  rmSync(at('opened'));
});

test('a sealed file opens only under its context and for who may use its key [URS-012] [URS-049]', async () => {
  const open = ['open', 'one.sealed', '--out', 'target'];
  await assertFails('another class', [...open, '--context', 'class=dicom'], 'seal.context_mismatch');
  await assertFails('none of the allowed keys', [...open, '--key', otherKey], 'seal.no_key');
  await assertFails("another tenant's service", open, 'key.unknown', asService({}, stranger));
  await assertFails(
    'an unknown key',
    ['seal', 'one', '--out', 'target', '--key', randomUUID()],
    'key.unknown',
  );
  await assertFails(
    "another system's key",
    ['seal', 'one', '--out', 'target', '--key', otherKey],
    'key.unknown',
  );
});

test('what is no file to read, or no place to write, is said before anything is written', async () => {
  mkdirSync(at('folder'));
  const seal = (source: string, target: string) => ['seal', source, '--out', target, ...key()];
  await assertFails('no such file', seal('nowhere', 'target'), 'seal.source_missing');
  await assertFails('a device', seal('/dev/zero', 'target'), 'seal.source_not_a_file');
  await assertFails('an existing target', seal('one', 'two'), 'seal.target_exists');
  await assertFails('a folder as target', seal('one', 'folder'), 'seal.target_not_a_file');
  await assertFails('no folder for the target', seal('one', 'nowhere/target'), 'seal.target_unwritable');
  await assertFails('an existing opened file', ['open', 'one.sealed'], 'seal.target_exists');
});

test('of several files, those that fail are named and the others are done', async () => {
  writeFileSync(at('three.sealed'), 'garbage');
  const argv = ['open', 'one.sealed', 'three.sealed', 'two.sealed', '--out-dir', 'several', '--json'];
  const { status, stdout, stderr } = await trialkeep(argv, asService());
  assert.equal(status, 1);
  assert.equal((JSON.parse(stderr) as { error: { code: string } }).error.code, 'cli.some_failed');
  const { files, failed } = JSON.parse(stdout) as {
    files: object[];
    failed: { source: string; error: { code: string } }[];
  };
  assert.equal(files.length, 2);
  assert.deepEqual(
    failed.map(({ source, error }) => [source, error.code]),
    [['three.sealed', 'seal.not_sealed']],
  );
  assert.deepEqual(filesIn(at('several')), ['one', 'two']);
  rmSync(at('several'), { recursive: true });
  rmSync(at('three.sealed'));
});

test('a file that grows while it is sealed is not sealed', async () => {
  writeFileSync(at('growing'), randomBytes(16_000_000));
  let timer: NodeJS.Timeout | undefined;
  const options = asService({
    onStart: () => (timer = setInterval(() => appendFileSync(at('growing'), 'one more line\n'), 1)),
  });
  try {
    const failure = await failureOf(['seal', 'growing', ...key()], options);
    assert.deepEqual([failure.code, failure.status], ['seal.source_changed', 1]);
  } finally {
    clearInterval(timer);
  }
  assert.deepEqual(filesIn(folder), ['growing', 'one', 'one.sealed', 'two', 'two.sealed']);
  rmSync(at('growing'));
});

test('a file that may not be read is said to be so', async (t) => {
  const place = makeFolder();
  writeFileSync(join(place, 'unreadable'), 'secret', { mode: 0o000 });
  const options = asService({ cwd: place });
  const superuser = process.getuid?.() === 0;
  // The superuser reads everything: somebody else has to try.
  const nobody = 65_534;
  if (superuser) {
    chmodSync(place, 0o755);
    chownSync(place, nobody, nobody);
    const tried = await trialkeep(['--version'], { cwd: place, uid: nobody });
    if (tried.status !== 0) return t.skip('another account cannot run the command from this folder');
  }
  const failure = await failureOf(
    ['seal', 'unreadable', ...key()],
    superuser ? { ...options, uid: nobody } : options,
  );
  assert.deepEqual([failure.code, failure.status], ['seal.source_unreadable', 1]);
  assert.deepEqual(filesIn(place), ['unreadable']);
});

test('a full disk is named, and keeps no part of a file [URS-046]', async (t) => {
  const small = join(makeFolder(), 'small');
  const impossible = mountSmallDisk(small, 1);
  if (impossible !== undefined) return t.skip(impossible);
  writeFileSync(at('large'), randomBytes(3_000_000));
  await answerOf(['seal', 'large', ...key()], asService());
  await assertFails('sealing', ['seal', 'large', '--out-dir', small, ...key()], 'seal.no_space');
  await assertFails('opening', ['open', 'large.sealed', '--out-dir', small], 'seal.no_space');
  assert.deepEqual(filesIn(small), []);
});
