/** Against the raw keyrings of the AWS Encryption SDK for JavaScript, both ways. */
import assert from 'node:assert/strict';
import {
  createPublicKey,
  createSecretKey,
  generateKeyPairSync,
  randomBytes,
  type KeyObject,
} from 'node:crypto';
import { test } from 'node:test';
import {
  AlgorithmSuiteIdentifier,
  EncryptedDataKey as AwsEncryptedDataKey,
  KeyringTraceFlag,
  NodeAlgorithmSuite,
  NodeDecryptionMaterial,
  NodeEncryptionMaterial,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
  RawRsaKeyringNode,
  unwrapDataKey,
  type KeyringNode,
} from '@aws-crypto/client-node';
import { withCode } from '../fixture.test.ts';
import {
  rawAes,
  rsaOaepIdentity,
  rsaOaepRecipient,
  type EncryptedDataKey,
  type EncryptionContext,
  type RsaOaepHash,
} from '../index.ts';

const suite = new NodeAlgorithmSuite(
  AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY,
);
const namespace = 'hospital';
const keyName = 'archive 1 — Zürich';
const dataKey = Buffer.from(Array.from({ length: 32 }, (_, i) => i));
const contexts: EncryptionContext[] = [
  {},
  { study: 'PROTO-7', subject: 'x' },
  { 'aws-crypto-public-key': 'A'.repeat(68), study: 'PROTO-7' },
  // By bytes the order is B, b, é, Ａ, 🔑; by UTF-16 the last two change places; by locale all do.
  { b: '2', B: '1', é: 'è', '\u{1F511}': 'key', Ａ: 'wide' },
];

async function wrappedByAws(keyring: KeyringNode, context: EncryptionContext): Promise<EncryptedDataKey> {
  const material = new NodeEncryptionMaterial(suite, { ...context }).setUnencryptedDataKey(
    new Uint8Array(dataKey),
    { keyNamespace: namespace, keyName, flags: KeyringTraceFlag.WRAPPING_KEY_GENERATED_DATA_KEY },
  );
  const [encrypted] = (await keyring.onEncrypt(material)).encryptedDataKeys;
  assert.ok(encrypted);
  return {
    providerId: encrypted.providerId,
    providerInfo: encrypted.rawInfo ?? Buffer.from(encrypted.providerInfo),
    ciphertext: encrypted.encryptedDataKey,
  };
}

async function openedByAws(
  keyring: KeyringNode,
  { providerId, providerInfo, ciphertext }: EncryptedDataKey,
  context: EncryptionContext,
): Promise<Buffer> {
  const encrypted = new AwsEncryptedDataKey({
    providerId,
    providerInfo: Buffer.from(providerInfo).toString(),
    rawInfo: providerInfo,
    encryptedDataKey: Uint8Array.from(ciphertext),
  });
  const material = new NodeDecryptionMaterial(suite, { ...context });
  return Buffer.from(unwrapDataKey((await keyring.onDecrypt(material, [encrypted])).getUnencryptedDataKey()));
}

function awsRawAes(key: KeyObject, utf8Sorting: boolean): KeyringNode {
  return new RawAesKeyringNode({
    keyNamespace: namespace,
    keyName,
    // The keyring takes only a buffer of its own.
    unencryptedMasterKey: new Uint8Array(key.export()),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
    utf8Sorting,
  });
}

test('raw AES keyring: each opens what the other wrapped [URS-047]', async () => {
  const key = createSecretKey(randomBytes(32));
  const [ours, theirs] = [rawAes({ namespace, name: keyName, key }), awsRawAes(key, true)];
  for (const context of contexts) {
    assert.deepEqual(await ours.unwrap(await wrappedByAws(theirs, context), context), dataKey);
    assert.deepEqual(await openedByAws(theirs, await ours.wrap(dataKey, context), context), dataKey);
  }
});

test('raw AES keyring: without its option utf8Sorting it binds another order of the context', async () => {
  const key = createSecretKey(randomBytes(32));
  const [ours, theirs] = [rawAes({ namespace, name: keyName, key }), awsRawAes(key, false)];
  const context = { a: '1', B: '2' };
  const encrypted = await wrappedByAws(theirs, context);
  await assert.rejects(ours.unwrap(encrypted, context), withCode('crypto.ciphertext_invalid'));
  await assert.rejects(openedByAws(theirs, await ours.wrap(dataKey, context), context));
});

