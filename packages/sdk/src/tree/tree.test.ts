import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  assertSameTree,
  describeTree,
  file,
  folder,
  inWorld,
  link,
  objectsIn,
  refusedWith,
} from './fixture.test.ts';
import type { Sample, Samples } from './fixture.test.ts';
import { checkTree, openTree, sealTree } from './index.ts';

// The network and the server are replaced (../seal/fixture.test.ts); formats, keys and files are real.

const threads = 0;

/** Any byte but NUL and the slash. */
const nameByte = fc.integer({ min: 1, max: 255 }).filter((byte) => byte !== 0x2f);
const name = fc
  .oneof(
    { weight: 5, arbitrary: fc.array(nameByte, { minLength: 1, maxLength: 12 }) },
    { weight: 1, arbitrary: fc.array(nameByte, { minLength: 255, maxLength: 255 }) },
  )
  .map((bytes) => String.fromCharCode(...bytes))
  .filter((text) => text !== '.' && text !== '..');
const seconds = fc.integer({ min: -2_000_000_000, max: 4_000_000_000 }).map((number) => number + 0.25);
const { tree: anyFolder } = fc.letrec<{ tree: Samples; entry: Sample }>((tie) => ({
  entry: fc.oneof(
    { depthSize: 'small' },
    fc.record({
      kind: fc.constant('file' as const),
      content: fc.oneof(
        fc.uint8Array({ maxLength: 40 }),
        fc.nat({ max: 600_000 }).map((size) => randomBytes(size)),
      ),
      mode: fc.constantFrom(0o400, 0o600, 0o644, 0o755, 0o777),
      seconds,
    }),
    fc.record({
      kind: fc.constant('link' as const),
      target: fc.oneof(name, fc.constantFrom('..', '/', '../../outside', 'a'.repeat(4000), '/etc/passwd')),
      seconds,
    }),
    fc.record({
      kind: fc.constant('folder' as const),
      entries: tie('tree'),
      mode: fc.constantFrom(0o500, 0o700, 0o755, 0o1777),
      seconds,
    }),
  ),
  tree: fc.dictionary(name, tie('entry'), { maxKeys: 6, noNullPrototype: true }),
}));

test('any tree comes back as it was: names of any bytes, modes, times, links, empty files and folders [URS-047]', async () => {
  await fc.assert(
    fc.asyncProperty(anyFolder, fc.boolean(), async (entries, digest) => {
      await inWorld(entries, async ({ source, sealed, opened, keys }) => {
        const made = await sealTree(keys, { sources: [source], target: sealed, digest, threads });
        const checked = await checkTree(keys, { source: sealed, threads });
        assert.equal(checked.manifest, made.manifest);
        await openTree(keys, { source: sealed, target: opened, threads });
        assertSameTree(join(opened, 'source'), source);
        const again = await openTree(keys, { source: sealed, target: opened, threads });
        assert.equal(again.kept, made.files + made.links);
        // As a user who is not the superuser could not remove them otherwise.
        execFileSync('chmod', ['-R', 'u+rwx', source, opened]);
      });
    }),
    { numRuns: 25 },
  );
});

test('several sources become one tree, restored under their names [URS-047]', async () => {
  await inWorld({ a: folder({ x: file('1') }), b: file('2'), c: folder({}) }, async (world) => {
    const { source, sealed, opened, keys } = world;
    const sources = ['c', 'a', 'b'].map((each) => join(source, each));
    const made = await sealTree(keys, { sources, target: sealed, threads });
    assert.deepEqual([made.files, made.folders, made.bytes], [2, 2, 2]);
    await openTree(keys, { source: sealed, target: opened, threads });
    assertSameTree(opened, source);
    const twice = [join(source, 'a'), join(source, '..', 'source', 'a')];
    await refusedWith(
      sealTree(keys, { sources: twice, target: join(sealed, 'x'), threads }),
      'seal.target_exists',
    );
  });
});

