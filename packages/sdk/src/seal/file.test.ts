import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, utimesSync } from 'node:fs';
import { chmod, mkdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { SealError, TrialkeepError } from '../errors.ts';
import type { SdkErrorCode } from '../errors.ts';
import { openFile, sealFile } from './file.ts';
import { inFolder, namesIn, StandInKeys } from './fixture.test.ts';
import { serverKeys } from './server-keys.ts';

// The network and the server are replaced (fixture.test.ts); formats, keys and files are real.

const context = {
  study: '6f6f6f6f-1111-4222-8333-444444444444',
  subject: '0123456789abcdef0123456789abcdef',
};

async function refusedWith(promise: Promise<unknown>, code: SdkErrorCode, path?: string): Promise<void> {
  const error: unknown = await promise.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof SealError, String(error));
  assert.equal(error.code, code, error.message);
  if (path !== undefined) assert.equal(error.path, path);
}

test('files of every size come back byte-identical, with their hash [URS-047]', async () => {
  await inFolder(async (folder) => {
    const client = new StandInKeys();
    const key = client.newKey();
    const mebibyte = 1024 * 1024;
    for (const bytes of [0, 1, 262_143, 262_144, 262_145, mebibyte - 1, mebibyte, 3 * mebibyte + 17]) {
      const plaintext = randomBytes(bytes);
      const [source, sealed, opened] = ['a', 'b', 'c'].map((name) => join(folder, `${bytes}-${name}`)) as [
        string,
        string,
        string,
      ];
      await writeFile(source, plaintext);
      const progress: number[] = [];
      const onProgress = (done: number) => void progress.push(done);
      const sealing = await sealFile(serverKeys(client, { key }), {
        context,
        source,
        target: sealed,
        digest: true,
        onProgress,
      });
      const sha256 = createHash('sha256').update(plaintext).digest('hex');
      assert.deepEqual(sealing, { bytes, sealedBytes: (await stat(sealed)).size, sha256, version: 1 });
      assert.equal(progress.at(-1) ?? 0, bytes);
      const opening = await openFile(serverKeys(client), { source: sealed, target: opened, digest: true });
      assert.deepEqual({ ...opening, context: { ...opening.context } }, { bytes, sha256, key, context });
      assert.ok((await readFile(opened)).equals(plaintext));
      assert.equal((await stat(opened)).mode & 0o777, 0o600);
      assert.ok(bytes < 16 || !(await readFile(sealed)).includes(plaintext.subarray(0, 16)));
    }
  });
});

test('a flipped, missing or added byte never leaves a file under the target name [URS-047]', async () => {
  await inFolder(async (folder) => {
    const client = new StandInKeys();
    const source = join(folder, 'source');
    const sealed = join(folder, 'sealed');
    const target = join(folder, 'target');
    await writeFile(source, randomBytes(5000));
    await sealFile(serverKeys(client, { key: client.newKey() }), {
      context,
      source,
      target: sealed,
      frameBytes: 1024,
    });
    const good = await readFile(sealed);
    const damages = fc.oneof(
      fc.record({ at: fc.nat(good.length - 1), bit: fc.nat(7) }).map(({ at, bit }) => {
        const bad = Buffer.from(good);
        bad[at] = (bad[at] ?? 0) ^ (1 << bit);
        return bad;
      }),
      fc.nat(good.length - 1).map((length) => good.subarray(0, length)),
      fc.uint8Array({ minLength: 1, maxLength: 50 }).map((more) => Buffer.concat([good, more])),
      fc.uint8Array({ maxLength: 400 }).map((noise) => Buffer.from(noise)),
    );
    await fc.assert(
      fc.asyncProperty(damages, async (bad) => {
        await writeFile(sealed, bad);
        await assert.rejects(openFile(serverKeys(client), { source: sealed, target }), TrialkeepError);
        assert.deepEqual(await namesIn(folder), ['sealed', 'source']);
      }),
      { numRuns: 150 },
    );
  });
});

test('what is not a sealed file, and a sealed file cut short, are told apart [URS-047]', async () => {
  await inFolder(async (folder) => {
    const client = new StandInKeys();
    const [source, sealed, target] = [join(folder, 'a'), join(folder, 'b'), join(folder, 'c')];
    await writeFile(source, randomBytes(3000));
    await refusedWith(openFile(serverKeys(client), { source, target }), 'seal.not_sealed', source);
    await sealFile(serverKeys(client, { key: client.newKey() }), {
      source,
      target: sealed,
      frameBytes: 1000,
    });
    await truncate(sealed, (await stat(sealed)).size - 1);
    await refusedWith(openFile(serverKeys(client), { source: sealed, target }), 'seal.damaged', sealed);
    await truncate(sealed, 0);
    await refusedWith(openFile(serverKeys(client), { source: sealed, target }), 'seal.damaged', sealed);
  });
});

