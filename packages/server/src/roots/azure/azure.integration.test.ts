import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { generateKey } from '@trialkeep/crypto';
import { IdentityEmulator, KeyVaultEmulator } from '../../../../../tools/key-vault-emulator.ts';
import { opensslMissing } from '../../../../../tools/self-signed.ts';
import { serveHttp, serveHttps, withFaults } from '../cloud/front.fixture.test.ts';
import type { Fault, Faults, Served } from '../cloud/front.fixture.test.ts';
import { freshPlace, rootConformance } from '../conformance.fixture.test.ts';
import { createRoot, makeRoot, openRoot, openRootOnly } from '../open.ts';
import type { RootOfTrust, RootSettings } from '../root.ts';

const skip = opensslMissing;
const words = {
  mediaType: 'application/json',
  error500: '{"error":{"code":"InternalError","message":"try later"}}',
  throttle: { status: 429, body: '{"error":{"code":"Throttled","message":"Rate exceeded"}}' },
};
/** Short, for faults are waited for. */
const quick = { attempts: 2, timeoutMs: 2000 };
const keyName = 'trialkeep-root';
const environment = { ...process.env };
const trusted = getCACertificates('default');
const certificates: string[] = [];

const identity = new IdentityEmulator();
let servedIdentity: Served;

before(async () => {
  // The first that answers of the default chain is the identity of the machine, as in a service of Azure.
  for (const name of Object.keys(process.env)) if (name.startsWith('AZURE_')) delete process.env[name];
  servedIdentity = await serveHttp(identity.listener);
  Object.assign(process.env, {
    IDENTITY_ENDPOINT: `${servedIdentity.url}/msi/token`,
    IDENTITY_HEADER: identity.secret,
  });
});
after(async () => {
  await servedIdentity.close();
  setDefaultCACertificates(trusted);
  Object.assign(process.env, environment);
});

interface Subject {
  readonly folder: string;
  readonly settings: RootSettings;
  readonly emulator: KeyVaultEmulator;
  readonly front: Faults & Served;
  create(): Promise<RootOfTrust>;
  open(): Promise<RootOfTrust>;
}

/** A vault of its own, a root to make in it, and a front that can disturb what lies between. */
async function makeSubject(t: TestContext, patience: object = quick): Promise<Subject> {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-azure-'));
  const emulator = new KeyVaultEmulator(identity);
  emulator.create(keyName);
  const faults = withFaults(words, emulator.vault);
  const served = await serveHttps(faults.listener);
  certificates.push(served.certificate);
  setDefaultCACertificates([...trusted, ...certificates]);
  t.after(async () => {
    await served.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const settings: RootSettings = { kind: 'azure-key-vault', vaultUrl: served.url, keyName, ...patience };
  return {
    folder,
    settings,
    emulator,
    front: Object.assign(faults, served),
    create: () => makeRoot(folder, settings),
    open: () => openRootOnly(folder),
  };
}

rootConformance(
  'Azure Key Vault',
  async (t) => {
    const subject = await makeSubject(t, { timeoutMs: 30_000 });
    const latest = (): { enabled: boolean } => subject.emulator.key(keyName).versions.at(-1) ?? assert.fail();
    return {
      ...subject,
      secrets: [identity.token, identity.secret],
      breakIt: async () => void (latest().enabled = false),
      mendIt: async () => void (latest().enabled = true),
    };
  },
  { skip, samples: 12 },
);

test(
  'an installation opens with a root in Azure, and its folder holds no secret [URS-009] [URS-011]',
  { skip },
  async (t) => {
    const { folder, settings, emulator } = await makeSubject(t);
    const { epochs } = await createRoot(folder, settings);
    const again = await openRoot(folder);
    assert.ok((await again.epochs.current()).key.key.equals((await epochs.current()).key.key));
    assert.match(again.root.module?.key ?? '', /\/keys\/trialkeep-root\/[0-9a-f]{32}$/);
    for (const name of readdirSync(folder)) {
      assert.ok(!readFileSync(join(folder, name), 'utf8').includes(emulator.token), name);
      assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
    }
  },
);

test(
  'after a rotation in the vault, what older versions wrapped still opens [URS-009]',
  { skip },
  async (t) => {
    const { emulator, create, open } = await makeSubject(t);
    const root = await create();
    const [place, key] = [freshPlace(), generateKey('AES_256')];
    const old = await root.wrap(place, key);
    emulator.rotate(keyName, 4096);
    await root.check();
    const young = await root.wrap(place, key);
    assert.notDeepEqual(young.subarray(2, 18), old.subarray(2, 18));
    const again = await open();
    for (const wrapped of [old, young]) assert.ok(key.equals(await again.unwrap(place, wrapped)));
    const [first] = emulator.key(keyName).versions;
    if (first !== undefined) first.enabled = false;
    await assert.rejects(root.unwrap(place, old), { code: 'root.key_gone' });
    assert.ok(key.equals(await root.unwrap(place, young)));
  },
);

test('faults of the vault are named, and tried again as often as is set [URS-009]', { skip }, async (t) => {
  const { front, create } = await makeSubject(t);
  const root = await create();
  const [place, key] = [freshPlace(), generateKey('AES_256')];
  const wrapped = await root.wrap(place, key);
  const cases: readonly [Fault, string, number][] = [
    ['error-500', 'root.unreachable', 2],
    ['throttle', 'root.unreachable', 2],
    ['reset', 'root.unreachable', 2],
    ['hang', 'root.unreachable', 1],
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
  'a vault that cannot be reached, or hangs, at the start is named within the deadline [URS-009]',
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

test('a key that is gone, too short or not meant for it is no root [URS-009]', { skip }, async (t) => {
  const { folder, settings, emulator, create, open } = await makeSubject(t);
  const root = await create();
  emulator.create('short', 2048);
  emulator.create('signs', 3072);
  emulator.key('signs').operations = ['sign', 'verify'];
  emulator.create('purgeable', 3072);
  emulator.key('purgeable').recoveryLevel = 'Purgeable';
  const cases: [string, object][] = [
    ['root.key_gone', { keyName: 'nowhere' }],
    ['root.unsuitable', { keyName: 'short' }],
    ['root.unsuitable', { keyName: 'signs' }],
    ['root.unsuitable', { keyName: 'purgeable' }],
    ['config.invalid', { keyName: '../secrets' }],
    ['config.invalid', { vaultUrl: 'http://127.0.0.1:1' }],
    ['config.invalid', { vaultUrl: 'https://vault.example.org/keys' }],
    ['config.invalid', { clientSecret: 'a secret' }],
  ];
  const elsewhere = join(folder, 'elsewhere');
  for (const [code, change] of cases)
    await assert.rejects(makeRoot(elsewhere, { ...settings, ...change }), { code }, JSON.stringify(change));
  assert.deepEqual(readdirSync(elsewhere), [], 'nothing is left of what was refused');
  emulator.delete(keyName);
  for (const attempt of [() => root.check(), open, () => root.wrap(freshPlace(), generateKey('AES_256'))])
    await assert.rejects(attempt(), { code: 'root.key_gone' });
});

test(
  'a role that was taken away, and a token that is no longer accepted, are refused by name [URS-009]',
  { skip },
  async (t) => {
    const { emulator, create, open } = await makeSubject(t);
    const root = await create();
    emulator.forbids = true;
    await assert.rejects(root.check(), { code: 'root.refused' });
    emulator.forbids = false;
    await root.check();
    emulator.token = 'another';
    await assert.rejects(root.check(), { code: 'root.refused' });
    await assert.rejects(open(), { code: 'root.refused' });
  },
);