test('nothing of names, content or shape can be seen in the sealed form, nor in the journal [URS-043]', async () => {
  const entries = {
    canaryName: folder({ 'canary-0042.txt': file('canary content'), l: link('canaryTarget') }),
  };
  await inWorld(entries, async ({ source, sealed, keys, journal, client }) => {
    execFileSync('mkfifo', [join(source, 'canary-pipe')]);
    const options = { sources: [source], target: sealed, journal, threads };
    const assertNothingSeen = (where: string) => {
      const found = readdirSync(where, { recursive: true, withFileTypes: true });
      assert.ok(found.length > 0);
      for (const entry of found) {
        const path = join(entry.parentPath, entry.name);
        assert.doesNotMatch(path.slice(where.length), /canary|source/);
        if (entry.isFile()) assert.ok(!readFileSync(path).includes('canary'), path);
      }
    };
    await refusedWith(sealTree(keys, options), 'seal.tree_incomplete');
    assertNothingSeen(sealed);
    assertNothingSeen(journal.folder);
    await sealTree(keys, { ...options, incomplete: true });
    assertNothingSeen(sealed);
    assert.doesNotMatch(JSON.stringify(client.calls), /canary/);
  });
});

test('one data key seals many files, each under a message id of its own [URS-047]', async () => {
  const entries = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`f${index}`, file('same')]));
  await inWorld(entries, async ({ source, sealed, keys, client }) => {
    await sealTree(keys, { sources: [source], target: sealed, threads });
    assert.equal(client.calls.length, 2, 'one for the manifest, one for all objects');
    const objects = objectsIn(sealed);
    assert.equal(objects.length, 100);
    for (const object of objects) {
      const id = object.replaceAll('/', '').slice(-64);
      assert.equal(readFileSync(object).subarray(3, 35).toString('hex'), id, 'its name is its message id');
    }
  });
});

test('the work is shared out to threads [URS-047]', async () => {
  const many = Object.fromEntries(
    Array.from({ length: 300 }, (_, index) => [`f${index}`, file(randomBytes(index * 10))]),
  );
  await inWorld({ many: folder(many), large: file(randomBytes(9_000_000)) }, async (world) => {
    const { source, sealed, opened, keys } = world;
    let last = { bytes: 0, files: 0 };
    const onProgress = (done: typeof last) => void (last = done);
    const made = await sealTree(keys, { sources: [source], target: sealed, threads: 2, onProgress });
    assert.deepEqual(last, { bytes: made.bytes, files: made.files });
    await openTree(keys, { source: sealed, target: opened, threads: 2, onProgress });
    assert.deepEqual(last, { bytes: made.bytes, files: made.files });
    assertSameTree(join(opened, 'source'), source);
  });
});

test('a tree far deeper than a path may be long comes back', async () => {
  await inWorld({}, async ({ source, sealed, opened, keys }) => {
    // Five chains, each as long as a path may be, hung one below the other.
    const [name, levels, chains] = ['d'.repeat(20), 150, 5];
    const chain = Array.from({ length: levels }, () => name).join('/');
    const deepest = (root: string) => join(root, chain);
    const chainPath = (root: string, number: number) => join(root, `chain${number}`);
    for (let number = 0; number < chains; number++)
      mkdirSync(deepest(chainPath(source, number)), { recursive: true });
    writeFileSync(join(deepest(chainPath(source, chains - 1)), 'f'), 'deepest');
    for (let number = chains - 1; number > 0; number--)
      renameSync(chainPath(source, number), chainPath(deepest(chainPath(source, number - 1)), number));

    const made = await sealTree(keys, { sources: [source], target: sealed, threads });
    assert.deepEqual([made.folders, made.files], [1 + chains * (levels + 1), 1]);
    await openTree(keys, { source: sealed, target: opened, threads });
    // Unhung, so that their paths can be read, and removed.
    for (const root of [source, join(opened, 'source')]) {
      for (let number = 1; number < chains; number++)
        renameSync(chainPath(deepest(chainPath(root, number - 1)), number), chainPath(root, number));
    }
    const last = deepest(chainPath(join(opened, 'source'), chains - 1));
    assert.equal(readFileSync(join(last, 'f'), 'utf8'), 'deepest');
  });
});

test('hard links become files of their own', async () => {
  await inWorld({ a: file('content') }, async ({ source, sealed, opened, keys }) => {
    linkSync(join(source, 'a'), join(source, 'b'));
    await sealTree(keys, { sources: [source], target: sealed, threads });
    assert.equal(objectsIn(sealed).length, 2);
    await openTree(keys, { source: sealed, target: opened, threads });
    assertSameTree(join(opened, 'source'), source);
    assert.equal(statSync(join(opened, 'source', 'a')).nlink, 1);
  });
});

