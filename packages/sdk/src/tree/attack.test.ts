import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFileSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sealBytes } from '@trialkeep/crypto';
import { describeTree, file, folder, inWorld, link, objectsIn, refusedWith } from './fixture.test.ts';
import type { World } from './fixture.test.ts';
import { checkTree, openTree, sealTree } from './index.ts';
import { encodeEntry, encodeManifestStart } from './manifest.ts';
import type { ManifestEntry } from './manifest.ts';

// The network and the server are replaced (../seal/fixture.test.ts); formats, keys and files are real.

const threads = 0;
const entries = {
  one: file('first content'),
  two: file('second content'),
  sub: folder({ three: file('x') }),
};

/** Seals the world's source, lets `attack` at the sealed form, and gives the findings of a check and of an opening. */
async function findingsAfter(
  world: World,
  attack: (sealed: string) => Promise<void> | void,
): Promise<string[]> {
  const { source, sealed, opened, keys, onFinding, findings } = world;
  await sealTree(keys, { sources: [source], target: sealed, threads });
  await attack(sealed);
  await refusedWith(checkTree(keys, { source: sealed, threads, onFinding }), 'seal.tree_damaged');
  const checked = findings.splice(0).sort();
  await refusedWith(
    openTree(keys, { source: sealed, target: opened, threads, onFinding }),
    'seal.tree_damaged',
  );
  assert.deepEqual(findings.splice(0).sort(), checked, 'opening finds what checking finds');
  return checked;
}

/** The objects by their sizes, since their names say nothing. */
function objectsBySize(sealed: string): string[] {
  return objectsIn(sealed).sort((a, b) => statSync(a).size - statSync(b).size);
}

test('objects that are exchanged are found, and nothing of them is restored [URS-047]', async () => {
  await inWorld(entries, async (world) => {
    const found = await findingsAfter(world, (sealed) => {
      const [, one = '', two = ''] = objectsBySize(sealed);
      renameSync(one, `${one}x`);
      renameSync(two, one);
      renameSync(`${one}x`, two);
    });
    assert.deepEqual(found, ['source/one seal.damaged', 'source/two seal.damaged']);
    assert.deepEqual(
      describeTree(world.opened, false).map((line) => line.split(' ')[0]),
      ['source', 'source/sub', 'source/sub/three'],
    );
  });
});

test('an object that is missing, cut short, lengthened, altered or no regular file is found [URS-047]', async () => {
  const attacks: [string, (object: string) => void, string][] = [
    ['missing', (object) => rmSync(object), 'seal.object_missing'],
    ['cut short', (object) => truncateSync(object, statSync(object).size - 1), 'seal.damaged'],
    ['empty', (object) => truncateSync(object, 0), 'seal.damaged'],
    ['lengthened', (object) => appendFileSync(object, 'x'), 'seal.damaged'],
    [
      'altered',
      (object) => {
        const bytes = readFileSync(object);
        bytes.writeUInt8(bytes.readUInt8(bytes.length - 20) ^ 1, bytes.length - 20);
        writeFileSync(object, bytes);
      },
      'seal.damaged',
    ],
    [
      'a link to itself elsewhere',
      (object) => {
        renameSync(object, `${object}.away`);
        symlinkSync(`${object}.away`, object);
      },
      'seal.damaged',
    ],
    [
      'a folder',
      (object) => {
        rmSync(object);
        mkdirSync(object);
      },
      'seal.damaged',
    ],
  ];
  for (const [what, attack, code] of attacks) {
    await inWorld(entries, async (world) => {
      const found = await findingsAfter(world, (sealed) => attack(objectsBySize(sealed)[0] ?? ''));
      assert.ok(found.includes(`source/sub/three ${code}`), `${what}: ${found.join()}`);
      const restored = describeTree(world.opened, false).map((line) => line.split(' ')[0]);
      assert.deepEqual(restored, ['source', 'source/one', 'source/sub', 'source/two'], what);
    });
  }
});

test('what the manifest does not name is found [URS-047]', async () => {
  await inWorld(entries, async (world) => {
    const found = await findingsAfter(world, (sealed) => {
      const [object = ''] = objectsIn(sealed);
      const other = object.replace(/[0-9a-f]{62}$/, 'ab'.repeat(31));
      copyFileSync(object, other);
      writeFileSync(join(sealed, 'note.txt'), 'x');
      writeFileSync(`${object}.bak`, 'x');
      mkdirSync(join(sealed, 'c'.repeat(32)));
    });
    assert.equal(found.length, 4);
    for (const each of found) assert.match(each, / seal\.object_unknown$/);
    assert.match(found.join(), /note\.txt.*/);
    assert.match(found.join(), /(ab){31} /);
  });
});

