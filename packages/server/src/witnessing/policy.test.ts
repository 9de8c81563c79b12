import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ed25519PublicKey, generateKey } from '@trialkeep/crypto';
import { formatVerifierKey } from '@trialkeep/ledger';
import fc from 'fast-check';
import { sha256 } from '../audit/index.ts';
import { OperationError } from '../platform/errors.ts';
import { PolicyFolder } from './policy-file.ts';
import { hashOf, meets, readSetting } from './policy.ts';
import type { Setting } from './policy.ts';

const origin = 'trialkeep.example/one';
const key = (name: string, type = 0x04): string =>
  formatVerifierKey(sha256, name, type, ed25519PublicKey(generateKey('ED25519')));
const setting = (policy: string, more: Partial<Setting> = {}): Setting => ({
  policy,
  mirrors: [],
  mode: 'required',
  boundSeconds: 60,
  ...more,
});
const oneWitness = (url: string): string => `witness w ${key('w.example')} ${url}\nquorum w\n`;

const refusedAt = (field: string) => (error: unknown) => {
  assert.ok(error instanceof OperationError, String(error));
  assert.deepEqual([error.code, error.field], ['witnessing.policy_invalid', field]);
  return true;
};

test('a policy with witnesses and mirrors is read, and its quorum is that of the policy [URS-034]', () => {
  const keys = [key('a.example'), key('b.example'), key('c.example')];
  const lines = keys.map((one, i) => `witness w${i} ${one} https://w${i}.example/api/`);
  const mirror = { name: 'sponsor', key: key('mirror.example'), url: 'http://127.0.0.1:7422' };
  const policy = `${lines.join('\n')}\ngroup g 2 w0 w1 w2\nquorum g\n`;
  const read = readSetting(setting(policy, { mirrors: [mirror] }), origin);
  assert.deepEqual(
    read.witnesses.map(({ url }) => url),
    [0, 1, 2].map((i) => `https://w${i}.example/api`),
  );
  const ids = read.witnesses.map(({ id }) => id);
  assert.equal(meets(read, new Set(ids.slice(0, 1))), false);
  assert.equal(meets(read, new Set(ids.slice(0, 2))), true);
  assert.equal(meets(read, new Set(read.mirrorCosigners.map(({ id }) => id))), false);
});

test('a witness of the policy may be a mirror, whose cosignature then counts [URS-034]', () => {
  const mirrorKey = key('mirror.example');
  const mirror = { name: 'sponsor', key: mirrorKey, url: 'https://mirror.example' };
  const policy = `witness copy ${mirrorKey}\nquorum copy\n`;
  assert.throws(() => readSetting(setting(policy), origin), refusedAt('/policy'));
  const read = readSetting(setting(policy, { mirrors: [mirror] }), origin);
  assert.equal(meets(read, new Set(read.mirrorCosigners.map(({ id }) => id))), true);
});

test('URLs that would leak, redirect trust or cross a network in clear are refused [URS-034]', () => {
  const refused = [
    'http://witness.example',
    'http://10.0.0.1',
    'http://127.0.0.1.example.org',
    'https://user@witness.example',
    'https://user:secret@witness.example',
    'https://witness.example/?token=secret',
    'https://witness.example/?',
    'https://witness.example/#a',
    'ftp://witness.example',
    'file:///etc/passwd',
    'witness.example',
  ];
  for (const url of refused) {
    assert.throws(() => readSetting(setting(oneWitness(url)), origin), refusedAt('/policy'), url);
    const mirrors = [{ name: 'm', key: key('m.example'), url }];
    assert.throws(
      () => readSetting(setting('quorum none\n', { mirrors, mode: 'background' }), origin),
      refusedAt('/mirrors/0'),
      url,
    );
  }
  for (const url of [
    'https://witness.example/a/b',
    'http://127.0.0.1:1',
    'http://[::1]:7421/x',
    'http://localhost',
  ]) {
    assert.doesNotThrow(() => readSetting(setting(oneWitness(url)), origin), url);
  }
});

test('policies that cannot be carried out are refused, and say where [URS-034]', () => {
  const good = oneWitness('https://w.example');
  const mirror = { name: 'm', key: key('m.example'), url: 'https://m.example' };
  const cases: [Setting, string][] = [
    [setting('nonsense\n'), '/policy'],
    [setting(''), '/policy'],
    [setting('quorum none\n'), '/mode'],
    [setting(`log ${key('other.example', 0x01)}\n${good}`), '/policy'],
    [setting(`witness w ${key('w.example', 0x01)} https://w.example\nquorum w\n`), '/policy'],
    [setting(good, { mirrors: [{ ...mirror, key: key('m.example', 0x01) }] }), '/mirrors/0'],
    [setting(`witness w ${key(origin)} https://w.example\nquorum w\n`), '/policy'],
    [setting(`log ${key(origin, 0x01)}\nwitness w ${key(origin)} https://w.example\nquorum w\n`), '/policy'],
    [setting(good, { mirrors: [mirror, { ...mirror, name: 'n', key: key(origin) }] }), '/mirrors/1'],
    [setting(good, { mirrors: [{ ...mirror, key: 'm.example+00000000+AA==' }] }), '/mirrors/0'],
    [setting(good, { mirrors: [mirror, mirror] }), '/mirrors'],
    [setting(`#${'x'.repeat(48_000)}\n${good}`), '/policy'],
  ];
  for (const [wrong, field] of cases) assert.throws(() => readSetting(wrong, origin), refusedAt(field));
});

test('whatever is given as a policy is read or refused with the typed error [URS-034]', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (policy) => {
      try {
        readSetting(setting(policy.toWellFormed()), origin);
      } catch (error) {
        assert.ok(
          error instanceof OperationError && error.code === 'witnessing.policy_invalid',
          String(error),
        );
      }
    }),
    { numRuns: 300 },
  );
});

test('the hash names the whole setting [URS-034]', () => {
  const one = setting(oneWitness('https://w.example'));
  const others = [
    { ...one, boundSeconds: 61 },
    { ...one, mode: 'background' as const },
    { ...one, policy: `${one.policy}\n` },
    { ...one, mirrors: [{ name: 'm', key: 'k', url: 'https://m.example' }] },
  ];
  assert.equal(new Set([one, { ...one }, ...others].map(hashOf)).size, 5);
});

test('the anchor folder keeps the newest policy, and what is none is named [URS-080]', (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-policy-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const kept = { origin, version: 2, ...setting(oneWitness('https://w.example')), mirrors: [] };
  const policies = new PolicyFolder(folder);
  policies.keep(kept);
  policies.keep({ ...kept, version: 1, policy: 'quorum none\n' });
  assert.deepEqual(policies.read(), { policies: [kept], unreadable: [] });
  new PolicyFolder(folder).keep({ ...kept, version: 1 });
  assert.deepEqual(policies.read().policies, [kept]);
  const [name = ''] = readdirSync(folder);
  for (const content of ['', '{}', '[]', '{"format":2}', 'x'.repeat(2_000_000)]) {
    writeFileSync(join(folder, name), content);
    assert.equal(policies.read().unreadable.length, 1, content.slice(0, 20));
  }
});
