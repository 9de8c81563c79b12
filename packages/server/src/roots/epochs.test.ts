import assert from 'node:assert/strict';
import { existsSync, linkSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { createRoot, openRoot } from './open.ts';
import { Epochs, epochBundle } from './epochs.ts';

async function makeRoot(t: TestContext) {
  const parent = mkdtempSync(join(tmpdir(), 'trialkeep-epochs-'));
  t.after(() => rmSync(parent, { recursive: true, force: true }));
  const folder = join(parent, 'root');
  return { folder, ...(await createRoot(folder)) };
}

const filesOf = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.startsWith('epoch'))
    .sort();

test('an epoch begins durably beside the one before, which opens until it is retired [URS-037]', async (t) => {
  const { folder, epochs } = await makeRoot(t);
  const first = await epochs.current();
  const second = await epochs.begin();
  assert.deepEqual([first.number, second.number, epochs.numbers()], [1, 2, [1, 2]]);
  assert.deepEqual(filesOf(folder), ['epoch-2.json', 'epoch.json']);
  assert.equal(statSync(join(folder, 'epoch-2.json')).mode & 0o777, 0o600);
  assert.ok((await epochs.open(1)).key.key.equals(first.key.key));
  // What was begun and not finished is gone on with.
  const { epochs: again } = await openRoot(folder);
  assert.ok((await again.begin()).key.key.equals(second.key.key));
  await again.retire(1);
  await again.retire(1);
  assert.deepEqual(filesOf(folder), ['epoch-2.json']);
  // A node that held the old key lets go of it when it looks.
  epochs.refresh();
  await assert.rejects(epochs.open(1), { code: 'root.epoch_missing' });
  assert.equal((await epochs.begin()).number, 3);
});

test('the file of a retired epoch is overwritten where it lies, and not only unlinked [URS-037]', async (t) => {
  const { folder, epochs } = await makeRoot(t);
  const kept = join(folder, 'another name of the same file');
  const before = readFileSync(join(folder, 'epoch.json'));
  linkSync(join(folder, 'epoch.json'), kept);
  await epochs.begin();
  await epochs.retire(1);
  assert.ok(!existsSync(join(folder, 'epoch.json')));
  const after = readFileSync(kept);
  assert.equal(after.length, before.length);
  assert.notDeepEqual(after, before);
  assert.throws(() => JSON.parse(after.toString('latin1')) as unknown);
});

test('of two nodes that begin an epoch at once, one key counts for both [URS-037]', async (t) => {
  const { folder, root, epochs } = await makeRoot(t);
  const nodes = [epochs, ...Array.from({ length: 4 }, () => new Epochs(folder, root))];
  const begun = await Promise.all(nodes.map((node) => node.begin()));
  const [one] = begun;
  assert.ok(one && begun.every(({ number, key }) => number === 2 && key.key.equals(one.key.key)));
  assert.deepEqual(filesOf(folder), ['epoch-2.json', 'epoch.json']);
});

test('the newest epoch is never retired, and a folder without epochs says so [URS-037]', async (t) => {
  const { folder, root, epochs } = await makeRoot(t);
  await assert.rejects(epochs.retire(1), /in use/);
  rmSync(join(folder, 'epoch.json'));
  await assert.rejects(new Epochs(folder, root).current(), { code: 'root.epoch_missing' });
  await assert.rejects(new Epochs(folder, root).begin(), { code: 'root.epoch_missing' });
});

test('what a backup has in one file is taken apart, and goes on from there [URS-037] [URS-080]', async (t) => {
  const { folder, root, epochs } = await makeRoot(t);
  const [first, second] = [await epochs.current(), await epochs.begin()];
  const { numbers, content } = epochBundle(folder);
  assert.deepEqual(numbers, [1, 2]);
  for (const name of filesOf(folder)) rmSync(join(folder, name));
  writeFileSync(join(folder, 'epoch.json'), content, { mode: 0o600 });
  const restored = new Epochs(folder, root);
  assert.ok((await restored.open(1)).key.key.equals(first.key.key));
  assert.ok((await restored.begin()).key.key.equals(second.key.key));
  assert.deepEqual(filesOf(folder), ['epoch-1.json', 'epoch-2.json']);
  await restored.retire(1);
  assert.deepEqual(filesOf(folder), ['epoch-2.json']);
});

test('a file of another form, or of nobody, is refused, and nothing is begun [URS-037]', async (t) => {
  const { folder, root, epochs } = await makeRoot(t);
  await epochs.begin();
  const file = join(folder, 'epoch-2.json');
  const good = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  for (const bad of [
    { ...good, format: 3 },
    { ...good, extra: 1 },
    { ...good, epoch: 0 },
    { format: 2, epochs: [] },
  ]) {
    writeFileSync(file, JSON.stringify(bad));
    await assert.rejects(new Epochs(folder, root).current(), { code: 'config.invalid' });
  }
  writeFileSync(file, JSON.stringify({ ...good, id: '00000000-0000-4000-8000-000000000000' }));
  await assert.rejects(new Epochs(folder, root).current(), { code: 'root.passphrase_wrong' });
  writeFileSync(join(folder, 'epoch-02.json'), 'not an epoch, by its name');
  writeFileSync(file, JSON.stringify(good));
  assert.deepEqual(new Epochs(folder, root).numbers(), [1, 2]);
});
