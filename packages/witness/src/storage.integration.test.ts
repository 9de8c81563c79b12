/** A full disk, and a second process on one data directory. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { parseSize } from '@trialkeep/ledger';
import { startChild } from './child.fixture.ts';
import { TestLog } from './log.fixture.ts';
import { configure, make, makeFolder, post, start } from './process.fixture.ts';

/** Mounts a disk of eight MiB, in memory, for the test; or says why that is not possible here. */
function mountSmallDisk(t: TestContext): { readonly folder: string } | { readonly reason: string } {
  if (process.getuid?.() !== 0) return { reason: 'mounting a small disk needs the superuser' };
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-witness-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=0700', 'tmpfs', folder], { stdio: 'pipe' });
  } catch (error) {
    rmSync(folder, { recursive: true });
    return { reason: `a small disk cannot be mounted here: ${String(error).split('\n')[1] ?? ''}` };
  }
  t.after(() => {
    execFileSync('umount', ['--lazy', folder], { stdio: 'pipe' });
    rmSync(folder, { recursive: true });
  });
  return { folder };
}

/** Takes all space, in steps of one page. */
function fill(folder: string): string {
  const file = join(folder, 'filler');
  const { bavail, bsize } = statfsSync(folder);
  writeFileSync(file, Buffer.alloc(Math.max(0, bavail * bsize)));
  return file;
}

test('a witness on a full disk cosigns nothing, and goes on once there is room [URS-034]', async (t) => {
  const disk = mountSmallDisk(t);
  if ('reason' in disk) return t.skip(disk.reason);
  const { folder } = disk;
  const log = new TestLog().append(1);
  await make(folder, 'witness');
  configure(folder, log);
  const { url, close } = await start(folder, 'witness');
  t.after(close);
  assert.equal((await post(url, 'add-checkpoint', await log.addCheckpoint(0))).status, 200);
  const filler = fill(folder);
  let refused = 0;
  for (let i = 0; i < 40; i++) {
    log.append(1);
    const answer = await post(url, 'add-checkpoint', await log.addCheckpoint(log.size - 1));
    // The write-ahead log may have some room left in its file.
    if (answer.status === 200) continue;
    assert.equal(answer.status, 503);
    assert.doesNotMatch(answer.text, /—/);
    refused += 1;
    const asked = await post(url, 'add-checkpoint', await log.addCheckpoint(0));
    assert.deepEqual(
      [asked.status, parseSize(Buffer.from(asked.text))],
      [409, log.size - 1],
      'nothing moved',
    );
    break;
  }
  assert.ok(refused > 0, 'the disk was full');
  rmSync(filler);
  assert.equal((await post(url, 'add-checkpoint', await log.addCheckpoint(log.size - 1))).status, 200);
});

test('a mirror on a full disk signs for nothing, and resumes once there is room [URS-034]', async (t) => {
  const disk = mountSmallDisk(t);
  if ('reason' in disk) return t.skip(disk.reason);
  const { folder } = disk;
  const log = new TestLog().appendMany(1000, 1000);
  await make(folder, 'mirror');
  configure(folder, log);
  const { url, close } = await start(folder, 'mirror');
  t.after(close);
  assert.equal((await post(url, 'add-checkpoint', await log.addCheckpoint(0))).status, 200);
  const filler = fill(folder);
  const refused = await post(url, 'add-entries', await log.addEntries(0));
  assert.equal(refused.status, 503);
  rmSync(filler);
  assert.equal((await post(url, 'add-entries', await log.addEntries(0))).status, 200);
});

test('a second process on one data directory is refused, and the next one is not [URS-034]', async (t) => {
  const folder = makeFolder(t);
  await make(folder, 'witness');
  const first = await startChild('witness', folder);
  t.after(first.kill);
  await assert.rejects(startChild('witness', folder), /witness\.in_use/);
  await assert.rejects(startChild('mirror', folder), /witness\.other_role/);
  await first.kill();
  const second = await startChild('witness', folder);
  assert.equal(await second.stop(), 0);
});

test('only loopback without TLS, unless a proxy is said to terminate it [URS-034]', async (t) => {
  const folder = makeFolder(t);
  await make(folder, 'witness');
  await assert.rejects(startChild('witness', folder, ['--host', '0.0.0.0']), /witness\.address_refused/);
  const behind = await startChild('witness', folder, ['--host', '0.0.0.0', '--behind-tls-proxy']);
  assert.equal(await behind.stop(), 0);
  const halfTls = ['--host', '0.0.0.0', '--tls-certificate', join(folder, 'keys.json')];
  await assert.rejects(startChild('witness', folder, halfTls), /witness\.tls_unusable/);
});
