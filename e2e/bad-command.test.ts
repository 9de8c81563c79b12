import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { formatVerifierKey, parseVerifierKey } from '@trialkeep/ledger';
import { sha256 } from '@trialkeep/sdk/verify';
import { contentOf } from './folder.ts';
import { answerOf, asCaller, clientOf, failureOf, makeFolder } from './harness.ts';
import { newInstallation, ServerProcess, trialkeep } from './harness.ts';
import type { RunOptions } from './harness.ts';
import { newSystem, newTenant } from './tenant.ts';
import type { Tenant, TenantRole } from './tenant.ts';

let server: ServerProcess;
let tenant: Tenant;
let otherKey: string;
const nothing = randomUUID();
/** Where the commands work; nothing may be left in it. */
const folder = makeFolder();
const at = (name: string): string => join(folder, name);

before(async () => {
  const installation = await newInstallation();
  server = await ServerProcess.start(installation.data);
  tenant = await newTenant(server, installation.administrator.secret, 'Sponsor');
  otherKey = (await newSystem(clientOf(server, tenant.credentials.custodian.secret), 'Other EDC')).key;
});

const as = (role: TenantRole, stdin?: string | Uint8Array): RunOptions => ({
  cwd: folder,
  env: asCaller(server, tenant.credentials[role].secret),
  ...(stdin !== undefined && { stdin }),
});

async function inventory(): Promise<object> {
  const client = clientOf(server, tenant.credentials.custodian.secret);
  return {
    studies: await client.call('studies.list', {}),
    subjects: await client.call('subjects.list', { study: tenant.study }),
    credentials: await client.call('credentials.list', {}),
    keys: (await client.call('keys.list', {})).keys.map(({ lastUse: _lastUse, ...key }) => key),
    key: await client.call('keys.show', { key: tenant.key }),
  };
}

interface Case {
  readonly code: string;
  /** 2 where the command line itself is wrong. */
  readonly status?: number;
  readonly argv: readonly string[];
  readonly as?: TenantRole;
  readonly stdin?: string | Uint8Array;
}

/** Runs the commands, which have to fail, and sees that they leave nothing in the tenant and nothing in their folder. */
async function assertFailures(cases: Readonly<Record<string, Case>>): Promise<void> {
  const unchanged = await inventory();
  for (const [what, { code, status = 1, argv, as: role = 'custodian', stdin }] of Object.entries(cases)) {
    const before = contentOf(folder);
    const failure = await failureOf(argv, as(role, stdin));
    assert.deepEqual([failure.code, failure.status], [code, status], `${what}: ${failure.message}`);
    assert.deepEqual(contentOf(folder), before, what);
  }
  assert.deepEqual(await inventory(), unchanged);
}

test('what a command is given and cannot use has a code, and is not half done', async () => {
  const { key, system, study } = tenant;
  const create = ['key', 'create', '--system', system];
  await assertFailures({
    'an over-long name': { code: 'request.invalid', argv: ['study', 'create', 'x'.repeat(201)] },
    'an over-long reason': {
      code: 'request.invalid',
      argv: ['key', 'rotate', key, '--reason', '-'],
      stdin: 'r'.repeat(2001),
    },
    'an empty reason': {
      code: 'cli.input_empty',
      argv: ['key', 'suspend', key, '--reason', '-'],
      stdin: '',
    },
    'an expiry in the past': { code: 'date.past', argv: [...create, '--expires', '2020-01-01'] },
    'an expiry before the activation': {
      code: 'date.order',
      argv: [...create, '--activates', '2120-01-02', '--expires', '2120-01-01'],
    },
    'the thirtieth of February': {
      code: 'cli.usage',
      status: 2,
      argv: [...create, '--expires', '2120-02-30'],
    },
    'a rotation period out of range': {
      code: 'cli.usage',
      status: 2,
      argv: [...create, '--rotation-days', '59'],
    },
    'a number with a unit': { code: 'cli.usage', status: 2, argv: [...create, '--rotation-days', '90d'] },
    'an option that is not there': { code: 'cli.usage', status: 2, argv: [...create, '--force'] },
    'an unknown key': { code: 'key.unknown', argv: ['key', 'show', nothing] },
    'an id that is none': { code: 'client.invalid_input', argv: ['key', 'rotate', '../../keys'] },
    'an unknown credential': {
      code: 'credential.unknown',
      argv: ['system', 'credential', 'revoke', nothing, '--reason', 'x'],
    },
    'a study of nobody': {
      code: 'study.unknown',
      argv: ['subject', 'create', '--study', nothing],
      stdin: '1002\n',
    },
    'one bad subject number among good ones': {
      code: 'cli.input_invalid',
      argv: ['subject', 'create', '--study', study],
      stdin: `1002\n${'n'.repeat(65)}\n1003\n`,
    },
    'a plaintext over 64 KiB': {
      code: 'cli.input_too_large',
      argv: ['encrypt', '--key', key],
      as: 'service',
      stdin: Buffer.alloc(65_537),
    },
    'a role that may not': { code: 'access.denied', argv: ['encrypt', '--key', key], stdin: 'x' },
  });
});

