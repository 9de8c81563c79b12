import assert from 'node:assert/strict';
import { getFips } from 'node:crypto';
import test from 'node:test';
import { profileRefusals } from './profile.ts';
import type { RootFacts } from './profile.ts';

const passphrase = { kind: 'passphrase', besideData: true, isApprovedDerivation: false } as const;
const module = getFips() === 1 ? [] : [/cryptographic module/];

function refused(rootOfTrust: RootFacts, expected: readonly RegExp[]): void {
  const refusals = profileRefusals('regulated', { rootOfTrust, transport: 'http', approvers: 1 });
  const all = [...expected, /plain HTTP/, /one person/, ...module];
  assert.equal(refusals.length, all.length, refusals.join('; '));
  for (const [i, pattern] of all.entries()) assert.match(refusals[i] ?? '', pattern);
}

test('the regulated profile names everything that it refuses [URS-085]', () => {
  refused(passphrase, [/passphrase in a file/, /Argon2id/]);
  refused({ ...passphrase, isApprovedDerivation: true }, [/passphrase in a file/]);
  refused({ ...passphrase, besideData: false }, [/Argon2id/]);
  refused({ ...passphrase, besideData: false, isApprovedDerivation: true }, []);
});

test('of a module that holds the root the regulated profile wants the certificate [URS-001] [URS-085]', () => {
  for (const kind of ['pkcs11', 'aws-kms', 'azure-key-vault'] as const) {
    const root = { kind, besideData: false, isApprovedDerivation: false };
    refused(root, [/certificate/]);
    refused({ ...root, certificate: '4985' }, []);
  }
  refused({ ...passphrase, kind: 'shares' }, []);
});

test('the evaluation profile refuses nothing of it [URS-085]', () => {
  assert.deepEqual(
    profileRefusals('evaluation', { rootOfTrust: passphrase, transport: 'http', approvers: 1 }),
    [],
  );
});
