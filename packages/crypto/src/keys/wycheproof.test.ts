/** Project Wycheproof's vectors against the algorithms of systems' keys. */
import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { realInput } from '../fixture.test.ts';
import {
  CryptoError,
  decapsulateMlKem768,
  decryptOaep,
  deriveSharedSecret,
  encodePublicKey,
  importSecret,
  isMac,
  parsePublicKey,
  verifyWith,
  type KeyAlgorithm,
  type SignatureAlgorithm,
} from '../index.ts';

interface Vector {
  readonly tcId: number;
  readonly result: 'valid' | 'invalid' | 'acceptable';
  readonly flags: readonly string[];
  readonly [name: string]: unknown;
}
type Group = { readonly tests: readonly Vector[] } & Readonly<Record<string, unknown>>;

const hex = (text: unknown): Buffer => Buffer.from(text as string, 'hex');

/** Registers a test over a file's groups. */
function over(file: string, title: string, run: (group: Group, vector: Vector) => void): void {
  const { path, skip } = realInput(`wycheproof/testvectors_v1/${file}_test.json`);
  test(`Wycheproof ${title} [URS-045]`, { skip }, () => {
    const { testGroups } = JSON.parse(readFileSync(path, 'utf8')) as { testGroups: Group[] };
    let valid = 0;
    for (const group of testGroups) {
      for (const vector of group.tests) {
        run(group, vector);
        if (vector.result === 'valid') valid += 1;
      }
    }
    assert.ok(valid > 10);
  });
}

function overSignatures(file: string, algorithm: SignatureAlgorithm, key: KeyAlgorithm): void {
  over(file, algorithm, (group, vector) => {
    const { publicKeyDer } = group['publicKeyDer'] === undefined ? vector : group;
    let publicKey;
    try {
      publicKey = parsePublicKey(key, hex(publicKeyDer));
    } catch (error) {
      assert.ok(error instanceof CryptoError);
      assert.equal(vector.result, 'invalid', `vector ${vector.tcId}`);
      return;
    }
    // Contexts are not offered.
    if (hex(vector['ctx'] ?? '').length > 0) return;
    const message = hex(vector['msg']);
    const signature = hex(vector['sig']);
    const isValid = verifyWith(algorithm, publicKey, { message }, signature);
    assert.equal(isValid, vector.result === 'valid', `vector ${vector.tcId}`);
    if (algorithm !== 'RSASSA_PSS_SHA_256') return;
    const digest = createHash('sha256').update(message).digest();
    assert.equal(
      verifyWith(algorithm, publicKey, { digest }, signature),
      isValid,
      `digest of ${vector.tcId}`,
    );
  });
}

overSignatures('ecdsa_secp256r1_sha256', 'ECDSA_SHA_256', 'ECC_NIST_P256');
overSignatures('ecdsa_secp384r1_sha384', 'ECDSA_SHA_384', 'ECC_NIST_P384');
overSignatures('ed25519', 'ED25519', 'ED25519');
overSignatures('mldsa_65_verify', 'ML_DSA_65', 'ML_DSA_65');
overSignatures('rsa_pss_3072_sha256_mgf1_32', 'RSASSA_PSS_SHA_256', 'RSA_3072');

for (const [file, algorithm, bytes] of [
  ['hmac_sha256', 'HMAC_256', 32],
  ['hmac_sha384', 'HMAC_384', 48],
] as const) {
  over(file, algorithm, (_, vector) => {
    const key = createSecretKey(hex(vector['key']));
    // Keys of one length, and MACs that are not cut.
    if (key.symmetricKeySize !== bytes || hex(vector['tag']).length !== bytes) return;
    const isValid = isMac(algorithm, key, hex(vector['msg']), hex(vector['tag']));
    assert.equal(isValid, vector.result === 'valid', `vector ${vector.tcId}`);
  });
}

over('ecdh_secp384r1', 'ECDH P-384', (_, vector) => {
  const encoded = hex(vector['private']);
  const scalar = Buffer.concat([Buffer.alloc(48), encoded]).subarray(-48);
  const secret = importSecret('ECC_NIST_P384', scalar);
  assert.ok(secret);
  try {
    const shared = deriveSharedSecret('ECC_NIST_P384', secret, hex(vector['public']));
    assert.equal(shared.toString('hex'), vector['shared']);
    assert.notEqual(vector.result, 'invalid', `vector ${vector.tcId}`);
  } catch (error) {
    assert.ok(error instanceof CryptoError, `vector ${vector.tcId}: ${String(error)}`);
    // One encoding of a public key is taken: named curve, uncompressed point.
    assert.notEqual(vector.result, 'valid', `vector ${vector.tcId}`);
  }
});

over('x25519', 'X25519', (_, vector) => {
  const secret = importSecret('X25519', hex(vector['private']));
  assert.ok(secret);
  const peer = Buffer.concat([Buffer.from('302a300506032b656e032100', 'hex'), hex(vector['public'])]);
  try {
    const shared = deriveSharedSecret('X25519', secret, peer);
    assert.equal(shared.toString('hex'), vector['shared'], `vector ${vector.tcId}`);
  } catch (error) {
    assert.ok(error instanceof CryptoError);
    assert.ok(vector.flags.includes('ZeroSharedSecret'), `vector ${vector.tcId}`);
  }
});

over('mlkem_768', 'ML-KEM-768', (_, vector) => {
  const secret = importSecret('ML_KEM_768', hex(vector['seed']));
  if (secret === undefined) {
    assert.equal(vector.result, 'invalid', `vector ${vector.tcId}`);
    return;
  }
  if (vector['ek'] !== undefined && vector.result === 'valid') {
    assert.deepEqual(encodePublicKey(secret).subarray(-1184), hex(vector['ek']));
  }
  try {
    const shared = decapsulateMlKem768(secret, hex(vector['c']));
    assert.equal(shared.toString('hex') === vector['K'], vector.result === 'valid', `vector ${vector.tcId}`);
  } catch (error) {
    assert.ok(error instanceof CryptoError);
    assert.equal(vector.result, 'invalid', `vector ${vector.tcId}`);
  }
});

over('rsa_oaep_3072_sha256_mgf1sha256', 'RSA-OAEP', (group, vector) => {
  const key = createPrivateKey({ key: hex(group['privateKeyPkcs8']), format: 'der', type: 'pkcs8' });
  // Labels are not offered.
  if (hex(vector['label']).length > 0) return;
  try {
    assert.equal(decryptOaep(key, hex(vector['ct'])).toString('hex'), vector['msg']);
    assert.equal(vector.result, 'valid', `vector ${vector.tcId}`);
  } catch (error) {
    assert.ok(error instanceof CryptoError, `vector ${vector.tcId}: ${String(error)}`);
    assert.equal(vector.result, 'invalid', `vector ${vector.tcId}`);
  }
});
