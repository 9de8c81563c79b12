import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { suite, test } from 'node:test';
import { backupInstance } from './backup.ts';
import { contentOf, copyOf, makeFolder, open, pathsDuring, refusal, shareInstance } from './fixture.test.ts';
import { lockSnapshots, sweepLeftovers } from './leftovers.ts';
import { dataDirectory } from '../platform/config.ts';

/** What a killed restore and a killed backup leave in a data directory. */
function leave(data: string): string[] {
  const files = [
    'restoring-1/root/root.json',
    'state/trialkeep.db.snapshot',
    'shred/shred.db.snapshot-journal',
  ];
  for (const file of files) {
    mkdirSync(dirname(join(data, file)), { recursive: true });
    writeFileSync(join(data, file), 'left over');
  }
  return files;
}

suite('self-backup', () => {
  const whole = shareInstance();

  test('a backup makes one copy of a database at a time, and leaves none [URS-080]', async (t) => {
    const data = copyOf(whole.data, t);
    const before = contentOf(data);
    const seen = await pathsDuring(data, backupInstance(data, join(makeFolder(t), 'backup')));
    const copies = [...seen].filter(
      (name) => !Object.hasOwn(before, name) && /trialkeep\.db.|shred\.db./.test(name),
    );
    const expected = /^(state\/trialkeep|shred\/shred)\.db(\.snapshot(-journal)?|-wal|-shm)$/;
    assert.ok(copies.includes('state/trialkeep.db.snapshot'), copies.join());
    assert.deepEqual(
      copies.filter((name) => !expected.test(name)),
      [],
    );
    for (const [name, digest] of Object.entries(before)) assert.equal(contentOf(data)[name], digest, name);
    assert.ok(!Object.keys(contentOf(data)).some((name) => name.includes('snapshot')));
  });

  test('one backup of an installation is taken at a time, beside its server [URS-080]', async (t) => {
    const data = copyOf(whole.data, t);
    const folder = makeFolder(t);
    const instance = await open(data);
    const targets = ['first', 'second'].map((name) => join(folder, name));
    const results = await Promise.allSettled(targets.map(async (target) => backupInstance(data, target)));
    await instance.close();
    for (const [i, result] of results.entries()) {
      const whole = existsSync(join(targets[i] ?? '', 'manifest.json'));
      assert.equal(whole, result.status === 'fulfilled');
      if (result.status === 'rejected')
        assert.ok(refusal('data.in_use')(result.reason), String(result.reason));
    }
    assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1);
  });

  test('each backup has an id of its own', async (t) => {
    const data = copyOf(whole.data, t);
    const folder = makeFolder(t);
    const ids = [];
    for (const name of ['first', 'second']) ids.push((await backupInstance(data, join(folder, name))).id);
    assert.notEqual(ids[0], ids[1]);
  });

  test('whoever opens an installation clears away what a killed restore and a killed backup have left', async (t) => {
    const data = copyOf(whole.data, t);
    const before = readdirSync(data);
    const files = leave(data);
    await (await open(data)).close();
    assert.deepEqual(
      files.filter((file) => existsSync(join(data, file))),
      [],
    );
    assert.deepEqual(
      readdirSync(data).filter((name) => !name.endsWith('lock')),
      before.filter((name) => !name.endsWith('lock')),
    );
  });

  test('a backup clears away the snapshots of a killed one, and leaves a restore alone', async (t) => {
    const data = copyOf(whole.data, t);
    const files = leave(data);
    await backupInstance(data, join(makeFolder(t), 'backup'));
    assert.deepEqual(
      files.filter((file) => existsSync(join(data, file))),
      ['restoring-1/root/root.json'],
    );
  });

  test('the snapshot of a backup that is running is not cleared away', async (t) => {
    const data = copyOf(whole.data, t);
    const directory = dataDirectory(data);
    leave(data);
    const lock = lockSnapshots(directory);
    sweepLeftovers(directory);
    lock.release();
    assert.deepEqual(
      readdirSync(directory.state).filter((name) => name.endsWith('.snapshot')),
      ['trialkeep.db.snapshot'],
    );
    sweepLeftovers(directory);
    assert.deepEqual(
      readdirSync(directory.state).filter((name) => name.endsWith('.snapshot')),
      [],
    );
  });
});
