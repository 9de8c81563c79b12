import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import type { TestContext } from 'node:test';
import { generateKey } from '@trialkeep/crypto';
import type { KeyPlace } from '@trialkeep/crypto';
import { makeRoot } from './index.ts';
import { rootConformance } from './conformance.fixture.test.ts';
import { createRoot, openRoot, openRootOnly } from './open.ts';

const place: KeyPlace = {
  kind: 'instance',
  tenantId: new Uint8Array(16),
  keyId: randomBytes(16),
  versionId: randomBytes(16),
  purpose: 'wrap',
};
const shared = mkdtempSync(join(tmpdir(), 'trialkeep-root-'));
after(() => rmSync(shared, { recursive: true, force: true }));
const made = createRoot(join(shared, 'root'));

/** A copy of one root of trust, for a test to damage. */
async function copyRoot(t: TestContext): Promise<string> {
  await made;
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-root-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  cpSync(join(shared, 'root'), folder, { recursive: true });
  return folder;
}

function change(file: string, alter: (value: Record<string, never>) => object): void {
  writeFileSync(file, JSON.stringify(alter(JSON.parse(readFileSync(file, 'utf8')) as Record<string, never>)));
}

test('a root of trust opens again with its passphrase, and only at the place that it wrapped for [URS-008]', async (t) => {
  const { root, epochs } = await made;
  const folder = await copyRoot(t);
  for (const file of ['passphrase', 'root.json', 'epoch.json'])
    assert.equal(statSync(join(folder, file)).mode & 0o777, 0o600, file);
  const key = generateKey('AES_256');
  const wrapped = await root.wrap(place, key);
  const { root: again, epochs: epochsAgain } = await openRoot(folder);
  assert.equal(again.id, root.id);
  assert.ok(key.equals(await again.unwrap(place, wrapped)));
  assert.ok((await epochsAgain.current()).key.key.equals((await epochs.current()).key.key));
  const other = { ...place, keyId: randomBytes(16) };
  await assert.rejects(again.unwrap(other, wrapped), { code: 'root.passphrase_wrong' });
});

test('a passphrase that is wrong, missing, empty or readable by others is refused by name [URS-008]', async (t) => {
  const folder = await copyRoot(t);
  const file = join(folder, 'passphrase');
  const right = readFileSync(file, 'utf8');
  const open = () => openRoot(folder);
  writeFileSync(file, `${right.trim()}x\n`);
  await assert.rejects(open(), { code: 'root.passphrase_wrong' });
  writeFileSync(file, ' \n');
  await assert.rejects(open(), { code: 'root.passphrase_missing' });
  writeFileSync(file, right);
  chmodSync(file, 0o640);
  await assert.rejects(open(), { code: 'root.passphrase_exposed' });
  rmSync(file);
  await assert.rejects(open(), { code: 'root.passphrase_missing' });
});

test('parameters that are foreign, weaker than allowed or half there do not open [URS-008]', async (t) => {
  const folder = await copyRoot(t);
  const [root, epoch] = [join(folder, 'root.json'), join(folder, 'epoch.json')];
  const before = [root, epoch].map((file) => readFileSync(file));
  const open = () => openRoot(folder);
  const derivation = (more: object) => (value: Record<string, object>) => ({
    ...value,
    derivation: { ...value['derivation'], ...more },
  });
  const cases: [string, () => void][] = [
    ['config.invalid', () => change(root, derivation({ memoryKiB: 1024 }))],
    ['config.invalid', () => change(root, derivation({ memoryKiB: 2 ** 30 }))],
    ['config.invalid', () => change(root, derivation({ algorithm: 'argon2d' }))],
    ['config.invalid', () => change(root, (value) => ({ ...value, unknown: 1 }))],
    ['root.passphrase_wrong', () => change(root, derivation({ salt: randomBytes(16).toString('base64') }))],
    ['root.passphrase_wrong', () => change(epoch, (value) => ({ ...value, id: zeroId }))],
    ['data.unreadable', () => writeFileSync(epoch, (before[1] ?? assert.fail()).subarray(0, 40))],
    ['data.unreadable', () => rmSync(root)],
  ];
  for (const [code, damage] of cases) {
    damage();
    await assert.rejects(open(), { code });
    for (const [i, file] of [root, epoch].entries()) writeFileSync(file, before[i] ?? assert.fail());
  }
  await open();
});

const zeroId = '00000000-0000-4000-8000-000000000000';

for (const derivation of ['argon2id', 'pbkdf2-hmac-sha-512'] as const) {
  rootConformance(
    `passphrase (${derivation})`,
    async (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'trialkeep-root-'));
      t.after(() => rmSync(folder, { recursive: true, force: true }));
      const passphrase = randomBytes(24).toString('base64');
      writeFileSync(join(folder, 'passphrase'), `${passphrase}\n`, { mode: 0o600 });
      return {
        create: async () => makeRoot(folder, { kind: 'passphrase', derivation }),
        open: async () => openRootOnly(folder),
        secrets: [passphrase],
      };
    },
    { wrong: 'root.passphrase_wrong', hasModule: false },
  );
}

test('PBKDF2 is refused with fewer iterations than are advised, and settings with what is none [URS-008] [URS-085]', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-root-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  await createRoot(folder, { kind: 'passphrase', derivation: 'pbkdf2-hmac-sha-512', certificate: '4985' });
  const file = join(folder, 'root.json');
  const before = readFileSync(file);
  await openRoot(folder);
  for (const iterations of [0, 1000, 209_999, 2 ** 31]) {
    change(file, (value) => ({
      ...value,
      derivation: { ...(value['derivation'] as object | undefined), iterations },
    }));
    await assert.rejects(openRoot(folder), { code: 'config.invalid' });
    writeFileSync(file, before);
  }
  for (const settings of [
    { kind: 'passphrase', derivation: 'md5' },
    { kind: 'passphrase', passphrase: 'secret' },
    { kind: 'paper' },
    { kind: 'constructor' },
  ])
    await assert.rejects(makeRoot(join(folder, 'other'), settings as never), { code: 'config.invalid' });
});

test('the environment names the passphrase of the root that is started with, and of no other [URS-008]', async (t) => {
  const folder = await copyRoot(t);
  const elsewhere = join(mkdtempSync(join(tmpdir(), 'trialkeep-root-')), 'passphrase');
  t.after(() => rmSync(dirname(elsewhere), { recursive: true, force: true }));
  writeFileSync(elsewhere, 'of another root\n', { mode: 0o600 });
  const key = generateKey('AES_256');
  const wrapped = await (await made).root.wrap(place, key);
  process.env['TRIALKEEP_PASSPHRASE_FILE'] = elsewhere;
  try {
    const beside = await openRootOnly(folder);
    assert.ok(key.equals(await beside.unwrap(place, wrapped)));
    await assert.rejects(openRoot(folder), { code: 'root.passphrase_wrong' });
  } finally {
    delete process.env['TRIALKEEP_PASSPHRASE_FILE'];
  }
});
