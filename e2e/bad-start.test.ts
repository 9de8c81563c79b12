import assert from 'node:assert/strict';
import {
  chmodSync,
  cpSync,
  existsSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { before, test } from 'node:test';
import { contentOf, filesIn } from './folder.ts';
import { answerOf, clientOf, failureOf, makeFolder, newInstallation, ServerProcess } from './harness.ts';
import type { Installation } from './harness.ts';
import { newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';

/** An installation that was used and stopped; every case spoils a copy of it. */
let whole: Installation;
let tenant: Tenant;

before(async () => {
  whole = await newInstallation();
  const server = await ServerProcess.start(whole.data);
  tenant = await newTenant(server, whole.administrator.secret, 'Sponsor');
  assert.equal(await server.stop(), 0);
});

function copyOfWhole(): string {
  const data = join(makeFolder(), 'data');
  cpSync(whole.data, data, { recursive: true });
  return data;
}

const passphrase = (data: string): string => join(data, 'root', 'passphrase');
const database = (data: string): string => join(data, 'state', 'trialkeep.db');
const shredStore = (data: string): string => join(data, 'shred', 'shred.db');
const configuration = (data: string): string => join(data, 'trialkeep.json');

function configure(data: string, change: Record<string, unknown>): void {
  const present = JSON.parse(readFileSync(configuration(data), 'utf8')) as object;
  writeFileSync(configuration(data), JSON.stringify({ ...present, ...change }));
}

function alter(file: string, sql: string): void {
  const opened = new DatabaseSync(file);
  opened.exec(sql);
  opened.close();
}

interface Case {
  readonly what: string;
  readonly code: string;
  /** What the sentence has to name. */
  readonly names?: string;
  readonly env?: Readonly<Record<string, string>>;
  spoil(data: string): void;
}

const cases: readonly Case[] = [
  {
    what: 'a wrong passphrase',
    code: 'root.passphrase_wrong',
    spoil: (data) => writeFileSync(passphrase(data), 'not the passphrase\n'),
  },
  {
    what: 'a missing passphrase',
    code: 'root.passphrase_missing',
    names: 'passphrase',
    spoil: (data) => rmSync(passphrase(data)),
  },
  {
    what: 'an empty passphrase',
    code: 'root.passphrase_missing',
    spoil: (data) => writeFileSync(passphrase(data), '\n'),
  },
  {
    what: 'a passphrase file elsewhere that is not there',
    code: 'root.passphrase_missing',
    names: 'nowhere',
    env: { TRIALKEEP_PASSPHRASE_FILE: 'nowhere' },
    spoil: () => undefined,
  },
  {
    what: 'a passphrase that others can read',
    code: 'root.passphrase_exposed',
    spoil: (data) => chmodSync(passphrase(data), 0o644),
  },
  {
    what: 'a root of trust without its parameters',
    code: 'data.unreadable',
    names: 'root.json',
    spoil: (data) => rmSync(join(data, 'root', 'root.json')),
  },
  {
    what: 'a root of trust without its epoch key',
    code: 'root.epoch_missing',
    names: 'root',
    spoil: (data) => rmSync(join(data, 'root', 'epoch.json')),
  },
  {
    what: 'a text file in place of the database',
    code: 'database.foreign',
    names: 'trialkeep.db',
    spoil: (data) => writeFileSync(database(data), 'This is not a database.\n'.repeat(100)),
  },
  {
    what: "another program's database",
    code: 'database.foreign',
    spoil: (data) => {
      rmSync(database(data));
      alter(database(data), 'create table note (id integer primary key); insert into note values (1)');
    },
  },
  {
    what: 'an empty file in place of the database',
    code: 'database.foreign',
    spoil: (data) => truncateSync(database(data), 0),
  },
  {
    what: 'a database cut off in the middle',
    code: 'database.damaged',
    spoil: (data) => truncateSync(database(data), Math.floor(statSync(database(data)).size / 2)),
  },
  {
    what: 'a database of which only the first page was written',
    code: 'database.damaged',
    spoil: (data) => truncateSync(database(data), 4096),
  },
  {
    what: 'a database that was never finished',
    code: 'database.damaged',
    spoil: (data) => alter(database(data), 'delete from instance'),
  },
  {
    what: 'a shred store cut off in the middle',
    code: 'database.damaged',
    names: 'shred.db',
    spoil: (data) => truncateSync(shredStore(data), 4096),
  },
  {
    what: 'a lost database',
    code: 'database.missing',
    names: 'trialkeep.db',
    spoil: (data) => rmSync(database(data)),
  },
  { what: 'a lost shred store', code: 'database.missing', spoil: (data) => rmSync(shredStore(data)) },
  {
    what: 'a database of a newer version',
    code: 'database.newer',
    spoil: (data) => alter(database(data), 'pragma user_version = 9999'),
  },
  {
    what: 'a ledger whose root was changed',
    code: 'database.altered',
    spoil: (data) => alter(database(data), 'update ledger_tree set root = zeroblob(32)'),
  },
  {
    what: 'no data directory',
    code: 'data.missing',
    spoil: (data) => rmSync(data, { recursive: true }),
  },
  {
    what: 'a configuration that is not JSON',
    code: 'config.invalid',
    spoil: (data) => writeFileSync(configuration(data), '{"format":1,'),
  },
  {
    what: 'an unknown field in the configuration',
    code: 'config.invalid',
    names: '/portt',
    spoil: (data) => configure(data, { portt: 7420 }),
  },
  {
    what: 'a key literal in the configuration [URS-011]',
    code: 'config.key_literal',
    spoil: (data) => configure(data, { region: 'a1'.repeat(32) }),
  },
  {
    what: 'another region than the one that keys are named with',
    code: 'config.invalid',
    spoil: (data) => configure(data, { region: 'us-east-1' }),
  },
  {
    what: 'evaluation data promoted by editing the configuration [URS-085]',
    code: 'profile.regulated',
    names: 'passphrase',
    spoil: (data) => configure(data, { profile: 'regulated' }),
  },
  {
    what: 'a database of another profile [URS-085]',
    code: 'profile.promotion',
    spoil: (data) => alter(database(data), "update instance set profile = 'regulated'"),
  },
];

for (const { what, code, names, env, spoil } of cases) {
  test(`the server does not start on ${what}`, async () => {
    const data = copyOfWhole();
    const secret = readFileSync(passphrase(data), 'utf8').trim();
    spoil(data);
    const before = existsSync(data) ? contentOf(data) : undefined;
    const failure = await failureOf(
      ['server', '--data', data, '--port', '0'],
      env === undefined ? {} : { env },
    );
    assert.equal(failure.code, code, failure.message);
    assert.ok(names === undefined || failure.message.includes(names), failure.message);
    assert.ok(!failure.message.includes(secret));
    assert.deepEqual(existsSync(data) ? contentOf(data) : undefined, before);
  });
}

test('a data directory has one server at a time; the first is not disturbed', async () => {
  const data = copyOfWhole();
  const server = await ServerProcess.start(data);
  const failure = await failureOf(['server', '--data', data, '--port', '0']);
  assert.equal(failure.code, 'data.in_use');
  const service = clientOf(server, tenant.credentials.service.secret);
  await service.call('keys.encrypt', { key: tenant.key, plaintext: '' });
  assert.equal(await server.stop(), 0);
  const next = await ServerProcess.start(data);
  assert.equal(next.state, 'ready');
  await next.stop();
});

test('a port in use and an address that is not loopback are refused', async () => {
  const data = copyOfWhole();
  const before = contentOf(data);
  const other = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => other.once('listening', resolve));
  try {
    const port = String((other.address() as AddressInfo).port);
    const failure = await failureOf(['server', '--data', data, '--port', port]);
    assert.equal(failure.code, 'server.port_in_use');
    assert.ok(failure.message.includes(port));
  } finally {
    other.close();
  }
  const open = ['server', '--data', data, '--port', '0', '--host', '0.0.0.0'];
  assert.equal((await failureOf(open)).code, 'server.address_refused');
  assert.deepEqual(contentOf(data), before);
});

test('the regulated profile refuses what an installation can be today, and makes none [URS-085]', async () => {
  const data = join(makeFolder(), 'data');
  const failure = await failureOf(['self', 'init', '--data', data, '--instance-profile', 'regulated']);
  assert.equal(failure.code, 'profile.regulated');
  for (const refused of ['passphrase', 'plain HTTP', 'cryptographic module']) {
    assert.ok(failure.message.includes(refused), failure.message);
  }
  assert.deepEqual(filesIn(dirname(data)), []);
  assert.equal(existsSync(data), false);
});

test('an installation is not made over anything', async () => {
  const data = copyOfWhole();
  const before = contentOf(data);
  assert.equal((await failureOf(['self', 'init', '--data', data])).code, 'data.not_empty');
  assert.deepEqual(contentOf(data), before);
});

test('a backup is taken whole or not at all, and into an empty folder [URS-080]', async () => {
  const data = copyOfWhole();
  const target = join(makeFolder(), 'backup');
  writeFileSync(passphrase(data), 'not the passphrase\n');
  const before = contentOf(data);
  const wrong = await failureOf(['self', 'backup', target, '--data', data]);
  assert.equal(wrong.code, 'root.passphrase_wrong');
  assert.equal(existsSync(target), false);
  assert.deepEqual(contentOf(data), before);

  await answerOf(['self', 'backup', target, '--data', whole.data]);
  const taken = contentOf(target);
  assert.equal(
    (await failureOf(['self', 'backup', target, '--data', whole.data])).code,
    'backup.target_not_empty',
  );
  assert.deepEqual(contentOf(target), taken);
});

test('a backup that is no whole one is not restored, not even in part [URS-080]', async () => {
  const taken = join(makeFolder(), 'backup');
  await answerOf(['self', 'backup', taken, '--data', whole.data]);
  const spoilings: [string, string, (folder: string) => void][] = [
    ['no backup at all', 'backup.missing', (folder) => rmSync(join(folder, 'manifest.json'))],
    ['a manifest cut off', 'backup.damaged', (folder) => truncateSync(join(folder, 'manifest.json'), 100)],
    ['a lost part', 'backup.damaged', (folder) => rmSync(join(folder, 'shred', 'shred.db.sealed'))],
    ['a flipped bit', 'backup.damaged', (folder) => flipBit(join(folder, 'state', 'trialkeep.db.sealed'))],
  ];
  for (const [what, code, spoil] of spoilings) {
    const source = join(makeFolder(), 'backup');
    cpSync(taken, source, { recursive: true });
    spoil(source);
    const data = join(makeFolder(), 'data');
    assert.equal((await failureOf(['self', 'restore', source, '--data', data])).code, code, what);
    assert.deepEqual(existsSync(data) ? filesIn(data).filter((name) => name !== 'lock') : [], [], what);
  }
  const data = copyOfWhole();
  const before = contentOf(data);
  const occupied = await failureOf(['self', 'restore', taken, '--data', data]);
  assert.equal(occupied.code, 'restore.target_not_empty');
  assert.deepEqual(contentOf(data), before);

  // Without the passphrase, which no backup holds, nothing opens.
  const elsewhere = join(makeFolder(), 'data');
  assert.equal(
    (await failureOf(['self', 'restore', taken, '--data', elsewhere])).code,
    'root.passphrase_missing',
  );
  assert.deepEqual(existsSync(elsewhere) ? filesIn(elsewhere).filter((name) => name !== 'lock') : [], []);
});

function flipBit(file: string): void {
  const bytes = readFileSync(file);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}
