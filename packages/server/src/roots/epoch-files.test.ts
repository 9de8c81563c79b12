import assert from 'node:assert/strict';
import {
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { dieAt } from './epoch-files.fixture.test.ts';
import { Epochs, epochBundle } from './epochs.ts';
import { copyEpochs, dropEpochs } from './followed-epochs.ts';
import { createRoot, makeRoot } from './open.ts';
import type { RootOfTrust } from './root.ts';

function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-epoch-files-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

const filesOf = (folder: string) =>
  readdirSync(folder)
    .filter((name) => name.startsWith('epoch'))
    .sort();

/** Does the work with a death at every step of it, each on a folder of its own, and looks at what is left. */
async function atEveryStep(
  t: TestContext,
  arrange: () => Promise<{
    work: () => Promise<unknown>;
    each?: () => void;
    check: (isWhole: boolean) => Promise<void>;
  }>,
): Promise<string[]> {
  for (let nth = 1; ; nth++) {
    const { work, each, check } = await arrange();
    const { done, revive } = dieAt(t, nth, each);
    let died: unknown;
    try {
      await work();
    } catch (error) {
      died = error;
    }
    revive();
    const isWhole = done.length < nth;
    if (isWhole) assert.equal(died, undefined);
    else assert.match(String(died), /power went|Dead/, done.join(' '));
    await check(isWhole);
    if (isWhole) return done;
  }
}

/** One root, whose key derivation takes a while, for many folders of epochs. */
async function makeSource(t: TestContext) {
  const { root } = await createRoot(join(makeFolder(t), 'root'));
  const makeEpochs = async () => {
    const folder = makeFolder(t);
    const epochs = new Epochs(folder, root);
    await epochs.createFirst();
    return { folder, epochs, open: () => new Epochs(folder, root) };
  };
  return { root, makeEpochs };
}

test('killed at any step, begin and retire leave what opens on every node, and go on [URS-037] [URS-083]', async (t) => {
  const { makeEpochs } = await makeSource(t);
  const arrangeWith = (isBundle: boolean) => async () => {
    const { folder, epochs, open } = await makeEpochs();
    await epochs.begin();
    if (isBundle) {
      const { content } = epochBundle(folder);
      for (const name of filesOf(folder)) rmSync(join(folder, name));
      writeFileSync(join(folder, 'epoch.json'), content, { mode: 0o600 });
    }
    const kept = join(makeFolder(t), 'the same file');
    linkSync(join(folder, 'epoch.json'), kept);
    const before = readFileSync(kept);
    const other = open();
    return {
      work: async () => {
        const node = open();
        await node.begin();
        await node.retire(1);
        await node.begin();
      },
      // Another node reads whenever it likes.
      each: () => other.refresh(),
      check: async () => {
        const node = open();
        assert.ok((await node.current()).number >= 2);
        node.sweep();
        if (node.numbers().includes(1)) await node.retire(1);
        const [oldest = 0] = node.numbers();
        assert.equal(oldest, 2);
        assert.equal((await node.begin()).number, 3);
        await node.retire(2);
        // A draft that nobody put in its place goes with the epoch of its number.
        await node.begin();
        await node.retire(3);
        assert.deepEqual(filesOf(folder), ['epoch-4.json']);
        assert.notDeepEqual(readFileSync(kept), before);
        assert.throws(() => JSON.parse(readFileSync(kept, 'latin1')) as unknown);
      },
    };
  };
  for (const isBundle of [false, true]) {
    const done = await atEveryStep(t, arrangeWith(isBundle));
    for (const step of ['write', 'link', 'rename', 'sync', 'overwrite', 'unlink'] as const)
      assert.ok(done.includes(step), step);
  }
});

test('a file that loses its name while a folder is listed is gone, and no reason to fail [URS-037]', async (t) => {
  const { makeEpochs } = await makeSource(t);
  const { folder, open } = await makeEpochs();
  const [one, other] = [open(), open()];
  const seen: number[][] = [];
  const { revive } = dieAt(t, Infinity, () => seen.push(other.numbers()));
  await one.begin();
  await one.retire(1);
  revive();
  assert.ok(
    seen.every((numbers) => ['1', '1,2', '2'].includes(String(numbers))),
    JSON.stringify(seen),
  );
  assert.deepEqual(filesOf(folder), ['epoch-2.json']);
});

test('killed at any step, a stand-by keeps epochs that open, gets them again, and loses the retired ones [URS-008] [URS-037]', async (t) => {
  const { makeEpochs } = await makeSource(t);
  const standby = await makeRoot(join(makeFolder(t), 'standby'), { kind: 'passphrase' });
  const follower = (folder: string) => ({
    folder,
    open: async (): Promise<RootOfTrust> => ({ ...bound(standby), close: async () => undefined }),
  });
  const done = await atEveryStep(t, async () => {
    const { epochs } = await makeEpochs();
    const folder = join(makeFolder(t), 'epochs');
    mkdirSync(folder);
    await copyEpochs(epochs, follower(folder));
    const kept = join(makeFolder(t), 'the same file');
    linkSync(join(folder, 'epoch.json'), kept);
    const before = readFileSync(kept);
    await epochs.begin();
    await epochs.retire(1);
    return {
      work: () => copyEpochs(epochs, follower(folder)),
      check: async () => {
        assert.ok(await new Epochs(folder, standby).current());
        for (let times = 0; times < 2; times++) await copyEpochs(epochs, follower(folder));
        const [own, copy] = [await epochs.current(), await new Epochs(folder, standby).current()];
        assert.ok(copy.number === 2 && copy.id === own.id && copy.key.key.equals(own.key.key));
        assert.deepEqual(filesOf(folder), ['epoch.json']);
        assert.notDeepEqual(readFileSync(kept), before);
        assert.throws(() => JSON.parse(readFileSync(kept, 'latin1')) as unknown);
      },
    };
  });
  assert.ok(done.includes('link') && done.includes('overwrite'));
});

test('a stand-by whose own file cannot be read gets it anew, and a retired one loses all of them [URS-008]', async (t) => {
  const { makeEpochs } = await makeSource(t);
  const standby = await makeRoot(join(makeFolder(t), 'standby'), { kind: 'passphrase' });
  const { epochs } = await makeEpochs();
  const folder = makeFolder(t);
  writeFileSync(join(folder, 'epoch.json'), Buffer.alloc(300, 0xa5));
  writeFileSync(join(folder, 'epoch-7.json'), '{}');
  const open = async (): Promise<RootOfTrust> => ({ ...bound(standby), close: async () => undefined });
  await copyEpochs(epochs, { folder, open });
  assert.deepEqual(filesOf(folder), ['epoch.json']);
  assert.ok((await new Epochs(folder, standby).current()).key.key.equals((await epochs.current()).key.key));
  writeFileSync(join(folder, 'epoch.json.0.retired'), 'left behind');
  dropEpochs(folder);
  assert.deepEqual(filesOf(folder), []);
});

test('another name of a file that is in use is removed, and the file is not overwritten [URS-037]', async (t) => {
  const { makeEpochs } = await makeSource(t);
  const { folder, epochs, open } = await makeEpochs();
  const live = join(folder, 'epoch.json');
  const content = readFileSync(live);
  linkSync(live, `${live}.retired`);
  epochs.sweep();
  assert.ok(!existsSync(`${live}.retired`));
  assert.deepEqual(readFileSync(live), content);
  assert.equal((await open().current()).number, 1);
});

test('a key that the root did not unwrap is asked for again after a while, and the others stay known [URS-037]', async (t) => {
  const { root, makeEpochs } = await makeSource(t);
  const { folder, epochs } = await makeEpochs();
  await epochs.begin();
  const { content } = epochBundle(folder);
  const [first] = (JSON.parse(content) as { epochs: { id: string }[] }).epochs;
  assert.ok(first);
  const asked: string[] = [];
  let isAway = true;
  const flaky: RootOfTrust = {
    ...bound(root),
    unwrap: async (place, wrapped) => {
      const which =
        Buffer.from(place.keyId).toString('hex') === first.id.replaceAll('-', '') ? 'first' : 'other';
      asked.push(which);
      if (isAway && which === 'first') throw new Error('The token is away.');
      return root.unwrap(place, wrapped);
    },
  };
  let now = performance.now();
  t.mock.method(performance, 'now', () => now);
  const node = new Epochs(folder, flaky);
  for (let times = 0; times < 5; times++) {
    await assert.rejects(node.open(1), /away/);
    assert.equal((await node.open(2)).number, 2);
    node.refresh();
  }
  assert.deepEqual(asked, ['first', 'other']);
  now += 1000;
  await assert.rejects(node.open(1), /away/);
  isAway = false;
  now += 1000;
  await assert.rejects(node.open(1), /away/);
  now += 1000;
  assert.equal((await node.open(1)).number, 1);
  assert.deepEqual(asked, ['first', 'other', 'first', 'first']);
});

/** A root's own methods, to be put beside others. */
function bound(root: RootOfTrust): RootOfTrust {
  return {
    id: root.id,
    kind: root.kind,
    wrap: (place, key) => root.wrap(place, key),
    unwrap: (place, wrapped) => root.unwrap(place, wrapped),
    check: () => root.check(),
    close: () => root.close(),
  };
}
