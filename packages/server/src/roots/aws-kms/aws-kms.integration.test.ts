import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import {
  CreateKeyCommand,
  DisableKeyCommand,
  EnableKeyCommand,
  KMSClient,
  ScheduleKeyDeletionCommand,
} from '@aws-sdk/client-kms';
import type { CreateKeyCommandInput } from '@aws-sdk/client-kms';
import { generateKey } from '@trialkeep/crypto';
import { kmsEmulatorMissing, startKmsEmulator } from '../../../../../tools/kms-emulator.ts';
import type { KmsEmulator } from '../../../../../tools/kms-emulator.ts';
import { passOn, serveHttp, withFaults } from '../cloud/front.fixture.test.ts';
import type { Fault, Faults, Served } from '../cloud/front.fixture.test.ts';
import { freshPlace, rootConformance } from '../conformance.fixture.test.ts';
import { createRoot, makeRoot, openRoot, openRootOnly } from '../open.ts';
import type { RootOfTrust, RootSettings } from '../root.ts';

const skip = kmsEmulatorMissing;
const region = 'eu-central-1';
const secret = 'a-secret-access-key-that-nobody-prints';
const words = {
  mediaType: 'application/x-amz-json-1.1',
  error500: '{"__type":"KMSInternalException","message":"try later"}',
  throttle: { status: 400, body: '{"__type":"ThrottlingException","message":"Rate exceeded"}' },
};
/** Short, for faults are waited for. */
const quick = { attempts: 2, timeoutMs: 1000 };

let emulator: KmsEmulator;
let admin: KMSClient;
before(async () => {
  if (skip !== false) return;
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIATESTTESTTEST', AWS_SECRET_ACCESS_KEY: secret });
  emulator = await startKmsEmulator();
  admin = new KMSClient({ region, endpoint: emulator.url });
});
after(() => {
  if (skip !== false) return;
  admin.destroy();
  emulator.stop();
});

async function newKey(options: CreateKeyCommandInput = {}): Promise<string> {
  const { KeyMetadata: key } = await admin.send(
    new CreateKeyCommand({ KeyUsage: 'ENCRYPT_DECRYPT', ...options }),
  );
  return key?.Arn ?? assert.fail();
}

/** moto changes the state of keys by their id alone. */
function keyId(keyArn: string): string {
  return keyArn.split('/')[1] ?? '';
}

/** moto says that a key is disabled, but lets it be used: what the service refuses then (API reference, `Encrypt`, errors). */
function refusesUse(type: 'DisabledException' | 'KMSInvalidStateException'): Faults['refusal'] {
  return ({ headers }) =>
    /^TrentService\.(Encrypt|Decrypt)$/.test(String(headers['x-amz-target']))
      ? { status: 400, body: JSON.stringify({ __type: type, message: 'The key cannot be used now.' }) }
      : undefined;
}

interface Subject {
  readonly folder: string;
  readonly settings: RootSettings;
  readonly keyArn: string;
  readonly front: Faults & Served;
  create(): Promise<RootOfTrust>;
  open(): Promise<RootOfTrust>;
}

