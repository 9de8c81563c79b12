import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { bundlePath, formatVerifierKey, LedgerError } from '@trialkeep/ledger';
import { SealError, TrialkeepError } from '../errors.ts';
import { exportLedger } from './export.ts';
import { inFolder, StandInLog } from './fixture.test.ts';
import { sha256, verifierOf } from './primitives.ts';
import { verifyFolder } from './verify-folder.ts';

function withCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof TrialkeepError && error.code === code;
}

test('an exported ledger verifies offline, entry by entry [URS-033]', async () => {
  for (const size of [0, 1, 255, 256, 257, 700]) {
    await inFolder(async (parent) => {
      const log = new StandInLog(size);
      const folder = join(parent, 'new', 'export');
      const steps: string[] = [];
      const exported = await exportLedger(log, folder, {
        onProgress: (step, done, total) => steps.push(`${step} ${done}/${total}`),
      });
      assert.equal(exported.verdict, 'consistent');
      assert.equal(exported.verifierKey, log.verifierKey);
      assert.deepEqual([exported.size, exported.entriesChecked], [size, size]);
      if (size > 0)
        assert.ok(steps.includes(`fetch ${size}/${size}`) && steps.includes(`verify ${size}/${size}`));
      assert.equal((await stat(join(folder, 'checkpoint'))).mode & 0o777, 0o600);

      const entries: string[] = [];
      const { verifierKey } = log;
      const onEntry = (index: number, entry: Uint8Array) =>
        void entries.push(`${index} ${Buffer.from(entry).toString()}`);
      const alone = await verifyFolder({ folder, verifierKey, onEntry });
      assert.deepEqual([alone.verdict, alone.freshness, alone.findings], ['consistent', 'unproven', []]);
      assert.deepEqual(
        entries,
        Array.from({ length: size }, (_, index) => `${index} {"entry":${index}}`),
      );
      const keptCheckpoint = await log.checkpoint();
      const kept = await verifyFolder({ folder, verifierKey, keptCheckpoint });
      assert.deepEqual([kept.verdict, kept.freshness], ['verified', 'kept checkpoint']);
    });
  }
});

test('one changed byte of an export is named by its entry [URS-033]', async () => {
  await inFolder(async (folder) => {
    const log = new StandInLog(300);
    await exportLedger(log, folder);
    const path = join(folder, bundlePath(1, 44));
    const bundle = await readFile(path);
    const at = bundle.indexOf('"entry":260');
    bundle[at + 1] = 'E'.charCodeAt(0);
    await writeFile(path, bundle);
    const { verdict, findings } = await verifyFolder({ folder, verifierKey: log.verifierKey });
    assert.equal(verdict, 'failed');
    assert.deepEqual(
      findings.map(({ code, index }) => [code, index]),
      [['entry.edited', 260]],
    );
  });
});

test('what a server sends is not believed: an altered export is refused, and kept to be examined [URS-033]', async () => {
  await inFolder(async (folder) => {
    const log = new StandInLog(300);
    log.alter(bundlePath(0, 256), 10);
    await assert.rejects(exportLedger(log, folder), (error: unknown) => {
      return (
        error instanceof SealError && error.code === 'export.not_verified' && /entry 0/i.test(error.message)
      );
    });
    const { verdict } = await verifyFolder({ folder, verifierKey: log.verifierKey });
    assert.equal(verdict, 'failed');
  });
  await inFolder(async (folder) => {
    const log = new StandInLog(300);
    const { verifierKey } = new StandInLog(1);
    await assert.rejects(exportLedger(log, folder, { verifierKey }), withCode('export.not_verified'));
  });
  await inFolder(async (folder) => {
    const log = new StandInLog(300);
    log.drop(bundlePath(0, 256));
    await assert.rejects(exportLedger(log, folder), withCode('tile.unknown'));
    await assert.rejects(
      stat(join(folder, 'checkpoint')),
      'an export that was not finished has no checkpoint',
    );
  });
});

test('a folder that holds something is not exported into', async () => {
  await inFolder(async (folder) => {
    await writeFile(join(folder, 'notes.txt'), 'mine');
    await assert.rejects(exportLedger(new StandInLog(3), folder), withCode('export.folder_not_empty'));
    assert.equal(await readFile(join(folder, 'notes.txt'), 'utf8'), 'mine');
    await assert.rejects(
      exportLedger(new StandInLog(3), join(folder, 'notes.txt')),
      withCode('export.folder_unwritable'),
    );
  });
});

test('pipes, links, missing and over-long files in a folder from anybody are findings, not hangs [URS-033]', async () => {
  await inFolder(async (folder) => {
    const log = new StandInLog(300);
    const { verifierKey } = log;
    await exportLedger(log, folder);
    const bundle = join(folder, bundlePath(0, 256));
    const codes = async () => (await verifyFolder({ folder, verifierKey })).findings.map(({ code }) => code);

    await rename(bundle, `${bundle}.kept`);
    assert.deepEqual(await codes(), ['bundle.missing', 'log.extra_file']);
    execFileSync('mkfifo', [bundle]);
    assert.deepEqual(await codes(), ['bundle.missing', 'log.extra_file']);
    await rm(bundle);
    await symlink('/dev/zero', bundle);
    assert.deepEqual(await codes(), ['bundle.missing', 'log.extra_file']);
    await rm(bundle);
    await mkdir(bundle);
    assert.deepEqual(await codes(), ['bundle.missing', 'log.extra_file']);
    await rm(bundle, { recursive: true });
    await writeFile(bundle, Buffer.concat([await readFile(`${bundle}.kept`), Buffer.alloc(20_000_000)]));
    assert.ok((await codes()).includes('bundle.malformed'));
  });
});

test('a folder that is not there, and a key that is none, are errors with a fix', async () => {
  const { verifierKey } = new StandInLog(1);
  const none = verifyFolder({ folder: '/nowhere/at/all', verifierKey });
  await assert.rejects(none, withCode('verify.folder_unreadable'));
  await assert.rejects(
    verifyFolder({ folder: '/dev/null', verifierKey }),
    withCode('verify.folder_unreadable'),
  );
  assert.throws(() => verifierOf(`${verifierKey}x`), LedgerError);
  const ecdsa = formatVerifierKey(sha256, StandInLog.origin, 2, new Uint8Array(91));
  assert.throws(() => verifierOf(ecdsa), withCode('verify.key_unsupported'));
});

test('a pruned log is exported from its minimum index on, with all its tiles [URS-033] [URS-039]', async () => {
  await inFolder(async (folder) => {
    const log = new StandInLog(700);
    log.minimumIndex = 512;
    for (const path of ['tile/entries/000', 'tile/entries/001']) log.drop(path);
    const exported = await exportLedger(log, folder);
    assert.deepEqual([exported.minimumIndex, exported.verdict], [512, 'consistent']);
    const { verifierKey } = log;
    const told = await verifyFolder({ folder, verifierKey, prunedBelow: 512 });
    assert.equal(told.verdict, 'consistent');
    assert.equal((await verifyFolder({ folder, verifierKey })).verdict, 'failed');
  });
});
