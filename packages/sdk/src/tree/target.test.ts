import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { file, inWorld, objectsIn, refusedWith } from './fixture.test.ts';
import type { World } from './fixture.test.ts';
import { checkTree, sealTree } from './index.ts';
import type { SealTreeOptions } from './index.ts';
import { objectBytes } from './object-folders.ts';

// The network and the server are replaced (../seal/fixture.test.ts); formats, keys and files are real.

const entries = { a: file('first'), b: file('second') };

function optionsOf({ source, sealed, journal, onFinding }: World): SealTreeOptions {
  return { sources: [source], target: sealed, journal, threads: 0, onFinding };
}

/** Leaves a sealing unfinished, with all its objects, and gives their folder. */
async function leaveUnfinished(world: World): Promise<string> {
  execFileSync('mkfifo', [join(world.source, 'pipe')]);
  await refusedWith(sealTree(world.keys, optionsOf(world)), 'seal.tree_incomplete');
  rmSync(join(world.source, 'pipe'));
  const [object = ''] = objectsIn(world.sealed);
  return dirname(dirname(object));
}

/** What somebody may put into the folder of the objects; `victim` is a folder elsewhere. */
const strangers: Record<string, (objects: string, victim: string) => void> = {
  'a link to a folder': (objects, victim) => symlinkSync(victim, join(objects, 'docs')),
  'a link with the name of a folder of objects': (objects, victim) => {
    const free = ['00', '01', '02'].find((name) => !existsSync(join(objects, name))) ?? '';
    symlinkSync(victim, join(objects, free));
  },
  'a folder of another name': (objects) => mkdirSync(join(objects, 'docs', 'thesis'), { recursive: true }),
  'a file of another name': (objects) => writeFileSync(join(objects, 'letter'), ''),
  'a file of another name among objects': (objects) =>
    writeFileSync(join(objects, readdirSync(objects)[0] ?? '', 'letter'), ''),
  'a folder in the place of an object': (objects) =>
    mkdirSync(join(objects, readdirSync(objects)[0] ?? '', 'ab'.repeat(31))),
  'a link in the place of an object': (objects, victim) =>
    symlinkSync(join(victim, 'letter'), join(objects, readdirSync(objects)[0] ?? '', 'ab'.repeat(31))),
};

test('a sealing that goes on, or over a tree, removes nothing that is not its own [URS-047]', async () => {
  for (const [what, put] of Object.entries(strangers)) {
    for (const more of [{}, { overwrite: true }, { overwrite: true, context: { class: 'other' } }]) {
      await inWorld(entries, async (world) => {
        const victim = join(world.folder, 'victim');
        mkdirSync(join(victim, 'thesis'), { recursive: true });
        for (const name of ['letter', 'cd'.repeat(31)]) writeFileSync(join(victim, name), 'mine');
        const objects = await leaveUnfinished(world);
        put(objects, victim);
        const before = readdirSync(world.sealed, { recursive: true, encoding: 'utf8' }).sort();
        await refusedWith(sealTree(world.keys, { ...optionsOf(world), ...more }), 'seal.target_not_empty');
        assert.deepEqual(readdirSync(victim).sort(), ['cd'.repeat(31), 'letter', 'thesis'], what);
        assert.deepEqual(
          readdirSync(world.sealed, { recursive: true, encoding: 'utf8' }).sort(),
          before,
          what,
        );
      });
    }
  }
});

test('a folder of others that is named like a tree is not overwritten [URS-047]', async () => {
  await inWorld(entries, async (world) => {
    const cache = join(world.sealed, 'd41d8cd98f00b204e9800998ecf8427e');
    mkdirSync(cache, { recursive: true });
    writeFileSync(join(cache, 'thesis.doc'), 'mine');
    const sealing = sealTree(world.keys, { ...optionsOf(world), overwrite: true });
    await refusedWith(sealing, 'seal.target_not_empty');
    assert.equal(readFileSync(join(cache, 'thesis.doc'), 'utf8'), 'mine');
  });
});

test('objects are neither written, nor looked for, through a link [URS-047]', async () => {
  await inWorld(entries, async (world) => {
    const { sealed, keys, folder: root } = world;
    const outside = join(root, 'outside');
    mkdirSync(outside);
    let linked = false;
    const linking: typeof keys = {
      ...keys,
      sealingKey: async (context, more) => {
        const key = await keys.sealingKey(context, more);
        const tree = readdirSync(sealed).find((name) => /^[0-9a-f]{32}$/.test(name)) ?? '';
        for (let each = 0; each < (linked ? 0 : 256); each++)
          symlinkSync(outside, join(sealed, tree, each.toString(16).padStart(2, '0')));
        linked = true;
        return key;
      },
    };
    await refusedWith(sealTree(linking, optionsOf(world)), 'seal.target_unwritable');
    assert.deepEqual(readdirSync(outside), []);
  });
  await inWorld(entries, async (world) => {
    const { sealed, keys, folder: root } = world;
    await sealTree(keys, optionsOf(world));
    const [object = ''] = objectsIn(sealed);
    const [inner, objects] = [dirname(object), dirname(dirname(object))];
    const id = object.replaceAll('/', '').slice(-64);
    assert.equal(objectBytes(objects, id), readFileSync(object).length);
    renameSync(inner, join(root, 'moved'));
    symlinkSync(join(root, 'moved'), inner);
    assert.equal(objectBytes(objects, id), undefined);
  });
});

test('a tree is replaced as a whole, and an unfinished one without its journal too', async () => {
  await inWorld(entries, async (world) => {
    const options = { ...optionsOf(world), overwrite: true };
    await leaveUnfinished(world);
    rmSync(world.journal.folder, { recursive: true });
    for (let round = 0; round < 2; round++) {
      await sealTree(world.keys, options);
      assert.equal(readdirSync(world.sealed).length, 2);
      await checkTree(world.keys, { source: world.sealed, threads: 0 });
    }
  });
});
