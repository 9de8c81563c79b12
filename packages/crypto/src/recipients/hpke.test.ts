import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import * as hpke from 'hpke';
import { bytes, named, readVectors, withCode } from '../fixture.test.ts';
import {
  generateHpkeKey,
  hpkeIdentity,
  hpkeRecipient,
  type CryptoErrorCode,
  type EncryptedDataKey,
  type HpkeIdentity,
  type HpkeSuite,
} from '../index.ts';
import { hpkeSuites } from '../registry.ts';

interface RecipientVector {
  name: string;
  suite: HpkeSuite;
  privateKey: string;
  publicKey: string;
  verificationKey: string;
  id: string;
}
type Patch = { patch?: { offset: number; bytes: string }; length?: number };
type OpenVector = {
  name: string;
  to: string;
  context: [string, string][];
  providerId: string;
  providerInfo: string;
  ciphertext: string;
  dataKey: string;
};
interface Vectors {
  recipients: RecipientVector[];
  open: OpenVector[];
  refused: (Patch & { name: string; of: string; context?: [string, string][]; code: CryptoErrorCode })[];
  invalidPublicKeys: (Patch & { name: string; of: string })[];
  hpke: (Record<'ikmR' | 'skRm' | 'pkRm' | 'enc' | 'info' | 'aad' | 'ct' | 'pt', string> &
    Record<'kem' | 'kdf' | 'aead', number>)[];
}

const vectors = readVectors('hpke-recipient') as Vectors;
const suites = Object.keys(hpkeSuites) as HpkeSuite[];

function parts({ suite, publicKey, privateKey, verificationKey }: RecipientVector) {
  return {
    suite,
    publicKey: bytes(publicKey),
    privateKey: bytes(privateKey),
    verificationKey: verificationKey === '' ? undefined : bytes(verificationKey),
  };
}

function encryptedOf({ providerId, providerInfo, ciphertext }: OpenVector): EncryptedDataKey {
  return { providerId, providerInfo: bytes(providerInfo), ciphertext: bytes(ciphertext) };
}

/** The bytes with a part overwritten, or cut off or filled up to a length. */
function patched(original: Uint8Array, { patch, length }: Patch): Buffer {
  const copy = Buffer.alloc(length ?? original.length);
  copy.set(original.subarray(0, copy.length));
  if (patch !== undefined) copy.set(bytes(patch.bytes), patch.offset);
  return copy;
}

function identityOf(name: string): Promise<HpkeIdentity> {
  return hpkeIdentity(parts(named(vectors.recipients, name)));
}

test('vectors of a second implementation: ids, and what opens [URS-047] [URS-054]', async () => {
  for (const vector of vectors.recipients) {
    const recipient = await hpkeRecipient(parts(vector));
    assert.equal(Buffer.from(recipient.id).toString('hex'), vector.id, vector.name);
    assert.equal(Buffer.from((await identityOf(vector.name)).id).toString('hex'), vector.id, vector.name);
  }
  for (const vector of vectors.open) {
    const identity = await identityOf(vector.to);
    const dataKey = await identity.unwrap(encryptedOf(vector), Object.fromEntries(vector.context));
    assert.equal(dataKey?.toString('hex'), vector.dataKey, vector.name);
  }
});

test('vectors of a second implementation: what does not open', async () => {
  for (const vector of vectors.refused) {
    const of = named(vectors.open, vector.of);
    const encrypted = encryptedOf(of);
    const altered = { ...encrypted, ciphertext: patched(encrypted.ciphertext, vector) };
    const context = Object.fromEntries(vector.context ?? of.context);
    const identity = await identityOf(of.to);
    await assert.rejects(identity.unwrap(altered, context), withCode(vector.code), vector.name);
  }
});

test('a public key that nobody could open with is refused when the recipient is made [URS-045]', async () => {
  for (const vector of vectors.invalidPublicKeys) {
    const { suite, publicKey } = parts(named(vectors.recipients, vector.of));
    const invalid = patched(publicKey, vector);
    assert.notDeepEqual(invalid, publicKey);
    await assert.rejects(
      hpkeRecipient({ suite, publicKey: invalid }),
      withCode('crypto.public_key_invalid'),
      vector.name,
    );
  }
});

