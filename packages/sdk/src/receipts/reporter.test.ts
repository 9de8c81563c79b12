import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, chmod, cp, mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parseReceipt } from '@trialkeep/crypto';
import { sdkError } from '../errors.ts';
import { mountSmall } from '../small-disk.fixture.test.ts';
import { StandInServer, inFolder, nameOf, newUse, withCode } from './fixture.test.ts';
import { openReporter } from './reporter.ts';
import type { Reporter } from './reporter.ts';

// The network and the server are replaced (fixture.test.ts); disk, lock and processes are real.

/** So long that nothing is sent unless a test asks for it. */
const never = { intervalMs: 3_600_000 };

async function linesIn(folder: string): Promise<string[]> {
  const names = (await readdir(folder)).filter((name) => name.startsWith('receipts-')).sort();
  const texts = await Promise.all(names.map((name) => readFile(join(folder, name), 'utf8')));
  return texts.flatMap((text) => text.split('\n').slice(0, -1));
}

const recordMany = (reporter: Reporter, count: number): Promise<unknown> =>
  Promise.all(Array.from({ length: count }, () => reporter.record(newUse())));

test('a receipt is on disk before its use is released, and in the ledger after it was sent [URS-038] [URS-032]', async () => {
  await inFolder(async (parent) => {
    const folder = join(parent, 'reporter');
    const client = new StandInServer();
    const now = () => 1_700_000_000_000;
    const reporter = await openReporter({ folder, client, now, ...never });
    const use = newUse();
    await reporter.record(use);
    const [line] = await linesIn(folder);
    assert.ok(line !== undefined);
    const { receipt } = parseReceipt(line);
    const { study, subject } = use.context;
    assert.deepEqual(receipt, {
      v: 1,
      reporter: reporter.id,
      sequence: 1,
      previous: '0'.repeat(64),
      use: 'open',
      key: use.key,
      dataKey: nameOf(use),
      study,
      subject,
      class: 'ecg',
      count: 1,
      time: now(),
    });
    assert.equal(reporter.unsent, 1);
    await reporter.flush();
    assert.equal(reporter.unsent, 0);
    assert.deepEqual(client.entries, [receipt]);
    await reporter.close();
    const modes = await Promise.all(['', 'reporter.pem'].map((name) => stat(join(folder, name))));
    assert.deepEqual(
      modes.map(({ mode }) => mode & 0o777),
      [0o700, 0o600],
    );
  });
});

