/** `kill -9` in the middle of the commands that make, back up and restore an installation. */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { createClient } from '@trialkeep/sdk/client';
import { Choices } from './random.ts';
import { ServerCommand, startReady } from './server.ts';

const killsEach = 5;

class Scene {
  readonly folder = mkdtempSync(join(tmpdir(), 'trialkeep-crash-commands-'));
  readonly data = join(this.folder, 'data');
  readonly choices: Choices;
  readonly #compileCache = join(this.folder, 'compile-cache');

  constructor(t: TestContext) {
    const seed = Number(process.env['TRIALKEEP_CRASH_SEED'] ?? randomInt(2 ** 31));
    this.choices = new Choices(seed);
    t.diagnostic(`TRIALKEEP_CRASH_SEED=${seed}`);
    t.after(() => rmSync(this.folder, { recursive: true }));
  }

  start(args: readonly string[]): ServerCommand {
    return new ServerCommand(args, this.#compileCache);
  }

  /** Runs a command to its end, which must be a good one. */
  async run(...args: readonly string[]): Promise<Record<string, unknown>> {
    const command = this.start(args);
    const answer = await command.answer();
    assert.ok(answer !== undefined && (await command.end()), command.log);
    return answer;
  }

  /** Starts a command and kills it up to `withinMs` after `begun` turns true; false where it was done before. */
  async killSoonAfter(begun: () => boolean, withinMs: number, ...args: readonly string[]): Promise<boolean> {
    const command = this.start(args);
    const progress = { done: false };
    const ended = command.end().then(() => (progress.done = true));
    while (!begun() && !progress.done) await pause(1);
    await Promise.race([pause(this.choices.fraction() * withinMs), ended]);
    return command.kill();
  }

  /** The installation starts by itself, ready, and works. */
  async works(use: (url: string) => Promise<void> = async () => undefined): Promise<void> {
    const { process, url } = await startReady(this.data, this.#compileCache);
    try {
      await use(url);
    } finally {
      assert.ok(await process.stop(), process.log);
    }
  }
}

/** How long something took, ms. */
async function timed(work: () => Promise<unknown>): Promise<number> {
  const since = performance.now();
  await work();
  return performance.now() - since;
}

test('init killed half-way leaves nothing under the name, and works when run again [URS-080]', async (t) => {
  const scene = new Scene(t);
  const init = ['init', '--data', scene.data];
  const initMs = await timed(async () => scene.run('init', '--data', join(scene.folder, 'first')));
  const isBegun = (): boolean => readdirSync(scene.folder).some((name) => name.startsWith('data'));
  let killed = 0;
  for (let i = 0; i < killsEach; i++) {
    killed += Number(await scene.killSoonAfter(isBegun, initMs / 2, ...init));
    if (existsSync(scene.data)) await scene.works();
    else {
      await scene.run(...init);
      await scene.works();
    }
    rmSync(scene.data, { recursive: true });
    for (const name of readdirSync(scene.folder).filter((each) => each.startsWith('data'))) {
      rmSync(join(scene.folder, name), { recursive: true });
    }
  }
  assert.ok(killed > 0, 'No kill came in time.');
});

test('self backup killed half-way is no backup, and works when run again into the same folder [URS-080]', async (t) => {
  const scene = new Scene(t);
  await fill(scene);
  const target = join(scene.folder, 'backup');
  let killed = 0;
  for (let i = 0; i < killsEach; i++) {
    const backup = ['backup', '--data', scene.data, '--to', target];
    killed += Number(await scene.killSoonAfter(() => existsSync(target), 60, ...backup));
    if (!existsSync(join(target, 'manifest.json'))) {
      const restore = scene.start(['restore', '--data', join(scene.folder, 'elsewhere'), '--from', target]);
      assert.equal(await restore.end(), false);
      assert.match(restore.log, /"backup\.missing"/);
      assert.equal(existsSync(join(scene.folder, 'elsewhere')), false);
      await scene.run(...backup);
    }
    assert.deepEqual(readdirSync(target).sort(), [
      'manifest.json',
      'root',
      'shred',
      'state',
      'trialkeep.json',
    ]);
    rmSync(target, { recursive: true });
  }
  await scene.works();
  assert.ok(killed > 0, 'No kill came in time.');
});

test('self restore killed half-way leaves no half database, and works when run again [URS-080]', async (t) => {
  const scene = new Scene(t);
  const { credential, key, ciphertext } = await fill(scene);
  const source = join(scene.folder, 'backup');
  await scene.run('backup', '--data', scene.data, '--to', source);
  const restore = ['restore', '--data', scene.data, '--from', source];
  const lost = join(scene.folder, 'lost');
  let killed = 0;
  for (let i = 0; i < killsEach; i++) {
    // What only the operator has stays: the passphrase and the anchor.
    mkdirSync(lost);
    for (const name of ['state', 'shred']) renameSync(join(scene.data, name), join(lost, name));
    for (const name of ['root.json', 'epoch.json']) rmSync(join(scene.data, 'root', name));
    rmSync(join(scene.data, 'trialkeep.json'));
    const isBegun = (): boolean => readdirSync(scene.data).some((name) => name.startsWith('restoring-'));
    killed += Number(await scene.killSoonAfter(isBegun, 300, ...restore));
    if (!existsSync(join(scene.data, 'state', 'trialkeep.db'))) {
      await scene.run(...restore);
      assert.equal(isBegun(), false, 'Something of the interrupted restore is left.');
    }
    await scene.works();
    rmSync(lost, { recursive: true });
  }
  await scene.works(async (url) => {
    const { plaintext } = await createClient({ url, credential }).call('keys.decrypt', { key, ciphertext });
    assert.equal(plaintext, 'AAAA');
  });
  assert.ok(killed > 0, 'No kill came in time.');
});

/** An installation with something in it. */
async function fill(scene: Scene): Promise<{ credential: string; key: string; ciphertext: string }> {
  const made = (await scene.run('init', '--data', scene.data)) as { administrator: { secret: string } };
  let filled: { credential: string; key: string; ciphertext: string } | undefined;
  await scene.works(async (url) => {
    const administrator = createClient({ url, credential: made.administrator.secret });
    const { custodian } = await administrator.call('tenants.create', { name: 'tenant' });
    const client = createClient({ url, credential: custodian.secret });
    const { id: system } = await client.call('systems.create', {
      name: 'edc',
      type: 'edc',
      vendor: 'vendor',
    });
    const { id: key } = await client.call('keys.create', { system });
    const issued = await client.call('credentials.issue', {
      name: 'service',
      role: 'service',
      system,
      keys: [key],
    });
    const service = createClient({ url, credential: issued.secret });
    const { ciphertext } = await service.call('keys.encrypt', { key, plaintext: 'AAAA' });
    filled = { credential: issued.secret, key, ciphertext };
  });
  assert.ok(filled);
  return filled;
}