test('a file opens only under a key that is allowed, and under the context that is expected [URS-012]', async () => {
  await inFolder(async (folder) => {
    const client = new StandInKeys();
    const [key, otherKey] = [client.newKey(), client.newKey()];
    const [source, sealed, target] = [join(folder, 'a'), join(folder, 'b'), join(folder, 'c')];
    await writeFile(source, 'plaintext');
    await sealFile(serverKeys(client, { key }), { context, source, target: sealed });
    client.calls.splice(0);
    await refusedWith(
      openFile(serverKeys(client, { keys: [otherKey] }), { source: sealed, target }),
      'seal.no_key',
      sealed,
    );
    const other = { ...context, subject: 'f'.repeat(32) };
    await refusedWith(
      openFile(serverKeys(client), { source: sealed, target, context: other }),
      'seal.context_mismatch',
      sealed,
    );
    assert.equal(client.calls.length, 0, 'no key was asked for');

    await openFile(serverKeys(client, { keys: [otherKey, key], reason: 'a reason' }), {
      source: sealed,
      target,
      context,
    });
    const call = client.calls.at(0);
    assert.deepEqual(
      [call?.id, call?.input['key'], call?.input['reason']],
      ['keys.decrypt-data-key', key, 'a reason'],
    );

    client.forgetKey(key);
    const again = openFile(serverKeys(client), { source: sealed, target: join(folder, 'd') });
    await assert.rejects(
      again,
      (error: unknown) => error instanceof TrialkeepError && error.code === 'key.unknown',
    );
    assert.deepEqual(await namesIn(folder), ['a', 'b', 'c']);
  });
});

test('a refusal of the server leaves nothing behind [URS-046]', async () => {
  await inFolder(async (folder) => {
    const client = new StandInKeys();
    const key = client.newKey();
    const source = join(folder, 'source');
    await writeFile(source, 'plaintext');
    client.refusal = 'key.revoked';
    const sealing = sealFile(serverKeys(client, { key }), { source, target: join(folder, 'target') });
    await assert.rejects(
      sealing,
      (error: unknown) => error instanceof TrialkeepError && error.code === 'key.revoked',
    );
    assert.deepEqual(await namesIn(folder), ['source']);
  });
});

test('an existing target is left as it was unless it may be overwritten', async () => {
  await inFolder(async (folder) => {
    const client = new StandInKeys();
    const key = client.newKey();
    const [source, target] = [join(folder, 'source'), join(folder, 'target')];
    await writeFile(source, 'plaintext');
    await writeFile(target, 'precious');
    await refusedWith(
      sealFile(serverKeys(client, { key }), { source, target }),
      'seal.target_exists',
      target,
    );
    assert.equal(await readFile(target, 'utf8'), 'precious');
    assert.equal(client.calls.length, 0);
    await sealFile(serverKeys(client, { key }), { source, target, overwrite: true });
    await openFile(serverKeys(client), { source: target, target, overwrite: true });
    assert.equal(await readFile(target, 'utf8'), 'plaintext');
    await mkdir(join(folder, 'inner'));
    await refusedWith(
      sealFile(serverKeys(client, { key }), { source, target: join(folder, 'inner'), overwrite: true }),
      'seal.target_not_a_file',
    );
    await refusedWith(
      sealFile(serverKeys(client, { key }), { source, target: join(folder, 'none', 'x') }),
      'seal.target_unwritable',
    );
    assert.deepEqual(await namesIn(folder), ['inner', 'source', 'target']);
  });
});

test('a target that appears while the work goes on is not replaced', async () => {
  await inFolder(async (folder) => {
    const client = new StandInKeys();
    const [source, target] = [join(folder, 'source'), join(folder, 'target')];
    await writeFile(source, 'plaintext');
    const onProgress = () => appendFileSync(target, 'precious');
    await refusedWith(
      sealFile(serverKeys(client, { key: client.newKey() }), { source, target, onProgress }),
      'seal.target_exists',
      target,
    );
    assert.equal(await readFile(target, 'utf8'), 'precious');
    assert.deepEqual(await namesIn(folder), ['source', 'target']);
  });
});