test('raw RSA keyring: each opens what the other wrapped [URS-047]', async () => {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 3072 });
  for (const hash of ['sha256', 'sha384', 'sha512'] as RsaOaepHash[]) {
    const theirs = new RawRsaKeyringNode({
      keyNamespace: namespace,
      keyName,
      rsaKey: {
        publicKey: publicKey.export({ format: 'pem', type: 'spki' }),
        privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }),
      },
      oaepHash: hash,
    });
    const ours = { namespace, name: keyName, hash };
    for (const context of contexts) {
      const identity = rsaOaepIdentity({ ...ours, privateKey });
      assert.deepEqual(await identity.unwrap(await wrappedByAws(theirs, context), context), dataKey);
      const encrypted = await rsaOaepRecipient({ ...ours, publicKey }).wrap(dataKey, context);
      assert.deepEqual(await openedByAws(theirs, encrypted, context), dataKey);
    }
  }
});

test('raw AES: a key whose name begins with ours, and lengths that are not ours', async () => {
  const key = createSecretKey(randomBytes(32));
  const ours = rawAes({ namespace, name: 'a', key });
  const longer = await rawAes({ namespace, name: 'ab', key }).wrap(dataKey, {});
  assert.equal(await ours.unwrap(longer, {}), undefined);
  const encrypted = await ours.wrap(dataKey, {});
  for (const [offset, byte] of [
    [1 + 3, 96],
    [1 + 7, 16],
  ] as const) {
    const providerInfo = Buffer.from(encrypted.providerInfo);
    providerInfo[offset] = byte;
    await assert.rejects(
      ours.unwrap({ ...encrypted, providerInfo }, {}),
      withCode('crypto.ciphertext_invalid'),
    );
  }
});

test('names and keys that are not accepted [URS-045]', () => {
  const key = createSecretKey(randomBytes(32));
  for (const invalid of [
    { namespace: '', name: 'a' },
    { namespace: 'a'.repeat(256), name: 'a' },
    { namespace: 'aws-kms', name: 'a' },
    { namespace: 'aws-kms-rsa', name: 'a' },
    { namespace: 'trialkeep-hpke-mlkem768-p256', name: 'a' },
    { namespace: 'a', name: '' },
    { namespace: 'a', name: 'é'.repeat(1015) },
    { namespace: 'a', name: '\ud800' },
    { namespace: '\udc00', name: 'a' },
  ]) {
    assert.throws(() => rawAes({ ...invalid, key }), withCode('crypto.argument_invalid'));
  }
  rawAes({ namespace: 'a'.repeat(255), name: 'é'.repeat(1014), key });
  const short = createSecretKey(randomBytes(16));
  assert.throws(() => rawAes({ namespace, name: 'a', key: short }), withCode('crypto.key_unsuitable'));
});

/** A public key of a size and exponent; nobody has the private one. */
function rsaPublicKey(bits: number, e = 65_537): KeyObject {
  const n = randomBytes(Math.ceil(bits / 8));
  n[0] = 0x80 >> (8 * n.length - bits);
  n[n.length - 1] = 1;
  const exponent = Buffer.alloc(4);
  exponent.writeUInt32BE(e);
  const jwk = { kty: 'RSA', n: n.toString('base64url'), e: exponent.toString('base64url') };
  return createPublicKey({ format: 'jwk', key: jwk });
}

test('RSA keys of another size, kind or exponent are refused [URS-045]', () => {
  const raw = { namespace, name: 'a' };
  for (const bits of [3072, 4096, 8192]) rsaOaepRecipient({ ...raw, publicKey: rsaPublicKey(bits) });
  const pss = generateKeyPairSync('rsa-pss', { modulusLength: 3072 });
  const ed25519 = generateKeyPairSync('ed25519');
  const refused = withCode('crypto.key_unsuitable');
  for (const publicKey of [
    ...[1024, 2048, 3071, 8193].map((bits) => rsaPublicKey(bits)),
    ...[1, 3, 65_535, 65_536, 65_538].map((e) => rsaPublicKey(3072, e)),
    pss.publicKey,
    ed25519.publicKey,
    ed25519.privateKey,
    createSecretKey(randomBytes(32)),
  ]) {
    assert.throws(() => rsaOaepRecipient({ ...raw, publicKey }), refused);
  }
  for (const privateKey of [pss.privateKey, ed25519.privateKey, rsaPublicKey(3072)]) {
    assert.throws(() => rsaOaepIdentity({ ...raw, privateKey }), refused);
  }
});

test('hashes of OAEP that are not in the registry are refused [URS-045]', () => {
  const publicKey = rsaPublicKey(3072);
  for (const hash of ['sha1', 'md5', 'sha224', 'constructor', ''] as string[]) {
    assert.throws(
      () => rsaOaepRecipient({ namespace, name: 'a', hash: hash as RsaOaepHash, publicKey }),
      withCode('crypto.algorithm_unknown'),
    );
  }
});
