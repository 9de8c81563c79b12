/** vectors/key-transfer.json: what docs/formats/key-transfer.md says, byte for byte. */
import assert from 'node:assert/strict';
import { createPrivateKey, createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { encodePublicKey, unwrapKwp, unwrapRsaAes, wrapKwp } from '@trialkeep/crypto';
import type { Hierarchy } from '../hierarchy.ts';
import { fingerprintOf } from '../material-index.ts';

interface Vectors {
  readonly kwp: readonly { readonly key: string; readonly material: string; readonly wrapped: string }[];
  readonly transfers: readonly {
    readonly privateKey: string;
    readonly material: string;
    readonly wrapped: string;
  }[];
  readonly fingerprints: readonly {
    readonly instanceKey: string;
    readonly algorithm: string;
    readonly material: string;
    readonly fingerprint: string;
  }[];
}

const path = new URL('../../../../../vectors/key-transfer.json', import.meta.url);
const vectors = JSON.parse(readFileSync(path, 'utf8')) as Vectors;
const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const privateKeyOf = (der: string) => createPrivateKey({ key: hex(der), format: 'der', type: 'pkcs8' });

test('material is wrapped and unwrapped as the vectors say [URS-088]', () => {
  for (const { key, material, wrapped } of vectors.kwp) {
    assert.equal(wrapKwp(createSecretKey(hex(key)), hex(material)).toString('hex'), wrapped);
    assert.equal(unwrapKwp(createSecretKey(hex(key)), hex(wrapped))?.toString('hex'), material);
  }
  for (const { privateKey, material, wrapped } of vectors.transfers) {
    assert.equal(unwrapRsaAes(privateKeyOf(privateKey), hex(wrapped)).toString('hex'), material);
  }
  assert.ok(vectors.kwp.length > 1 && vectors.transfers.length > 0);
});

test('the fingerprint of material is that of the vectors [URS-088]', async () => {
  for (const { instanceKey, algorithm, material, fingerprint } of vectors.fingerprints) {
    const hierarchy = { ownerKey: async () => createSecretKey(hex(instanceKey)) } as unknown as Hierarchy;
    const isSymmetric = /^(?:AES|HMAC)_/.test(algorithm);
    const secret = isSymmetric ? createSecretKey(hex(material)) : privateKeyOf(material);
    const publicKey = isSymmetric ? {} : { publicKey: encodePublicKey(secret) };
    const made = await fingerprintOf(hierarchy, algorithm, { secret, ...publicKey });
    assert.equal(made.toString('hex'), fingerprint, algorithm);
  }
  assert.equal(vectors.fingerprints.length, 4);
});
