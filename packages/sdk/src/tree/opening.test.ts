import assert from 'node:assert/strict';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findingAt } from './finding.ts';
import { assertSameTree, file, folder, inWorld, refusedWith } from './fixture.test.ts';
import { checkTree, openTree, sealTree } from './index.ts';
import { shownPathOf } from './name.ts';
import type { Place } from './name.ts';

// The network and the server are replaced (../seal/fixture.test.ts); formats, keys and files are real.

const threads = 0;

test('a folder that was there keeps its mode and time unless it may be overwritten [URS-047]', async () => {
  const entries = { home: folder({ new: file('new') }, 0o777) };
  for (const mode of [0o700, 0o500]) {
    await inWorld(entries, async (world) => {
      const { source, sealed, opened, keys, findings, onFinding } = world;
      const home = join(opened, 'home');
      await sealTree(keys, { sources: [join(source, 'home')], target: sealed, threads });
      mkdirSync(home, { recursive: true });
      writeFileSync(join(home, 'key'), 'secret');
      if (mode === 0o500) copyFileSync(join(source, 'home', 'new'), join(home, 'new'));
      const time = statSync(join(source, 'home', 'new')).mtimeMs / 1000;
      if (mode === 0o500) utimesSync(join(home, 'new'), time, time);
      chmodSync(home, mode);
      utimesSync(home, 1, 1);
      const options = { source: sealed, target: opened, threads, onFinding };
      await refusedWith(openTree(keys, options), 'seal.tree_damaged');
      assert.ok(findings.includes('home seal.target_exists'), findings.join());
      assert.equal(statSync(home).mode & 0o7777, mode);
      assert.notEqual(statSync(home).mtimeMs, statSync(join(source, 'home')).mtimeMs);
      if (mode === 0o500) assert.equal(statSync(home).mtimeMs, 1000, 'nothing was done in it');

      await openTree(keys, { ...options, overwrite: true });
      assert.equal(statSync(home).mode & 0o7777, 0o777);
    });
  }
});

test('a folder that an interrupted opening made gets its mode and time from the next one', async () => {
  await inWorld({ s: folder({ a: file('a'), b: file('b') }, 0o750) }, async (world) => {
    const { source, sealed, opened, keys } = world;
    await sealTree(keys, { sources: [source], target: sealed, threads });
    const none = { ...keys, openingKey: () => Promise.reject(new Error('enough')) };
    let asked = 0;
    const stopping = {
      ...keys,
      openingKey: (...message: Parameters<typeof keys.openingKey>) =>
        (asked += 1) === 1 ? keys.openingKey(...message) : none.openingKey(),
    };
    await assert.rejects(openTree(stopping, { source: sealed, target: opened, threads }), /enough/);
    assert.ok(existsSync(join(opened, 'source')));
    assert.notEqual(statSync(join(opened, 'source', 's')).mode & 0o777, 0o750);
    await openTree(keys, { source: sealed, target: opened, threads });
    assertSameTree(join(opened, 'source'), source);
  });
});

test('what is acted on is the manifest that was checked, whatever takes its place meanwhile [URS-047]', async () => {
  await inWorld({ a: file('a') }, async (world) => {
    const { source, sealed, opened, folder: root, keys } = world;
    const made = await sealTree(keys, { sources: [source], target: sealed, threads });
    writeFileSync(join(source, 'evil'), 'evil');
    const other = join(root, 'other');
    await sealTree(keys, { sources: [source], target: other, threads });
    // The first key is the manifest's; when it is asked for, the first reading has begun. The second reading begins after it.
    const options = { source: sealed, target: opened, manifest: made.manifest, threads };
    for (const work of [openTree, checkTree]) {
      copyFileSync(join(sealed, 'manifest.sealed'), join(root, 'kept'));
      const exchanging = {
        ...keys,
        openingKey: async (...message: Parameters<typeof keys.openingKey>) => {
          const key = await keys.openingKey(...message);
          if (message[0].context['sealed-tree'] === undefined) {
            setImmediate(() => copyFileSync(join(other, 'manifest.sealed'), join(sealed, 'manifest.sealed')));
          }
          return key;
        },
      };
      const result = await work(exchanging, options).catch((error: { code: string }) => error);
      if ('code' in result) assert.equal(result.code, 'seal.source_changed');
      else assert.equal(result.manifest, made.manifest);
      copyFileSync(join(root, 'kept'), join(sealed, 'manifest.sealed'));
    }
  });
});

test('what a killed opening left at the top is removed by the next [URS-047]', async () => {
  await inWorld({ a: file('a') }, async ({ source, sealed, opened, keys }) => {
    const { tree } = await sealTree(keys, { sources: [join(source, 'a')], target: sealed, threads });
    mkdirSync(opened);
    writeFileSync(join(opened, `.trialkeep-${tree.slice(0, 16)}-deadbeef-1.part`), 'half of the plaintext');
    writeFileSync(join(opened, `.trialkeep-${'0'.repeat(16)}-deadbeef-1.part`), 'of another tree');
    await openTree(keys, { source: sealed, target: opened, threads });
    assert.deepEqual(readdirSync(opened).sort(), [`.trialkeep-${'0'.repeat(16)}-deadbeef-1.part`, 'a']);
  });
});

test('the path of a finding has a bounded length, however deep it is', () => {
  let place: Place | undefined;
  for (let depth = 0; depth < 5000; depth++) place = { above: place, name: 'n'.repeat(1023) };
  const { path, pathBytes, error } = findingAt({ above: place, name: 'last' }, 'seal.damaged');
  assert.ok(pathBytes.length <= 4200, `${pathBytes.length}`);
  assert.match(path, /^…\/n+\/.*\/last$/);
  assert.equal(error.path, path);
  assert.equal(shownPathOf({ above: { above: undefined, name: 'a' }, name: 'b' }), 'a/b');
});
