import assert from 'node:assert/strict';
import { createPublicKey, verify } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { runCommand } from '../fixture.test.ts';
import type { RunOptions } from '../fixture.test.ts';
import { startServer } from '../server-process.ts';
import type { RunningServer } from '../server-process.ts';

let folder: string;
let server: RunningServer;
let env: Record<string, string>;
let keys: { sign: string; mac: string; one: string; two: string };

const at = (name: string): string => join(folder, name);

async function run(argv: string[], options: RunOptions = {}) {
  return runCommand(argv, { env, ...options });
}

/** Runs a verb with --json that has to succeed. */
async function answer<Result>(argv: string[], options: RunOptions = {}): Promise<Result> {
  const { status, stdout, stderr } = await run([...argv, '--json'], options);
  assert.equal(status, 0, `${argv.join(' ')}: ${stderr}`);
  return JSON.parse(stdout) as Result;
}

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trialkeep-key-use-'));
  const data = at('data');
  env = { XDG_CONFIG_HOME: at('config'), PATH: process.env['PATH'] ?? '' };
  const { administrator } = await answer<{ administrator: { secret: string } }>([
    'self',
    'init',
    '--data',
    data,
  ]);
  server = await startServer({ env, dataDirectory: data, port: 0 });
  const asAdministrator = { ...env, TRIALKEEP_URL: server.url, TRIALKEEP_CREDENTIAL: administrator.secret };
  await answer(['tenant', 'create', 'Sponsor', '--save-profile', 'custodian'], { env: asAdministrator });
  const custodian = ['--profile', 'custodian'];
  const system = ['system', 'create', 'EDC', '--type', 'edc', '--vendor', 'V', ...custodian];
  const { id } = await answer<{ id: string }>(system);
  const create = async (...kind: string[]): Promise<string> =>
    (await answer<{ id: string }>(['key', 'create', '--system', id, ...kind, ...custodian])).id;
  keys = {
    sign: await create('--algorithm', 'ECC_NIST_P256', '--purpose', 'sign'),
    mac: await create('--algorithm', 'HMAC_384'),
    one: await create(),
    two: await create(),
  };
  const named = Object.values(keys).flatMap((key) => ['--key', key]);
  const issue = ['system', 'credential', 'issue', 'edc', '--system', id, ...named, ...custodian];
  const { secret } = await answer<{ secret: string }>(issue);
  env = { ...env, TRIALKEEP_URL: server.url, TRIALKEEP_CREDENTIAL: secret };
});

after(async () => {
  await server?.stop();
  await rm(folder, { recursive: true, force: true });
});

test('a file is signed, and the signature checked here and with the public key alone [URS-045]', async () => {
  await writeFile(at('record'), 'a record');
  const input = ['--in', at('record')];
  await answer(['key', 'sign', keys.sign, ...input, '--out', at('signature')]);
  const pem = await run(['key', 'public-key', keys.sign]);
  const signature = await readFile(at('signature'));
  assert.ok(verify('sha256', Buffer.from('a record'), createPublicKey(pem.stdout), signature));
  const said = await run(['key', 'verify', keys.sign, ...input, '--signature', at('signature')]);
  assert.deepEqual([said.status, said.stdout], [0, 'It is valid, by version 1 of the key.\n'], said.stderr);
  const other = await run(['key', 'verify', keys.sign, '--signature', at('signature')], { stdin: 'another' });
  assert.equal(other.status, 1);
  assert.match(other.stderr, /\[cli\.not_authentic\]/);
  const both = ['key', 'verify', keys.sign, '--signature', at('signature'), '--reason', '-'];
  assert.equal((await run(both, { stdin: 'x' })).status, 2);
});

test('an HMAC is computed and checked [URS-045]', async () => {
  const { mac } = await answer<{ mac: string }>(['key', 'mac', keys.mac], { stdin: 'a message' });
  await writeFile(at('mac'), Buffer.from(mac, 'base64'));
  const check = ['key', 'verify-mac', keys.mac, '--mac', at('mac')];
  assert.deepEqual(await answer(check, { stdin: 'a message' }), { valid: true, key: keys.mac, version: 1 });
  assert.equal((await run(check, { stdin: 'another' })).status, 1);
});

test('a ciphertext goes from one key to another [URS-003]', async () => {
  const context = ['--context', 'class=ecg'];
  const sealed = await run(['encrypt', '--key', keys.one, ...context], { stdin: 'a value' });
  const moved = await run(['key', 're-encrypt', keys.one, '--target', keys.two, ...context], {
    stdin: sealed.stdout,
  });
  assert.equal(moved.status, 0, moved.stderr);
  const named = await answer<{ key: string; version: number }>(['key', 'identify'], { stdin: moved.stdout });
  assert.deepEqual([named.key, named.version], [keys.two, 1]);
  const opened = await run(['decrypt', '--key', keys.two, ...context], { stdin: moved.stdout });
  assert.equal(opened.stdout, 'a value');
});
