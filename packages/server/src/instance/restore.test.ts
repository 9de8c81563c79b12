import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { suite, test } from 'node:test';
import type { TestContext } from 'node:test';
import { openDatabase } from '../platform/database.ts';
import { backupInstance } from './backup.ts';
import type { Manifest } from './backup.ts';
import {
  contentOf,
  copyOf,
  makeFolder,
  makeInstance,
  open,
  pathsDuring,
  refusal,
  shareInstance,
} from './fixture.test.ts';
import { restoreInstance } from './restore.ts';

const databaseOf = (data: string): string => join(data, 'state', 'trialkeep.db');
const shredStoreOf = (data: string): string => join(data, 'shred', 'shred.db');

/** An installation without its database, as the operator leaves it to a restore. */
function lose(data: string): void {
  rmSync(join(data, 'state'), { recursive: true });
}

function changeManifest(backup: string, change: (manifest: Manifest) => Partial<Manifest>): void {
  const file = join(backup, 'manifest.json');
  const manifest = JSON.parse(readFileSync(file, 'utf8')) as Manifest;
  writeFileSync(file, JSON.stringify({ ...manifest, ...change(manifest) }));
}

/** Puts a part of one backup into another, and makes the manifest fit. */
function transplant(from: string, to: string, path: string): void {
  copyFileSync(join(from, path), join(to, path));
  const bytes = readFileSync(join(to, path));
  const described = { path, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
  changeManifest(to, ({ files }) => ({
    files: files.map((file) => (file.path === path ? described : file)),
  }));
}

function countKeys(data: string): unknown {
  const store = new DatabaseSync(shredStoreOf(data));
  const row = store.prepare('select count(*) as keys from shreddable_key').get();
  store.close();
  return row?.['keys'];
}

suite('self-restore', () => {
  const whole = shareInstance();
  const copies = (t: TestContext) => ({ data: copyOf(whole.data, t), backup: copyOf(whole.backup, t) });

  for (const suffix of ['-wal', '-shm', '-journal']) {
    test(`nothing is restored beside the ${suffix} of a lost database [URS-080]`, async (t) => {
      const { data, backup } = copies(t);
      lose(data);
      mkdirSync(join(data, 'state'));
      writeFileSync(`${databaseOf(data)}${suffix}`, 'left over');
      const before = contentOf(data);
      await assert.rejects(restoreInstance(data, backup), refusal('restore.target_not_empty'));
      assert.deepEqual(contentOf(data), before);
    });
  }

  test('what a lost shred store has left is not played into the restored one; what is there is kept [URS-080]', async (t) => {
    const { data, backup } = copies(t);
    // The write-ahead log of a later state, as a killed server leaves it.
    const killed = join(makeFolder(t), 'killed');
    const writing = new DatabaseSync(shredStoreOf(data));
    writing.exec("insert into shreddable_key values ('later', 't', 'study', 'v', 1, zeroblob(1))");
    cpSync(data, killed, { recursive: true });
    writing.close();
    lose(killed);
    const withStore = `${killed}-with-store`;
    cpSync(killed, withStore, { recursive: true });
    rmSync(shredStoreOf(killed));
    assert.ok(existsSync(`${shredStoreOf(killed)}-wal`));

    await restoreInstance(killed, backup);
    assert.ok(!existsSync(`${shredStoreOf(killed)}-wal`));
    assert.equal(countKeys(killed), 0);
    await restoreInstance(withStore, backup);
    assert.equal(countKeys(withStore), 1);
  });

  test('a restored database gets its write-ahead log before anybody reads it', async (t) => {
    const { data, backup } = copies(t);
    lose(data);
    await restoreInstance(data, backup);
    const database = openDatabase(databaseOf(data), 'main');
    // Read and write version of the file format: 2 is a write-ahead log (sqlite.org/fileformat2.html, 1.3.3).
    const versions = [...readFileSync(databaseOf(data)).subarray(18, 20)];
    await database.close();
    assert.deepEqual(versions, [2, 2]);
  });

  test("nothing is restored under another installation's root of trust [URS-080]", async (t) => {
    const { backup } = copies(t);
    const other = await makeInstance(t);
    for (const lost of ['state', 'shred', 'trialkeep.json']) rmSync(join(other, lost), { recursive: true });
    const before = contentOf(other);
    await assert.rejects(restoreInstance(other, backup), refusal('restore.other_root'));
    assert.deepEqual(contentOf(other), before);
  });

  for (const kind of ['pkcs11', 'aws-kms', 'azure-key-vault']) {
    test(`what a backup says of a root of kind ${kind} is not acted on unless the operator has put it there [URS-080]`, async (t) => {
      const { data, backup } = copies(t);
      const { id } = JSON.parse(readFileSync(join(backup, 'root', 'root.json'), 'utf8')) as { id: string };
      const forged = join(makeFolder(t), 'forged');
      mkdirSync(join(forged, 'root'), { recursive: true });
      const content = JSON.stringify({ format: 1, id, kind, module: '/nowhere/library.so', keyLabel: 'x' });
      writeFileSync(join(forged, 'root', 'root.json'), content);
      transplant(forged, backup, 'root/root.json');
      const fresh = join(makeFolder(t), 'data');
      cpSync(join(data, 'root', 'passphrase'), join(fresh, 'root', 'passphrase'));
      const before = contentOf(fresh);
      await assert.rejects(restoreInstance(fresh, backup), refusal('restore.root_unconfirmed'));
      assert.deepEqual(contentOf(fresh), before);
      // The operator's own is taken, and the backup's is not looked at.
      cpSync(join(data, 'root', 'root.json'), join(fresh, 'root', 'root.json'));
      await restoreInstance(fresh, backup);
      await (await open(fresh)).close();
    });
  }

  test('the configuration of a backup names no root outside of the data directory [URS-080]', async (t) => {
    const { data, backup } = copies(t);
    const outside = makeFolder(t);
    cpSync(join(data, 'root', 'passphrase'), join(outside, 'passphrase'));
    const name = 'trialkeep.json';
    const configuration = JSON.parse(readFileSync(join(data, name), 'utf8')) as object;
    const restore = async (root: string) => {
      const changed = makeFolder(t);
      writeFileSync(join(changed, name), JSON.stringify({ ...configuration, root }));
      transplant(changed, backup, name);
      const fresh = join(makeFolder(t), 'data');
      cpSync(join(data, 'root', 'passphrase'), join(fresh, 'within', 'passphrase'));
      return { fresh, changed, work: () => restoreInstance(fresh, backup) };
    };
    for (const root of [outside, '../elsewhere', 'root/../..']) {
      const { work } = await restore(root);
      await assert.rejects(work(), refusal('restore.root_elsewhere'), root);
    }
    await (await restore('within')).work();
    // A configuration of the operator's own may name it.
    const { fresh, changed, work } = await restore(outside);
    cpSync(join(changed, name), join(fresh, name));
    await work();
    assert.ok(existsSync(join(outside, 'root.json')));
  });

  test('parts of different backups do not make one [URS-080]', async (t) => {
    const { data, backup } = copies(t);
    const later = join(makeFolder(t), 'later');
    const { id } = await backupInstance(data, later);
    transplant(backup, later, 'shred/shred.db.sealed');
    lose(data);
    const before = contentOf(data);
    await assert.rejects(restoreInstance(data, later), refusal('backup.damaged'));
    // Nor as the other backup.
    changeManifest(later, () => ({
      id: (JSON.parse(readFileSync(join(backup, 'manifest.json'), 'utf8')) as Manifest).id,
    }));
    await assert.rejects(restoreInstance(data, later), refusal('backup.damaged'));
    // Nor with the time of another.
    changeManifest(backup, ({ createdAt }) => ({ createdAt: createdAt + 1 }));
    await assert.rejects(restoreInstance(data, backup), refusal('backup.damaged'));
    assert.deepEqual(contentOf(data), before);
    assert.match(id, /^[0-9a-f-]{36}$/);
  });

  test('a restore tells how new the database is from the database, not from the manifest [URS-080]', async (t) => {
    const { data, backup } = copies(t);
    const { logs } = JSON.parse(readFileSync(join(backup, 'manifest.json'), 'utf8')) as Manifest;
    changeManifest(backup, () => ({ logs: { elsewhere: 1_000_000 } }));
    lose(data);
    assert.deepEqual((await restoreInstance(data, backup)).logs, logs);
  });

  test('a restore copies no passphrase, and leaves nothing of its own [URS-080]', async (t) => {
    const { data, backup } = copies(t);
    lose(data);
    const seen = await pathsDuring(data, restoreInstance(data, backup));
    assert.ok([...seen].some((name) => name.startsWith('restoring-')));
    assert.deepEqual(
      [...seen].filter((name) => name.endsWith('passphrase')),
      ['root/passphrase'],
    );
    assert.ok(!Object.keys(contentOf(data)).some((name) => name.startsWith('restoring-')));
  });

  test('onto a new machine everything but the passphrase comes from the backup; the anchor stays missing [URS-080]', async (t) => {
    const { data, backup } = copies(t);
    const fresh = join(makeFolder(t), 'data');
    await assert.rejects(restoreInstance(fresh, backup), refusal('root.passphrase_missing'));
    assert.deepEqual(contentOf(fresh), {});
    cpSync(join(data, 'root', 'passphrase'), join(fresh, 'root', 'passphrase'));
    const done = await restoreInstance(fresh, backup);
    assert.equal(done.restored.length, 5);
    assert.equal(done.anchor, 'missing');
    assert.deepEqual(Object.keys(done.unanchored), Object.keys(done.logs));
    const instance = await open(fresh);
    await instance.close();
    assert.equal(instance.recovery.length, 1);
  });

  test('a lost anchor is accepted only when that is said, and only where it is lost [URS-080]', async (t) => {
    const { data, backup } = copies(t);
    const fresh = join(makeFolder(t), 'data');
    cpSync(join(data, 'root', 'passphrase'), join(fresh, 'root', 'passphrase'));
    const accepted = await restoreInstance(fresh, backup, { acceptLostAnchor: true });
    assert.equal(accepted.anchor, 'accepted');
    assert.deepEqual(Object.values(accepted.unanchored), [1]);
    const instance = await open(fresh);
    await instance.close();
    assert.deepEqual(instance.recovery, []);

    // An anchor that is there is never overwritten.
    const anchor = contentOf(join(data, 'anchor'));
    const [name = ''] = Object.keys(anchor);
    const note = readFileSync(join(data, 'anchor', name), 'utf8');
    const newer = note.replace('\n1\n', '\n2\n');
    assert.notEqual(newer, note);
    writeFileSync(join(data, 'anchor', name), newer);
    lose(data);
    const kept = await restoreInstance(data, backup, { acceptLostAnchor: true });
    assert.equal(kept.anchor, 'kept');
    assert.deepEqual(kept.unanchored, {});
    assert.equal(readFileSync(join(data, 'anchor', name), 'utf8'), newer);
  });
});
