import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createSecretKey, randomBytes, randomInt } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { rawAes } from '@trialkeep/crypto';
import { inFolder } from '../seal/fixture.test.ts';
import { cachedKeys, recipientKeys } from '../seal/index.ts';
import { assertSameTree, file, folder, make, objectsIn } from './fixture.test.ts';
import type { Samples } from './fixture.test.ts';
import { checkTree } from './index.ts';
import type { OpenedTree, SealedTree } from './index.ts';

// Real processes, killed with SIGKILL at random moments, again and again.

const kills = 5;
const script = fileURLToPath(new URL('killed.fixture.ts', import.meta.url));

/** 4,800 files in 24 folders: enough for several entries in the journal. */
function manyFiles(): Samples {
  const files = (): Samples =>
    Object.fromEntries(
      Array.from({ length: 200 }, (_, index) => [`f${index}`, file(randomBytes(randomInt(3000)))]),
    );
  return Object.fromEntries(Array.from({ length: 24 }, (_, index) => [`s${index}`, folder(files(), 0o555)]));
}

interface Ran {
  /** What it gave, unless it was killed. */
  readonly result: string | undefined;
  /** From when it began until its end. */
  readonly ms: number;
}

/** Runs the process, and kills it so long after it has begun. */
async function run(action: string, root: string, key: string, killAfterMs?: number): Promise<Ran> {
  const child = spawn(process.execPath, [script, action, root, key], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NODE_COMPILE_CACHE: join(root, 'compiled') },
  });
  let begun = 0;
  let result: string | undefined;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line !== 'begun') {
      result = line;
      continue;
    }
    begun = performance.now();
    if (killAfterMs !== undefined) void setTimeout(killAfterMs).then(() => child.kill('SIGKILL'));
  }
  return { result, ms: performance.now() - begun };
}

test('killed at any moment, a sealing goes on, and never leaves what looks finished [URS-047]', async (t) => {
  await inFolder(async (root) => {
    const key = randomBytes(32).toString('hex');
    const sealed = join(root, 'sealed');
    mkdirSync(join(root, 'source'));
    make(join(root, 'source'), manyFiles());
    const whole = await run('seal', root, key);
    rmSync(sealed, { recursive: true });
    /** Every object that was ever seen, to tell whether a message id was used twice. */
    const seen = new Map<string, Buffer>();
    let done: string | undefined;
    for (let attempt = 0; done === undefined; attempt++) {
      const ran = await run('seal', root, key, killAfterMs(attempt, whole));
      done = ran.result;
      assert.equal(existsSync(join(sealed, 'manifest.sealed')) || ran.result === undefined, true);
      for (const path of objectsIn(sealed)) {
        const bytes = readFileSync(path);
        const earlier = seen.get(path) ?? Buffer.alloc(0);
        assert.deepEqual(bytes.subarray(0, earlier.length), earlier, 'one message id, one message');
        seen.set(path, bytes);
      }
    }
    const made = JSON.parse(done) as SealedTree;
    t.diagnostic(`${made.kept} of ${made.files} files were sealed by processes that were killed`);
    assert.equal(objectsIn(sealed).length, made.files, 'no object is left over');
    assert.deepEqual(readdirSync(join(root, 'journal')), []);
    const both = rawAes({ namespace: 'test', name: 'key', key: createSecretKey(key, 'hex') });
    const keys = cachedKeys(recipientKeys({ identities: [both] }));
    assert.equal((await checkTree(keys, { source: sealed, threads: 0 })).manifest, made.manifest);

    const opening = await run('open', root, key);
    assertSameTree(join(root, 'opened', 'source'), join(root, 'source'));
    rmSync(join(root, 'opened'), { recursive: true });
    done = undefined;
    for (let attempt = 0; done === undefined; attempt++) {
      const ran = await run('open', root, key, killAfterMs(attempt, opening));
      done = ran.result;
      assertWholeFiles(join(root, 'opened', 'source'), join(root, 'source'));
    }
    const restored = JSON.parse(done) as OpenedTree;
    t.diagnostic(`${restored.kept} of ${restored.files} files were restored by processes that were killed`);
    assertSameTree(join(root, 'opened', 'source'), join(root, 'source'));
  });
});

/** Some moment of the work; of every two attempts, one in its later half. */
function killAfterMs(attempt: number, { ms }: Ran): number | undefined {
  const most = Math.ceil(ms);
  return attempt < kills ? randomInt(attempt % 2 === 0 ? most >> 1 : 0, most) : undefined;
}

/** Whatever is there under a name of the tree is the whole file. */
function assertWholeFiles(opened: string, source: string): void {
  if (!existsSync(opened)) return;
  for (const entry of readdirSync(opened, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || entry.name.startsWith('.trialkeep-')) continue;
    const path = join(entry.parentPath, entry.name);
    assert.deepEqual(readFileSync(path), readFileSync(join(source, path.slice(opened.length))), path);
  }
}
