import assert from 'node:assert/strict';
import { readdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { archiveLedger } from './archive.ts';
import { GrowingLog, folderKind, makeFolder } from './fixture.test.ts';
import { folderStore } from './folder-store.ts';
import { parseBucketPlace } from './s3-store.ts';
import { testArchives, verdictOf, withCode } from './suite.fixture.test.ts';

testArchives(folderKind);

test('an archive is the log, whatever the sizes at which it was taken [URS-033]', async (t) => {
  const sizes = fc.array(fc.integer({ min: 0, max: 700 }), { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(sizes, async (steps) => {
      const folder = join(makeFolder(t), 'archive');
      const log = new GrowingLog().grow(1);
      for (const step of steps) await archiveLedger(log.grow(step), folderStore(folder));
      assert.deepEqual(await verdictOf(folder, log.verifierKeys), ['consistent', log.entries.length, []]);
    }),
    { numRuns: 12 },
  );
});

test('a place that cannot be read or written is an error that says so', async (t) => {
  const folder = makeFolder(t);
  writeFileSync(join(folder, 'file'), 'not a folder');
  const log = new GrowingLog().grow(3);
  const blocked = archiveLedger(log, folderStore(join(folder, 'file', 'archive')));
  await assert.rejects(blocked, withCode('archive.unwritable'));
  const archive = join(folder, 'archive');
  await archiveLedger(log, folderStore(archive));
  for (const note of ['', 'rubbish', Buffer.alloc(10, 0xff)]) {
    writeFileSync(join(archive, 'checkpoint'), note);
    await assert.rejects(archiveLedger(log, folderStore(archive)), withCode('archive.altered'));
  }
  renameSync(join(archive, 'checkpoint'), join(folder, 'old'));
  assert.equal((await archiveLedger(log, folderStore(archive))).previousSize, 0);
  assert.ok(readdirSync(archive).every((file) => !file.endsWith('.part')));
});

test('a bucket is named by s3://bucket/prefix and by nothing else', () => {
  assert.deepEqual(parseBucketPlace('s3://bucket'), { bucket: 'bucket', prefix: '' });
  assert.deepEqual(parseBucketPlace('s3://my.bucket/a/b/'), { bucket: 'my.bucket', prefix: 'a/b' });
  for (const other of [
    'bucket',
    'S3://bucket',
    's3://',
    's3://B',
    's3://bucket/a b',
    's3://-a/b',
    'https://x',
  ]) {
    assert.equal(parseBucketPlace(other), undefined, other);
  }
});