test('receipts are sent by themselves, and on closing', async () => {
  await inFolder(async (folder) => {
    const client = new StandInServer();
    const reporter = await openReporter({ folder, client, intervalMs: 5 });
    await reporter.record(newUse());
    while (client.entries.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await reporter.close();
    const slow = await openReporter({ folder, client, ...never });
    await slow.record(newUse());
    await slow.close();
    assert.equal(client.entries.length, 2);
    await assert.rejects(slow.record(newUse()), withCode('receipts.closed'));
    await assert.rejects(slow.flush(), withCode('receipts.closed'));
  });
});

test('equal uses that wait for one write become one receipt with their number', async () => {
  await inFolder(async (folder) => {
    const client = new StandInServer();
    const reporter = await openReporter({ folder, client, ...never });
    const [one, other] = [newUse(), newUse()];
    await Promise.all(
      [one, one, other, { ...one, use: 'seal' as const }, one].map((use) => reporter.record(use)),
    );
    await reporter.record(one);
    await reporter.close();
    assert.deepEqual(
      client.entries.map(({ dataKey, use, count }) => [dataKey, use, count]),
      [
        [nameOf(one), 'open', 3],
        [nameOf(other), 'open', 1],
        [nameOf(one), 'seal', 1],
        [nameOf(one), 'open', 1],
      ],
    );
  });
});

test('what no receipt can say is refused, and stands in the way of nobody else', async () => {
  await inFolder(async (folder) => {
    const client = new StandInServer();
    const reporter = await openReporter({ folder, client, ...never });
    const use = newUse();
    const { study, subject } = use.context;
    const good = reporter.record(use);
    for (const bad of [
      { ...use, context: { study } as Record<string, string> },
      { ...use, context: { study: 'P-1', subject } as Record<string, string> },
      { ...use, key: 'no key' },
      { use: 'open' as const, recipient: 'x', dataKey: use.dataKey, context: {} },
    ]) {
      await assert.rejects(reporter.record(bad), withCode('client.invalid_input'));
    }
    await good;
    await reporter.close();
    assert.equal(client.entries.length, 1);
    for (const bounds of [{ maxUnsent: 0 }, { maxUnsent: 1.5 }, { intervalMs: -1 }]) {
      await assert.rejects(openReporter({ folder, client, ...bounds }), withCode('client.invalid_input'));
    }
  });
});

test('the chain goes on after a restart, and acknowledged receipts leave the disk but for the newest', async () => {
  await inFolder(async (folder) => {
    const client = new StandInServer();
    const first = await openReporter({ folder, client, ...never });
    await recordMany(first, 2500);
    assert.equal((await linesIn(folder)).length, 2500);
    await first.flush();
    assert.deepEqual(
      client.batches.map(({ uses }) => uses.length),
      [1000, 1000, 500],
    );
    assert.equal((await linesIn(folder)).length, 500);
    await first.record(newUse());
    await first.close();
    const second = await openReporter({ folder, client, ...never });
    assert.equal(second.id, first.id);
    await second.record(newUse());
    await second.close();
    assert.deepEqual(
      client.entries.map(({ sequence }) => sequence),
      Array.from({ length: 2502 }, (_, i) => i + 1),
    );
    assert.deepEqual(client.gaps, []);
  });
});

test('one folder is for one reporter at a time, here and in other processes', async () => {
  await inFolder(async (folder) => {
    const reporter = await openReporter({ folder });
    await assert.rejects(openReporter({ folder }), withCode('receipts.folder_in_use'));
    await reporter.close();
    const child = await startChild(folder);
    await child.next();
    await assert.rejects(openReporter({ folder }), withCode('receipts.folder_in_use'));
    await child.kill();
    await (await openReporter({ folder })).close();
  });
});

/** A process that records uses; `next` gives the data key of the next one whose receipt is on disk. */
async function startChild(folder: string) {
  const script = fileURLToPath(new URL('./killed.fixture.ts', import.meta.url));
  const child = spawn(process.execPath, [script, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const said: string[] = [];
  const next = async (): Promise<void> => {
    const { value } = await lines.next();
    if (value !== undefined) said.push(value);
  };
  const kill = async (): Promise<string[]> => {
    child.kill('SIGKILL');
    await once(child, 'exit');
    for await (const line of { [Symbol.asyncIterator]: () => lines }) said.push(line);
    return said;
  };
  return { next, kill };
}

test('of a process that is killed every receipt that it was told of is in the ledger [URS-038] [URS-046]', async () => {
  await inFolder(async (folder) => {
    const client = new StandInServer();
    const said: string[] = [];
    for (let round = 1; round <= 3; round++) {
      const child = await startChild(folder);
      for (let i = 0; i < round * 7; i++) await child.next();
      said.push(...(await child.kill()));
    }
    const reporter = await openReporter({ folder, client, ...never });
    await reporter.close();
    const known = new Set(client.entries.map(({ dataKey }) => dataKey));
    assert.deepEqual(
      said.filter((dataKey) => !known.has(dataKey)),
      [],
    );
    assert.ok(said.length >= 42);
    assert.deepEqual(client.gaps, []);
    assert.ok(client.entries.length <= said.length + 9, 'beyond those only the ones under way at each kill');
  });
});

test('half a line at the end is cut off; anything else that is not the chain is an error [URS-033]', async () => {
  await inFolder(async (folder) => {
    const client = new StandInServer();
    const first = await openReporter({ folder, ...never });
    await recordMany(first, 1003);
    await first.close();
    const [older, newer] = ['receipts-0000000000000001.jsonl', 'receipts-0000000000001001.jsonl'];
    const path = join(folder, newer);
    const whole = await readFile(path, 'utf8');
    const [one = ''] = whole.split('\n');
    for (const half of [one.slice(0, 1), one.slice(0, -1), one, '\0\0\0']) {
      await appendFile(path, half);
      await (await openReporter({ folder })).close();
      assert.equal(await readFile(path, 'utf8'), whole);
    }
    const damaged = async (altered: string): Promise<void> => {
      await writeFile(path, altered);
      await assert.rejects(openReporter({ folder }), withCode('receipts.damaged'));
      await writeFile(path, whole);
    };
    await damaged(whole.replace('"count":1,', '"count":2,'));
    await damaged(whole.replace('"v":1', '"v":2'));
    await damaged(whole + one + '\n');
    await damaged('\n' + whole);
    await damaged(whole.split('\n').slice(1).join('\n'));
    await damaged('x'.repeat(3 * 1024 * 1024));
    const earlier = await readFile(join(folder, older), 'utf8');
    await writeFile(join(folder, older), earlier.slice(0, -1));
    await assert.rejects(openReporter({ folder }), withCode('receipts.damaged'));
    // Without the older file its receipts are lost, which the server sees.
    await rm(join(folder, older));
    const second = await openReporter({ folder, client, ...never });
    await second.record(newUse());
    await second.close();
    assert.deepEqual(client.gaps, [{ from: 1, to: 1000 }]);
    assert.equal(client.entries.length, 4);
  });
});

test('a folder without its key, or with one that others can read, is refused [URS-019]', async () => {
  await inFolder(async (folder) => {
    const reporter = await openReporter({ folder });
    await reporter.record(newUse());
    await reporter.close();
    const pem = join(folder, 'reporter.pem');
    await chmod(pem, 0o640);
    await assert.rejects(openReporter({ folder }), withCode('receipts.folder_unusable'));
    await chmod(pem, 0o600);
    await writeFile(pem, 'no key');
    await assert.rejects(openReporter({ folder }), withCode('receipts.damaged'));
    await rm(pem);
    await assert.rejects(openReporter({ folder }), withCode('receipts.damaged'));
    const elsewhere = join(folder, 'no', 'such', 'folder');
    await assert.rejects(openReporter({ folder: elsewhere }), withCode('receipts.folder_unusable'));
    await assert.rejects(
      openReporter({ folder: pem.replace('reporter.pem', 'lock') }),
      withCode('receipts.folder_unusable'),
    );
  });
});

test('while the server is away receipts are kept up to a bound, and then uses fail [URS-038]', async () => {
  await inFolder(async (folder) => {
    const client = new StandInServer();
    client.away = true;
    const reporter = await openReporter({ folder, client, maxUnsent: 30, ...never });
    await recordMany(reporter, 30);
    await assert.rejects(reporter.record(newUse()), withCode('receipts.too_many'));
    await assert.rejects(reporter.flush(), withCode('client.unreachable'));
    await assert.rejects(reporter.record(newUse()), withCode('receipts.too_many'));
    client.away = false;
    await reporter.flush();
    await reporter.record(newUse());
    await reporter.close();
    assert.equal(client.entries.length, 31);
  });
});

test('what the server refuses ends the uses, and is sent again only by a reporter that is opened anew [URS-038]', async () => {
  await inFolder(async (folder) => {
    const client = new StandInServer();
    const reporter = await openReporter({ folder, client, ...never });
    await recordMany(reporter, 2);
    await reporter.flush();
    await recordMany(reporter, 3);
    client.refusal = 'key.unknown';
    client.refusedField = '/uses/1/key';
    await assert.rejects(reporter.flush(), { code: 'key.unknown' });
    const refused = { code: 'receipts.refused', message: /\(receipt 4: key\.unknown\)$/ };
    await assert.rejects(reporter.record(newUse()), refused);
    client.refusal = undefined;
    await assert.rejects(reporter.record(newUse()), refused);
    await reporter.close();
    assert.equal(client.entries.length, 2);
    const again = await openReporter({ folder, client, ...never });
    await again.record(newUse());
    await again.close();
    assert.equal(client.entries.length, 6);
  });
});

test('what is said of the credential or the server is no end: uses go on, and are sent once it is over [URS-038]', async () => {
  await inFolder(async (folder) => {
    const client = new StandInServer();
    const reporter = await openReporter({ folder, client, intervalMs: 5 });
    const transient = [
      'auth.revoked',
      'auth.expired',
      'auth.required',
      'access.denied',
      'server.busy',
    ] as const;
    for (const code of transient) {
      client.refusal = code;
      await reporter.record(newUse());
      await assert.rejects(reporter.flush(), { code });
    }
    await reporter.record(newUse());
    client.refusal = undefined;
    // By itself, after a pause.
    while (client.entries.length < transient.length + 1) await new Promise((go) => setTimeout(go, 5));
    await reporter.close();
    assert.deepEqual(client.gaps, []);
  });
});

test('an attempt to send that waits for its turn ends with the reporter', async () => {
  await inFolder(async (folder) => {
    const first = Promise.withResolvers<void>();
    const calls: string[] = [];
    const call = async (id: string): Promise<never> => {
      calls.push(id);
      if (calls.length === 1) await first.promise;
      throw sdkError('client.unreachable');
    };
    const reporter = await openReporter({ folder, client: { call }, intervalMs: 5 });
    await reporter.record(newUse());
    const pause = () => new Promise((go) => setTimeout(go, 20));
    while (calls.length === 0) await pause();
    // Begins the pause before the next attempt, which comes to wait behind the last one, that of closing.
    await reporter.record(newUse());
    await Promise.resolve();
    const closing = reporter.close();
    await pause();
    first.resolve();
    await closing;
    await pause();
    assert.equal(calls.length, 2);
    await (await openReporter({ folder })).close();
  });
});

test('a reporter says whose client brings its receipts', async () => {
  await inFolder(async (folder) => {
    const client = new StandInServer();
    const reporter = await openReporter({ folder, client, ...never });
    assert.equal(reporter.client, client);
    await reporter.close();
    const offline = await openReporter({ folder });
    assert.equal(offline.client, undefined);
    await offline.close();
  });
});

test('what the server has acknowledged does not count against the bound after a restart [URS-038]', async () => {
  await inFolder(async (folder) => {
    const client = new StandInServer();
    const first = await openReporter({ folder, client, maxUnsent: 30, ...never });
    await recordMany(first, 30);
    await first.close();
    client.away = true;
    const second = await openReporter({ folder, client, maxUnsent: 30, ...never });
    assert.equal(second.unsent, 0);
    await recordMany(second, 30);
    assert.equal(second.unsent, 30);
    await assert.rejects(second.record(newUse()), withCode('receipts.too_many'));
    client.away = false;
    await second.close();
    assert.equal(client.entries.length, 60);
    assert.deepEqual(client.gaps, []);
  });
});

test('a folder that lacks what was acknowledged, or says so in another form, is damaged [URS-033]', async () => {
  await inFolder(async (folder) => {
    const client = new StandInServer();
    const reporter = await openReporter({ folder, client, ...never });
    await recordMany(reporter, 3);
    await reporter.close();
    const acknowledged = join(folder, 'acknowledged');
    assert.equal(await readFile(acknowledged, 'utf8'), '3\n');
    for (const text of ['4\n', '', '3', '03\n', '0\n', '-1\n', '3\n\n', '9'.repeat(16) + '\n']) {
      await writeFile(acknowledged, text);
      await assert.rejects(openReporter({ folder }), withCode('receipts.damaged'), text);
    }
    await writeFile(acknowledged, '3\n');
    await (await openReporter({ folder })).close();
  });
});

test('an older copy of a folder ends, whichever of the two goes on first [URS-033] [URS-038]', async () => {
  await inFolder(async (parent) => {
    const [folder, copy] = [join(parent, 'reporter'), join(parent, 'copy')];
    await mkdir(copy);
    const client = new StandInServer();
    const reporter = await openReporter({ folder, client, ...never });
    await recordMany(reporter, 3);
    await reporter.flush();
    await cp(folder, copy, { recursive: true, filter: (path) => !path.endsWith('lock') });
    await recordMany(reporter, 3);
    await reporter.flush();
    const older = await openReporter({ folder: copy, client, ...never });
    await assert.rejects(older.flush(), withCode('receipts.outdated'));
    await assert.rejects(older.record(newUse()), withCode('receipts.refused'));
    await older.close();
    const forking = await openReporter({ folder: copy, client, ...never });
    await forking.record(newUse());
    await assert.rejects(forking.flush(), { code: 'receipts.forked' });
    await assert.rejects(forking.record(newUse()), withCode('receipts.refused'));
    await forking.close();
    await reporter.close();
    assert.equal(client.entries.length, 6);
  });
});

test('on a full disk uses fail, and go on once there is space, without a gap [URS-038] [URS-046]', async (t) => {
  await inFolder(async (parent) => {
    const small = join(parent, 'small');
    await mkdir(small);
    const impossible = mountSmall(small);
    if (impossible !== undefined) return t.skip(impossible);
    try {
      const client = new StandInServer();
      client.away = true;
      const folder = join(small, 'reporter');
      const reporter = await openReporter({ folder, client, ...never });
      const filler = join(small, 'filler');
      await writeFile(filler, new Uint8Array(700_000));
      let kept = 0;
      const full = async (): Promise<void> => {
        for (;;) {
          await recordMany(reporter, 50);
          kept += 50;
        }
      };
      await assert.rejects(full(), withCode('receipts.no_space'));
      await assert.rejects(recordMany(reporter, 50), withCode('receipts.no_space'));
      assert.equal(reporter.unsent, kept);
      await rm(filler);
      await recordMany(reporter, 50);
      client.away = false;
      await reporter.close();
      assert.equal(client.entries.length, kept + 50);
      assert.deepEqual(client.gaps, []);
    } finally {
      execFileSync('umount', [small]);
    }
  });
});