test('a source that grows, shrinks or is rewritten while it is sealed is refused [URS-046]', async () => {
  const changes: [string, (source: string) => void][] = [
    ['grows', (source) => appendFileSync(source, 'more')],
    ['is rewritten', (source) => utimesSync(source, 1, 1)],
  ];
  for (const [what, change] of changes) {
    await inFolder(async (folder) => {
      const client = new StandInKeys();
      const source = join(folder, 'source');
      await writeFile(source, randomBytes(3_000_000));
      let times = 0;
      const onProgress = () => {
        if (times++ === 0) change(source);
      };
      const sealing = sealFile(serverKeys(client, { key: client.newKey() }), {
        source,
        target: join(folder, 'target'),
        onProgress,
      });
      await refusedWith(sealing, 'seal.source_changed', source);
      assert.deepEqual(await namesIn(folder), ['source'], what);
    });
  }
  await inFolder(async (folder) => {
    const client = new StandInKeys();
    const key = client.newKey();
    const source = join(folder, 'source');
    await writeFile(source, randomBytes(3_000_000));
    const answering = client.call;
    client.call = (async (...call: Parameters<typeof answering>) => {
      await truncate(source, 1_500_000);
      return answering(...call);
    }) as typeof answering;
    await refusedWith(
      sealFile(serverKeys(client, { key }), { source, target: join(folder, 'target') }),
      'seal.source_changed',
      source,
    );
    assert.deepEqual(await namesIn(folder), ['source'], 'shrinks');
  });
});

test('a source that is missing, a folder, a pipe or unreadable has its own code', async (t) => {
  await inFolder(async (folder) => {
    const client = new StandInKeys();
    const seal = (source: string) =>
      sealFile(serverKeys(client, { key: 'k' }), { source, target: join(folder, 'target') });
    await refusedWith(seal(join(folder, 'none')), 'seal.source_missing');
    await refusedWith(seal(folder), 'seal.source_not_a_file');
    await refusedWith(seal('/dev/zero'), 'seal.source_not_a_file');
    const link = join(folder, 'link');
    await symlink('nowhere', link);
    await refusedWith(seal(link), 'seal.source_missing');
    if (process.getuid?.() === 0) {
      t.diagnostic('not tried: an unreadable file, since the superuser reads every file');
      return;
    }
    const unreadable = join(folder, 'unreadable');
    await writeFile(unreadable, 'x');
    await chmod(unreadable, 0);
    await refusedWith(seal(unreadable), 'seal.source_unreadable');
  });
});

test('a context that no sealed file can carry is refused before anything is kept', async () => {
  await inFolder(async (folder) => {
    const client = new StandInKeys();
    const source = join(folder, 'source');
    await writeFile(source, 'x');
    const bad = { 'aws-crypto-public-key': 'x' };
    const sealing = sealFile(serverKeys(client, { key: client.newKey() }), {
      source,
      target: join(folder, 'target'),
      context: bad,
    });
    await refusedWith(sealing, 'seal.context_invalid', source);
    assert.deepEqual(await namesIn(folder), ['source']);
  });
});

test('an interrupted call ends with the reason of its signal and leaves nothing', async () => {
  await inFolder(async (folder) => {
    const client = new StandInKeys();
    const source = join(folder, 'source');
    await writeFile(source, randomBytes(5_000_000));
    const controller = new AbortController();
    const reason = new Error('enough');
    const sealing = sealFile(serverKeys(client, { key: client.newKey() }), {
      source,
      target: join(folder, 'target'),
      signal: controller.signal,
      onProgress: () => controller.abort(reason),
    });
    await assert.rejects(sealing, reason);
    assert.deepEqual(await namesIn(folder), ['source']);
  });
});

test('a kill in the middle leaves nothing under the target name [URS-047]', async () => {
  await inFolder(async (folder) => {
    const source = join(folder, 'source');
    await writeFile(source, Buffer.alloc(32 * 1024 * 1024, 7));
    const script = fileURLToPath(new URL('killed.fixture.ts', import.meta.url));
    const child = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    for await (const line of child.stdout) if (String(line).includes('halfway')) break;
    child.kill('SIGKILL');
    await exited;
    const left = await namesIn(folder);
    assert.deepEqual(
      left.filter((name) => !name.endsWith('.part')),
      ['sealed', 'source'],
    );
    assert.equal(left.length, 3, 'the part that was written keeps a name of its own');
    const part = join(folder, left.find((name) => name.endsWith('.part')) ?? '');
    assert.equal((await stat(part)).mode & 0o777, 0o600);
  });
});