test('set-user-id and set-group-id bits are not restored', async () => {
  await inWorld({ a: file('x', 0o6755), b: folder({}, 0o2775) }, async ({ source, sealed, opened, keys }) => {
    await sealTree(keys, { sources: [source], target: sealed, threads });
    await openTree(keys, { source: sealed, target: opened, threads });
    const modes = ['a', 'b'].map((each) => statSync(join(opened, 'source', each)).mode & 0o7777);
    assert.deepEqual(modes, [0o755, 0o775]);
  });
});

test('a link that is named itself is followed; below, none is', async () => {
  await inWorld({ real: folder({ f: file('x') }) }, async ({ source, sealed, opened, keys }) => {
    symlinkSync('real', join(source, 'named'));
    const made = await sealTree(keys, { sources: [join(source, 'named'), source], target: sealed, threads });
    assert.deepEqual([made.files, made.links], [2, 1]);
    await openTree(keys, { source: sealed, target: opened, threads });
    assertSameTree(join(opened, 'named'), join(source, 'real'));
    assertSameTree(join(opened, 'source'), source);
  });
});

test('devices, pipes and sockets are findings, and keep the tree from being finished', async () => {
  await inWorld({ a: file('x'), z: file('y') }, async (world) => {
    const { source, sealed, opened, keys, findings, onFinding } = world;
    execFileSync('mkfifo', [join(source, 'pipe')]);
    const options = { sources: [source], target: sealed, threads, onFinding };
    await refusedWith(sealTree(keys, options), 'seal.tree_incomplete');
    assert.deepEqual(findings, ['source/pipe seal.source_special']);
    assert.ok(!readdirSync(sealed).includes('manifest.sealed'));
    await refusedWith(openTree(keys, { source: sealed, target: opened, threads }), 'seal.not_a_tree');

    const made = await sealTree(keys, { ...options, target: join(world.folder, 'other'), incomplete: true });
    assert.deepEqual([made.files, made.findings], [2, 1]);
    const missing: string[] = [];
    const onMissing = (each: { path: string; reason: string }) =>
      void missing.push(`${each.path} ${each.reason}`);
    const opening = await openTree(keys, {
      source: join(world.folder, 'other'),
      target: opened,
      threads,
      onMissing,
    });
    assert.deepEqual([opening.missing, ...missing], [1, 'source/pipe special']);
    assert.deepEqual(
      describeTree(join(opened, 'source'), false).map((line) => line.split(' ')[0]),
      ['a', 'z'],
    );
  });
});

test('a target with something else in it, a finished tree, or one inside the source is not touched', async () => {
  await inWorld({ a: file('x') }, async ({ folder: root, source, sealed, keys, journal }) => {
    const seal = (target: string, more = {}) =>
      sealTree(keys, { sources: [source], target, threads, ...more });
    mkdirSync(sealed);
    writeFileSync(join(sealed, 'precious.txt'), 'precious');
    await refusedWith(seal(sealed), 'seal.target_not_empty');
    await refusedWith(seal(sealed, { overwrite: true }), 'seal.target_not_empty');
    assert.deepEqual(readdirSync(sealed), ['precious.txt']);
    await refusedWith(seal(join(source, 'inner', 'deeper')), 'seal.target_inside_source');

    const target = join(root, 'good');
    const first = await seal(target, { journal });
    await refusedWith(seal(target, { journal }), 'seal.target_exists');
    const second = await seal(target, { overwrite: true, journal });
    assert.notEqual(first.tree, second.tree);
    assert.equal(objectsIn(target).length, 1, 'the objects of the first are gone');
    assert.equal((await checkTree(keys, { source: target, threads })).tree, second.tree);
    assert.deepEqual(readdirSync(journal.folder), [], 'no journal stays');
  });
});

test('a context that the tree needs for itself is refused', async () => {
  await inWorld({ a: file('x') }, async ({ source, sealed, keys }) => {
    for (const pair of ['sealed-tree', 'sealed-tree-manifest', 'aws-crypto-public-key']) {
      const options = { sources: [source], target: sealed, context: { [pair]: 'x' }, threads };
      await refusedWith(sealTree(keys, options), 'seal.context_invalid');
    }
    const context = { study: 'abc' };
    await sealTree(keys, { sources: [source], target: join(sealed, 'good'), context, threads });
    const other = { source: join(sealed, 'good'), context: { study: 'abd' }, threads };
    await refusedWith(checkTree(keys, other), 'seal.context_mismatch');
  });
});