test('an object of an earlier sealing does not stand for a newer one, nor a manifest [URS-047]', async () => {
  await inWorld(entries, async (world) => {
    const { source, sealed, folder: root, keys, findings, onFinding } = world;
    const old = join(root, 'old');
    const oldTree = await sealTree(keys, { sources: [source], target: old, threads });
    writeFileSync(join(source, 'one'), 'FIRST CONTENT');
    const newTree = await sealTree(keys, { sources: [source], target: sealed, threads });

    // All the old objects under the new manifest's names, and then the old manifest over the new objects.
    const pristine = join(root, 'pristine');
    cpSync(sealed, pristine, { recursive: true });
    const [oldObjects, newObjects] = [objectsBySize(old), objectsBySize(sealed)];
    for (const [index, object] of newObjects.entries()) copyFileSync(oldObjects[index] ?? '', object);
    await refusedWith(checkTree(keys, { source: sealed, threads, onFinding }), 'seal.tree_damaged');
    assert.equal(findings.splice(0).length, 3);

    copyFileSync(join(old, 'manifest.sealed'), join(pristine, 'manifest.sealed'));
    await refusedWith(checkTree(keys, { source: pristine, threads, onFinding }), 'seal.tree_damaged');
    assert.ok(findings.includes('source/one seal.object_missing'));

    // The whole old tree is a good one; only who kept the digest of the new one can tell.
    assert.equal((await checkTree(keys, { source: old, threads })).manifest, oldTree.manifest);
    const demanding = { source: old, target: world.opened, manifest: newTree.manifest, threads };
    await refusedWith(openTree(keys, demanding), 'seal.other_tree');
    assert.ok(!readdirSync(root).includes('opened'));
  });
});

test('an object is not read as a manifest, whatever its content [URS-047]', async () => {
  const planted = Buffer.concat([
    encodeManifestStart(false),
    encodeEntry({ kind: 'link', name: 'evil', timeNs: 0n, target: '/' }),
    encodeEntry({ kind: 'end', complete: true }),
  ]);
  await inWorld({ planted: file(planted) }, async ({ source, sealed, opened, keys }) => {
    await sealTree(keys, { sources: [source], target: sealed, threads });
    copyFileSync(objectsIn(sealed)[0] ?? '', join(sealed, 'manifest.sealed'));
    await refusedWith(openTree(keys, { source: sealed, target: opened, threads }), 'seal.manifest_invalid');
  });
});

/** A tree whose manifest somebody wrote who may seal for the reader. */
async function forge(world: World, list: readonly ManifestEntry[]): Promise<void> {
  const tree = randomBytes(16).toString('hex');
  const context = { 'sealed-tree-manifest': tree };
  const { dataKey, encryptedDataKeys } = await world.keys.sealingKey(context);
  const plaintext = Buffer.concat([encodeManifestStart(false), ...list.map((entry) => encodeEntry(entry))]);
  mkdirSync(join(world.sealed, tree), { recursive: true });
  const sealed = await sealBytes(plaintext, { dataKey, encryptedDataKeys, context });
  writeFileSync(join(world.sealed, 'manifest.sealed'), sealed);
}

const end: ManifestEntry = { kind: 'end', complete: true };
const forgedLink = (name: string, target: string): ManifestEntry => ({
  kind: 'link',
  name,
  timeNs: 0n,
  target,
});
const forgedFolder = (name: string): ManifestEntry => ({ kind: 'folder', name, mode: 0o700, timeNs: 0n });

test('a forged manifest leads nowhere outside of the target [URS-047]', async () => {
  const names = ['..', '.', '', '../x', '/x', 'a/b', 'a\0b', 'a'.repeat(1024)];
  const forged: ManifestEntry[][] = [
    ...names.map((name) => [forgedLink(name, 'x'), end]),
    ...names.map((name) => [forgedFolder(name), end, end]),
    // A link, and a folder in its place, to be written through it.
    [forgedLink('a', '../outside'), forgedFolder('a'), forgedLink('b', 'x'), end, end],
    [forgedLink('b', 'x'), forgedLink('a', 'x'), end],
    [forgedLink('a', ''), end],
    [forgedLink('a', 'x')],
    [end, end],
    [],
  ];
  for (const list of forged) {
    await inWorld({}, async (world) => {
      mkdirSync(join(world.folder, 'outside'));
      await forge(world, list);
      const opening = openTree(world.keys, { source: world.sealed, target: world.opened, threads });
      await refusedWith(opening, 'seal.manifest_invalid');
      assert.deepEqual(readdirSync(world.folder).sort(), ['outside', 'sealed', 'source']);
      assert.deepEqual(readdirSync(join(world.folder, 'outside')), []);
    });
  }
});

