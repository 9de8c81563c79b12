import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusal } from '../fixture.test.ts';
import { chooseProtection, demandsHsm, protectionPolicy } from './protection.ts';
import type { ProtectionPolicy } from './protection.ts';

const aes = { algorithm: 'AES_256', purpose: 'encrypt' };
const policies = {
  without: { profile: 'evaluation', systemTypes: ['etmf'], hasHsm: false },
  with: { profile: 'evaluation', systemTypes: ['etmf'], hasHsm: true },
  none: { profile: 'evaluation', systemTypes: [], hasHsm: true },
  regulated: { profile: 'regulated', systemTypes: [], hasHsm: true },
  bare: { profile: 'regulated', systemTypes: [], hasHsm: false },
} as const satisfies Record<string, ProtectionPolicy>;

test('the eTMF demands a key in an HSM where there is one, and always under the regulated profile [URS-014]', () => {
  const demanding = Object.entries(policies).filter(([, policy]) => demandsHsm(policy, 'etmf'));
  assert.deepEqual(
    demanding.map(([name]) => name),
    ['with', 'regulated', 'bare'],
  );
  for (const policy of Object.values(policies)) assert.ok(!demandsHsm(policy, 'edc'));
  assert.ok(demandsHsm({ ...policies.with, systemTypes: ['edc'] }, 'edc'));
});

test('a key is where the caller says, unless its system demands the HSM [URS-014]', () => {
  const choose = (
    policy: ProtectionPolicy,
    type: string,
    wanted: 'software' | 'hsm' | undefined,
    kind: { algorithm: string; purpose: string } = aes,
  ) => chooseProtection(policy, kind, type, wanted);
  assert.equal(choose(policies.without, 'etmf', undefined), 'software');
  assert.equal(choose(policies.with, 'etmf', undefined), 'hsm');
  assert.equal(choose(policies.with, 'edc', undefined), 'software');
  assert.equal(choose(policies.with, 'edc', 'hsm'), 'hsm');
  assert.equal(choose(policies.none, 'etmf', 'software'), 'software');
  const refused = [
    ['key.hsm_required', policies.with, 'etmf', 'software'],
    ['key.hsm_required', policies.bare, 'etmf', undefined],
    ['key.hsm_required', policies.bare, 'etmf', 'hsm'],
    ['key.hsm_missing', policies.without, 'edc', 'hsm'],
  ] as const;
  for (const [code, policy, type, wanted] of refused)
    assert.throws(() => choose(policy, type, wanted), refusal(code));
  for (const kind of [
    { algorithm: 'ECC_NIST_P256', purpose: 'agree' },
    { algorithm: 'ML_DSA_65', purpose: 'sign' },
    { algorithm: 'ML_KEM_768', purpose: 'agree' },
  ])
    assert.throws(() => choose(policies.with, 'etmf', undefined, kind), refusal('key.hsm_unsupported'));
});

test('the configuration names the types of systems; the eTMF without it [URS-014]', () => {
  const here = { hasTokenKeys: true };
  assert.deepEqual(protectionPolicy({ profile: 'evaluation' }, here), policies.with);
  assert.deepEqual(protectionPolicy({ profile: 'evaluation', hsmSystemTypes: [] }, here), policies.none);
});