/** A key in the service, a root to make for it, and a front that can disturb what lies between. */
async function makeSubject(t: TestContext, more: object = quick): Promise<Subject> {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-kms-'));
  const faults = withFaults(words, passOn(emulator.url));
  const served = await serveHttp(faults.listener);
  const roots: RootOfTrust[] = [];
  t.after(async () => {
    for (const root of roots) await root.close();
    await served.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const keyArn = await newKey();
  const settings: RootSettings = { kind: 'aws-kms', keyArn, endpoint: served.url, ...more };
  const keep = async (root: Promise<RootOfTrust>): Promise<RootOfTrust> => {
    roots.push(await root);
    return root;
  };
  return {
    folder,
    settings,
    keyArn,
    front: Object.assign(faults, served),
    create: () => keep(makeRoot(folder, settings)),
    open: () => keep(openRootOnly(folder)),
  };
}

rootConformance(
  'AWS KMS',
  async (t) => {
    // Nothing hangs here, and a loaded machine answers fifty at once slowly.
    const subject = await makeSubject(t, { timeoutMs: 30_000 });
    return {
      ...subject,
      secrets: [secret],
      breakIt: async () => {
        await admin.send(new DisableKeyCommand({ KeyId: keyId(subject.keyArn) }));
        subject.front.refusal = refusesUse('DisabledException');
      },
      mendIt: async () => {
        await admin.send(new EnableKeyCommand({ KeyId: keyId(subject.keyArn) }));
        subject.front.refusal = undefined;
      },
    };
  },
  { skip, samples: 12 },
);

test(
  'an installation opens with a root in AWS KMS, and its folder holds no secret [URS-009] [URS-011]',
  { skip },
  async (t) => {
    const { folder, settings } = await makeSubject(t);
    const { root, epochs } = await createRoot(folder, settings);
    const again = await openRoot(folder);
    assert.ok((await again.epochs.current()).key.key.equals((await epochs.current()).key.key));
    assert.equal(again.root.module?.key, settings['keyArn']);
    for (const name of readdirSync(folder)) {
      assert.ok(!readFileSync(join(folder, name), 'utf8').includes(secret), name);
      assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
    }
    await Promise.all([root.close(), again.root.close()]);
  },
);

test('faults of the service are named, and tried again as often as is set [URS-009]', { skip }, async (t) => {
  const { front, create } = await makeSubject(t);
  const root = await create();
  const place = freshPlace();
  const key = generateKey('AES_256');
  const wrapped = await root.wrap(place, key);
  const cases: readonly [Fault, string, number][] = [
    ['error-500', 'root.unreachable', 2],
    ['throttle', 'root.unreachable', 2],
    ['reset', 'root.unreachable', 2],
    ['hang', 'root.unreachable', 2],
    ['drip', 'root.unreachable', 1],
    ['huge', 'root.failed', 1],
    ['malformed', 'root.failed', 1],
    ['empty', 'root.failed', 1],
  ];
  for (const [fault, code, attempts] of cases) {
    const before = front.requests;
    Object.assign(front, { fault, times: Infinity });
    await assert.rejects(root.unwrap(place, wrapped), { code }, fault);
    assert.ok(front.requests - before >= attempts, `${fault}: ${front.requests - before} requests`);
    front.fault = undefined;
    assert.ok(key.equals(await root.unwrap(place, wrapped)), `after ${fault}`);
  }
  for (const fault of ['error-500', 'throttle', 'reset'] as const) {
    Object.assign(front, { fault, times: 1 });
    assert.ok(key.equals(await root.unwrap(place, wrapped)), `${fault} once`);
  }
});

test(
  'a service that cannot be reached, or hangs, at the start is named within the deadline [URS-009]',
  { skip },
  async (t) => {
    const { folder, front, create, open } = await makeSubject(t);
    await create();
    front.fault = 'hang';
    await assert.rejects(open(), { code: 'root.unreachable' });
    await front.close();
    await assert.rejects(openRootOnly(folder), { code: 'root.unreachable' });
  },
);

test(
  'a key that is to be deleted, or is another kind, or is nowhere, is no root [URS-009]',
  { skip },
  async (t) => {
    const { folder, settings, keyArn, front, create, open } = await makeSubject(t);
    const root = await create();
    await admin.send(new ScheduleKeyDeletionCommand({ KeyId: keyId(keyArn), PendingWindowInDays: 7 }));
    front.refusal = refusesUse('KMSInvalidStateException');
    for (const attempt of [() => root.check(), open, () => root.wrap(freshPlace(), generateKey('AES_256'))])
      await assert.rejects(attempt(), { code: 'root.key_gone' });
    front.refusal = undefined;
    const [account] = keyArn.match(/[0-9]{12}/) ?? [];
    const cases: [string, object][] = [
      [
        'root.key_gone',
        { keyArn: `arn:aws:kms:${region}:${account}:key/00000000-0000-4000-8000-000000000000` },
      ],
      ['root.key_gone', { keyArn: keyArn.replace(region, 'us-east-1') }],
      ['root.unsuitable', { keyArn: await newKey({ KeySpec: 'RSA_3072', KeyUsage: 'ENCRYPT_DECRYPT' }) }],
      ['root.unsuitable', { keyArn: await newKey({ KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' }) }],
      ['config.invalid', { keyArn: `arn:aws:kms:${region}:${account}:alias/root` }],
      ['config.invalid', { keyArn: 'root' }],
      ['config.invalid', { endpoint: 'http://kms.example.org' }],
      ['config.invalid', { endpoint: 'https://user:password@kms.example.org' }],
      ['config.invalid', { attempts: 0 }],
      ['config.invalid', { secretAccessKey: secret }],
    ];
    const elsewhere = join(folder, 'elsewhere');
    for (const [code, change] of cases)
      await assert.rejects(makeRoot(elsewhere, { ...settings, ...change }), { code }, JSON.stringify(change));
    assert.deepEqual(readdirSync(elsewhere), [], 'nothing is left of what was refused');
  },
);

test(
  'credentials that AWS does not know or that are missing are refused by name [URS-009]',
  { skip },
  async (t) => {
    const { create, open } = await makeSubject(t);
    const root = await create();
    t.after(() => emulator.authorise(false));
    await emulator.authorise(true);
    await assert.rejects(root.check(), { code: 'root.refused' });
    await assert.rejects(open(), { code: 'root.refused' });
    await emulator.authorise(false);
    await root.check();
    const kept = { ...process.env };
    t.after(() => Object.assign(process.env, kept));
    delete process.env['AWS_ACCESS_KEY_ID'];
    delete process.env['AWS_SECRET_ACCESS_KEY'];
    Object.assign(process.env, {
      AWS_EC2_METADATA_DISABLED: 'true',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    });
    await assert.rejects(open(), { code: 'root.refused' });
  },
);