test('a link that leads outside is restored as a link, and nothing is written through one that is there [URS-047]', async () => {
  const tree = { a: folder({ f: file('content') }), b: link('../../outside'), c: file('content') };
  await inWorld(tree, async (world) => {
    const { source, sealed, opened, folder: root, keys, findings, onFinding } = world;
    mkdirSync(join(root, 'outside'));
    writeFileSync(join(root, 'outside', 'precious'), 'precious');
    await sealTree(keys, { sources: [source], target: sealed, threads });
    for (const overwrite of [false, true]) {
      // Somebody has put links where a folder and a file belong.
      rmSync(opened, { recursive: true, force: true });
      mkdirSync(join(opened, 'source'), { recursive: true });
      symlinkSync('../../outside', join(opened, 'source', 'a'));
      symlinkSync('../../outside/precious', join(opened, 'source', 'c'));
      findings.splice(0);
      const options = { source: sealed, target: opened, overwrite, threads, onFinding };
      await refusedWith(openTree(keys, options), 'seal.tree_damaged');
      assert.ok(findings.includes('source/a seal.target_exists'));
      assert.equal(findings.includes('source/c seal.target_exists'), !overwrite);
      assert.deepEqual(readdirSync(join(root, 'outside')), ['precious']);
      assert.equal(readFileSync(join(root, 'outside', 'precious'), 'utf8'), 'precious');
      assert.equal(readlinkSync(join(opened, 'source', 'b')), '../../outside');
    }
    assert.equal(
      readFileSync(join(opened, 'source', 'c'), 'utf8'),
      'content',
      'the link itself was replaced',
    );
  });
});

test('files of others stay unless they may be overwritten; folders always do', async () => {
  await inWorld({ a: file('new'), b: file('same'), d: file('new'), l: link('x') }, async (world) => {
    const { source, sealed, opened, keys, findings, onFinding } = world;
    await sealTree(keys, { sources: [source], target: sealed, threads });
    const target = join(opened, 'source');
    mkdirSync(join(target, 'd', 'inner'), { recursive: true });
    writeFileSync(join(target, 'a'), 'old');
    execFileSync('cp', ['-p', join(source, 'b'), join(target, 'b')]);
    writeFileSync(join(target, 'l'), 'old');
    writeFileSync(join(target, 'other'), 'other');
    const options = { source: sealed, target: opened, threads, onFinding };
    await refusedWith(openTree(keys, options), 'seal.tree_damaged');
    const expected = [
      'source/a seal.target_exists',
      'source/d seal.target_not_a_file',
      'source/l seal.target_exists',
    ];
    assert.deepEqual(findings.splice(0).sort(), expected);
    assert.equal(readFileSync(join(target, 'a'), 'utf8'), 'old');

    await refusedWith(openTree(keys, { ...options, overwrite: true }), 'seal.tree_damaged');
    assert.deepEqual(findings, ['source/d seal.target_not_a_file']);
    assert.equal(readFileSync(join(target, 'a'), 'utf8'), 'new');
    assert.equal(readlinkSync(join(target, 'l')), 'x');
    assert.equal(readFileSync(join(target, 'other'), 'utf8'), 'other');
    assert.ok(statSync(join(target, 'd', 'inner')).isDirectory());
  });
});

test('a tree that no key opens, and one under a key that was revoked, is not restored [URS-046]', async () => {
  await inWorld(entries, async ({ source, sealed, opened, keys, client }) => {
    await sealTree(keys, { sources: [source], target: sealed, threads });
    keys.clear();
    client.refusal = 'key.revoked';
    const opening = openTree(keys, { source: sealed, target: opened, threads });
    await assert.rejects(opening, { code: 'key.revoked' });
    const sealing = sealTree(keys, { sources: [source], target: `${sealed}2`, threads });
    await assert.rejects(sealing, { code: 'key.revoked' });
  });
});