test('a ciphertext that does not open leaves no part of a plaintext [URS-047]', async () => {
  const key = ['--key', tenant.key];
  const ecg = ['--context', 'class=ecg'];
  writeFileSync(at('plaintext'), randomBytes(1000));
  for (const name of ['one', 'two']) {
    await answerOf(['encrypt', ...key, ...ecg, '--in', 'plaintext', '--out', name], as('service'));
  }
  const [one, two] = ['one', 'two'].map((name) =>
    Buffer.from(readFileSync(at(name), 'latin1'), 'base64'),
  ) as [Buffer, Buffer];
  const flipped = Buffer.from(one);
  flipped[500] = (flipped[500] ?? 0) ^ 1;
  const write = (name: string, ciphertext: Buffer) => writeFileSync(at(name), ciphertext.toString('base64'));
  write('truncated', one.subarray(0, 700));
  write('flipped', flipped);
  write('swapped', Buffer.concat([one.subarray(0, 82), two.subarray(82)]));
  write('garbage', randomBytes(1098));
  writeFileSync(at('text'), 'garbage!');
  const decrypt = (file: string, code = 'ciphertext.invalid', how = [...key, ...ecg]): Case => {
    return { code, argv: ['decrypt', ...how, '--in', file, '--out', 'target'], as: 'service' };
  };
  await assertFailures({
    truncated: decrypt('truncated'),
    'bit-flipped': decrypt('flipped'),
    swapped: decrypt('swapped'),
    garbage: decrypt('garbage'),
    'not base64': decrypt('text', 'request.invalid'),
    'wrong context': decrypt('one', 'ciphertext.invalid', [...key, '--context', 'class=dicom']),
    'no context': decrypt('one', 'ciphertext.invalid', key),
    'unknown key': decrypt('one', 'key.unknown', ['--key', nothing, ...ecg]),
    "another system's key": decrypt('one', 'key.unknown', ['--key', otherKey, ...ecg]),
    'no such file': decrypt('nowhere', 'cli.input_unreadable'),
  });
  const whole = await trialkeep(['decrypt', ...key, ...ecg, '--in', 'one'], as('service'));
  assert.deepEqual([whole.status, whole.stderr], [0, '']);
});

test('an export goes into an empty folder, and a verification takes nothing for granted [URS-033]', async () => {
  mkdirSync(at('occupied'));
  writeFileSync(at('occupied/file'), 'x');
  await answerOf(['ledger', 'export', 'ledger'], as('auditor'));
  const keys = await clientOf(server, tenant.credentials.auditor.secret).call('ledger.verifier-key', {});
  const [vkey = ''] = keys.split('\n');
  const { name } = parseVerifierKey(sha256, vkey);
  const forged = formatVerifierKey(sha256, name, 0x01, randomBytes(32));
  await assertFailures({
    'a folder with something in it': {
      code: 'export.folder_not_empty',
      argv: ['ledger', 'export', 'occupied'],
      as: 'auditor',
    },
    'another key than the log signs with': {
      code: 'export.not_verified',
      argv: ['ledger', 'export', 'fresh', '--key', forged],
      as: 'auditor',
    },
    'no ledger': { code: 'verify.folder_unreadable', argv: ['verify', 'nowhere', '--key', vkey] },
    'a key that is none': { code: 'ledger.key_malformed', argv: ['verify', 'ledger', '--key', 'garbage'] },
  });
});

test('a command without a server or a credential of use says so', async () => {
  const { secret } = tenant.credentials.custodian;
  const fails = async (env: Record<string, string>, code: string, argv = ['key', 'list']): Promise<void> => {
    const failure = await failureOf(argv, { env });
    assert.deepEqual([failure.code, failure.status], [code, 1], failure.message);
    assert.ok(!failure.message.includes(secret));
  };
  const gone = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => gone.once('listening', resolve));
  const url = `http://127.0.0.1:${(gone.address() as AddressInfo).port}`;
  await new Promise((resolve) => gone.close(resolve));
  await fails({}, 'cli.no_credential');
  await fails({ TRIALKEEP_URL: server.url }, 'cli.no_credential');
  await fails({ TRIALKEEP_URL: url, TRIALKEEP_CREDENTIAL: secret }, 'client.unreachable');
  await fails({ TRIALKEEP_URL: server.url, TRIALKEEP_CREDENTIAL: 'unheard-of' }, 'auth.required');
  await fails({ TRIALKEEP_URL: 'http://192.0.2.1', TRIALKEEP_CREDENTIAL: secret }, 'client.insecure_url');

  const config = makeFolder();
  const profiles = join(config, 'trialkeep', 'profiles.json');
  const named = (name: string) => ['key', 'list', '--profile', name];
  mkdirSync(join(config, 'trialkeep'));
  writeFileSync(profiles, JSON.stringify({ profiles: { good: { url: server.url, credential: secret } } }), {
    mode: 0o600,
  });
  const env = { XDG_CONFIG_HOME: config };
  await answerOf(named('good'), { env });
  await fails(env, 'cli.profile_unknown', named('unknown'));
  chmodSync(profiles, 0o640);
  await fails(env, 'cli.profile_exposed', named('good'));
});
