import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { suite, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { tellingEntries } from '../audit/index.ts';
import { systemClock } from '../platform/clock.ts';
import { epochBundle } from '../roots/index.ts';
import { copyOf, makeFolder, open, refusal, shareInstance } from './fixture.test.ts';
import { openInstance } from './open.ts';
import { activateRoot, addStandby, checkRoots, retireRoot, showRoots } from './roots.ts';

const passphrase = { kind: 'passphrase' } as const;
const main = fileURLToPath(new URL('../main.ts', import.meta.url));

function openWith(data: string, rootFolder: string) {
  return openInstance(data, { clock: systemClock, notes: { warn: () => undefined }, rootFolder });
}

/** An option that ends a process of Node with SIGKILL before or after it puts a file in its place. */
function killedAt(when: 'before' | 'after', file: string): string {
  const script = `
    import fs from 'node:fs';
    import { syncBuiltinESMExports } from 'node:module';
    for (const name of ['renameSync', 'linkSync']) {
      const put = fs[name];
      fs[name] = (from, to) => {
        const isIt = to === ${JSON.stringify(file)};
        if (isIt && ${String(when === 'before')}) process.kill(process.pid, 'SIGKILL');
        put(from, to);
        if (isIt) process.kill(process.pid, 'SIGKILL');
      };
    }
    syncBuiltinESMExports();`;
  return `--import=data:text/javascript,${encodeURIComponent(script)}`;
}

/** What the instance's log says of roots: operation, root, state. */
async function rootEntries(data: string): Promise<(string | undefined)[][]> {
  const instance = await open(data);
  try {
    const log = instance.ledger.logs.find(({ tenant }) => tenant === null) ?? assert.fail();
    const entries = await tellingEntries(instance.database, log.id);
    return entries
      .filter(({ operation }) => operation.endsWith('-root'))
      .map(({ operation, key, state }) => [operation, key, state]);
  } finally {
    await instance.close();
  }
}

suite('roots of trust of an installation', () => {
  const shared = shareInstance();

  test('a stand-by that was not added keeps no epoch keys, which nothing would retire [URS-006] [URS-008]', async (t) => {
    const data = copyOf(shared.data, t);
    const folder = join(makeFolder(t), 'standby');
    const state = join(data, 'state', 'trialkeep.db');
    const run = (sql: string): void => {
      const database = new DatabaseSync(state);
      database.exec(sql);
      database.close();
    };
    run(
      "create trigger full before insert on instance_root begin select raise(abort, 'The disk is full.'); end",
    );
    await assert.rejects(addStandby(data, folder, passphrase));
    assert.ok(existsSync(join(folder, 'root.json')));
    assert.deepEqual(epochBundle(folder).numbers, []);
    run('drop trigger full');
    await addStandby(data, folder, passphrase);
    assert.deepEqual(epochBundle(folder).numbers, [1]);
  });

  test('a stand-by takes over when the active root is lost, becomes the active one, and the lost one is retired [URS-008] [URS-009]', async (t) => {
    const data = copyOf(shared.data, t);
    const folder = join(makeFolder(t), 'standby');
    const added = await addStandby(data, folder, passphrase);
    assert.equal(added.state, 'standby');
    const before = (await showRoots(data)).roots.find(({ state }) => state === 'active') ?? assert.fail();
    const checked = await checkRoots(data);
    assert.deepEqual(
      checked.roots.map(({ opens }) => opens),
      [true, true],
    );
    renameSync(join(data, 'root'), join(data, 'lost'));
    await assert.rejects(open(data), refusal('data.unreadable'));
    const instance = await openWith(data, folder);
    assert.equal(instance.root.id, added.id);
    await instance.close();
    await assert.rejects(retireRoot(data, before.id), refusal('data.unreadable'));

    assert.equal((await activateRoot(data, folder)).state, 'active');
    await (await open(data)).close();
    const again = await activateRoot(data, folder);
    assert.deepEqual([again.id, again.state], [added.id, 'active']);
    const [lost] = (await checkRoots(data)).roots.filter(({ opens }) => !opens);
    assert.deepEqual([lost?.id, lost?.code], [before.id, 'data.unreadable']);

    renameSync(join(data, 'lost'), join(data, 'root'));
    await assert.rejects(retireRoot(data, added.id), refusal('root.in_use'));
    assert.equal((await retireRoot(data, before.id)).state, 'retired');
    assert.equal((await retireRoot(data, before.id)).state, 'retired');
    assert.deepEqual(readdirSync(join(data, 'root')).toSorted(), ['passphrase', 'root.json']);
    await assert.rejects(openWith(data, join(data, 'root')), (error: unknown) => error instanceof Error);
    assert.deepEqual(await rootEntries(data), [
      ['instance.add-root', added.id, 'standby'],
      ['instance.activate-root', added.id, 'active'],
      ['instance.retire-root', before.id, 'retired'],
    ]);
  });

  test('a stand-by gets the next epoch key before anything goes by it, and loses a retired one [URS-008]', async (t) => {
    const data = copyOf(shared.data, t);
    const folder = join(makeFolder(t), 'standby');
    await addStandby(data, folder, passphrase);
    const instance = await open(data);
    const next = await instance.epochs.begin();
    assert.deepEqual(epochBundle(folder).numbers, [1, 2]);
    // A stand-by that cannot be given the next key holds the change up.
    renameSync(folder, `${folder}-away`);
    mkdirSync(folder);
    await assert.rejects(instance.epochs.begin(), refusal('data.unreadable'));
    rmSync(folder, { recursive: true });
    renameSync(`${folder}-away`, folder);
    await instance.shred.advance(await instance.epochs.current());
    await instance.epochs.retire(1);
    await instance.close();
    assert.deepEqual(epochBundle(folder).numbers, [2]);
    assert.deepEqual(readdirSync(folder).toSorted(), ['epoch.json', 'passphrase', 'root.json']);
    const other = await openWith(data, folder);
    assert.ok((await other.epochs.current()).key.key.equals(next.key.key));
    // The one that is open is not the only one that has to follow.
    await other.epochs.begin();
    await other.close();
    assert.deepEqual(epochBundle(join(data, 'root')).numbers, [2, 3]);
  });

  test('an epoch key that a stand-by lacks is found by a check, and put right [URS-009]', async (t) => {
    const data = copyOf(shared.data, t);
    const folder = join(makeFolder(t), 'standby');
    await addStandby(data, folder, passphrase);
    const kept = readFileSync(join(folder, 'epoch.json'));
    const instance = await open(data);
    await instance.epochs.begin();
    await instance.shred.advance(await instance.epochs.current());
    await instance.epochs.retire(1);
    await instance.close();
    writeFileSync(join(folder, 'epoch.json'), kept);
    const states = (await checkRoots(data)).roots.map(({ state, code }) => [state, code]);
    assert.deepEqual(states, [
      ['active', undefined],
      ['standby', 'root.behind'],
    ]);
    // A start puts it right, and so does adding it again.
    await (await open(data)).close();
    assert.deepEqual(epochBundle(folder).numbers, [2]);
    writeFileSync(join(folder, 'epoch.json'), kept);
    await addStandby(data, folder, passphrase);
    assert.ok((await checkRoots(data)).roots.every(({ opens }) => opens));
  });

  test('in a folder that nodes share each root has its own epoch keys, from adding it to retiring it [URS-008] [URS-037]', (t) => {
    const data = copyOf(shared.data, t);
    const epochs = makeFolder(t);
    renameSync(join(data, 'root', 'epoch.json'), join(epochs, 'epoch.json'));
    const standby = join(makeFolder(t), 'standby');
    const settings = join(makeFolder(t), 'settings.json');
    writeFileSync(settings, JSON.stringify(passphrase));
    const run = (command: string, ...more: string[]) => {
      const args = [main, command, '--data', data, '--to', standby, '--root-config', settings, ...more];
      const env = { ...process.env, TRIALKEEP_EPOCH_FOLDER: epochs };
      const { stdout, stderr, status } = spawnSync(process.execPath, args, { env, encoding: 'utf8' });
      assert.equal(status, 0, stderr);
      return JSON.parse(stdout) as { id: string; roots: { id: string; state: string; opens?: boolean }[] };
    };
    const states = () => run('root-check').roots.map(({ id, state, opens }) => [id, state, opens] as const);
    const [[first] = assert.fail()] = states();
    const { id } = run('root-add');
    assert.deepEqual(readdirSync(epochs).toSorted(), [id, 'epoch.json'].toSorted());
    assert.ok(!existsSync(join(standby, 'epoch.json')));
    assert.deepEqual(states(), [
      [first, 'active', true],
      [id, 'standby', true],
    ]);
    run('root-activate');
    assert.deepEqual(states(), [
      [first, 'standby', true],
      [id, 'active', true],
    ]);
    run('root-retire', '--root-id', first);
    assert.deepEqual(readdirSync(epochs), [id]);
    assert.deepEqual(states(), [[id, 'active', true]]);
    // Without its folder a root would take that of another for its own.
    const other = join(makeFolder(t), 'data');
    const made = spawnSync(process.execPath, [main, 'init', '--data', other], {
      env: { ...process.env, TRIALKEEP_EPOCH_FOLDER: epochs },
      encoding: 'utf8',
    });
    assert.match(made.stderr, /root\.epochs_present/);
  });

  test('a row that somebody has changed behind the server keeps it from starting [URS-008]', async (t) => {
    const data = copyOf(shared.data, t);
    const folder = join(makeFolder(t), 'standby');
    const { id } = await addStandby(data, folder, passphrase);
    const changes = [
      `update instance_root set folder = '/elsewhere' where id = '${id}'`,
      `update instance_root set certificate = '4985'`,
      `update instance_root set made_at = made_at + 1`,
    ];
    for (const statement of changes) {
      const copy = copyOf(data, t);
      const database = new DatabaseSync(join(copy, 'state', 'trialkeep.db'));
      database.exec(statement);
      database.close();
      await assert.rejects(open(copy), refusal('database.altered'), statement);
    }
  });

  test('an installation from before roots had rows gets a stand-by, and its own root a row [URS-008]', async (t) => {
    const data = copyOf(shared.data, t);
    const database = new DatabaseSync(join(data, 'state', 'trialkeep.db'));
    database.exec('delete from instance_root');
    database.close();
    await (await open(data)).close();
    const folder = join(data, 'standby');
    await addStandby(data, relative(data, folder), passphrase);
    const { roots } = await showRoots(data);
    const folders = Object.fromEntries(roots.map((root) => [root.state, root.folder]));
    assert.deepEqual(folders, { active: 'root', standby: 'standby' });
    await activateRoot(data, 'standby');
    await (await open(data)).close();
  });

  test('killed at any step, adding and activating leaves what opens, and goes on [URS-008] [URS-083]', async (t) => {
    const data = copyOf(shared.data, t);
    const folder = join(makeFolder(t), 'standby');
    const settings = join(makeFolder(t), 'settings.json');
    writeFileSync(settings, JSON.stringify(passphrase));
    const steps = [
      ['root-add', 'after', join(folder, 'root.json')],
      ['root-add', 'before', join(folder, 'epoch.json')],
      ['root-add', 'after', join(folder, 'epoch.json')],
      ['root-activate', 'before', join(data, 'trialkeep.json')],
      ['root-activate', 'after', join(data, 'trialkeep.json')],
    ] as const;
    for (const [command, when, file] of steps) {
      if (command === 'root-activate' && when === 'before') await addStandby(data, folder, passphrase);
      const args = [main, command, '--data', data, '--to', folder, '--root-config', settings];
      const child = spawn(process.execPath, [killedAt(when, file), ...args], { stdio: 'ignore' });
      const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
      assert.equal(signal, 'SIGKILL', `${command} ${when} ${file}`);
      // What was activated stays so.
      if (when === 'after' && command === 'root-activate') break;
      const instance = await open(data);
      assert.deepEqual(instance.recovery, []);
      await instance.close();
    }
    await activateRoot(data, folder);
    assert.ok((await checkRoots(data)).roots.every(({ opens }) => opens));
    await (await open(data)).close();
  });
});