test('the library opens the test vectors of draft-ietf-hpke-pq', async () => {
  const kems = [hpke.KEM_MLKEM768_X25519, hpke.KEM_MLKEM768_P256];
  const aeads = [hpke.AEAD_AES_128_GCM, hpke.AEAD_AES_256_GCM, hpke.AEAD_ChaCha20Poly1305];
  assert.equal(vectors.hpke.length, kems.length);
  for (const vector of vectors.hpke) {
    const kem = kems.find((factory) => factory().id === vector.kem);
    const aead = aeads.find((factory) => factory().id === vector.aead);
    assert.ok(kem && aead);
    const suite = new hpke.CipherSuite(kem, hpke.KDF_HKDF_SHA256, aead);
    assert.equal(suite.KDF.id, vector.kdf);
    const derived = await suite.DeriveKeyPair(bytes(vector.ikmR), true);
    assert.deepEqual(Buffer.from(await suite.SerializePrivateKey(derived.privateKey)), bytes(vector.skRm));
    assert.deepEqual(Buffer.from(await suite.SerializePublicKey(derived.publicKey)), bytes(vector.pkRm));
    const opened = await suite.Open(derived.privateKey, bytes(vector.enc), bytes(vector.ct), {
      info: bytes(vector.info),
      aad: bytes(vector.aad),
    });
    assert.deepEqual(Buffer.from(opened), bytes(vector.pt));
  }
});

test('the rows of the registry are the numbers and sizes of the library', () => {
  const kems = { 'mlkem768-x25519': hpke.KEM_MLKEM768_X25519, 'mlkem768-p256': hpke.KEM_MLKEM768_P256 };
  for (const suite of suites) {
    const row = hpkeSuites[suite];
    const kem = kems[suite]();
    assert.deepEqual([row.kem, row.publicKeyBytes, row.encapsulatedBytes], [kem.id, kem.Npk, kem.Nenc]);
    assert.equal(kem.Nsk, 32);
    assert.deepEqual([row.kdf, row.aead], [hpke.KDF_HKDF_SHA256().id, hpke.AEAD_AES_256_GCM().id]);
  }
});

test('a suite that is not in the registry, and keys that are no pair, are refused [URS-045]', async () => {
  for (const unknown of ['mlkem512', 'x25519', 'constructor', '__proto__', '']) {
    const suite = unknown as HpkeSuite;
    await assert.rejects(generateHpkeKey(suite), withCode('crypto.algorithm_unknown'));
    await assert.rejects(
      hpkeRecipient({ suite, publicKey: Buffer.alloc(0) }),
      withCode('crypto.algorithm_unknown'),
    );
  }
  for (const suite of suites) {
    const { publicKey } = await generateHpkeKey(suite);
    const { privateKey } = await generateHpkeKey(suite);
    await assert.rejects(
      hpkeIdentity({ suite, publicKey, privateKey }),
      withCode('crypto.key_unsuitable'),
      suite,
    );
    await assert.rejects(
      hpkeIdentity({ suite, publicKey, privateKey: privateKey.subarray(1) }),
      withCode('crypto.argument_invalid'),
    );
    await assert.rejects(
      hpkeRecipient({ suite, publicKey, verificationKey: randomBytes(31) }),
      withCode('crypto.argument_invalid'),
    );
  }
});

test('a data key that is zeroed while it is being wrapped is wrapped as it was', async () => {
  const [vector] = vectors.recipients;
  assert.ok(vector);
  const dataKey = randomBytes(32);
  const expected = Buffer.from(dataKey);
  const wrapping = (await hpkeRecipient(parts(vector))).wrap(dataKey, {});
  dataKey.fill(0);
  const identity = await identityOf(vector.name);
  assert.deepEqual(await identity.unwrap(await wrapping, {}), expected);
});
