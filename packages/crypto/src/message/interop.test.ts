/** Sealed messages against the AWS Encryption SDK for JavaScript, both ways. */
import assert from 'node:assert/strict';
import { createSecretKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import type { KeyringNode } from '@aws-crypto/client-node';
import { flipped } from '../fixture.test.ts';
import {
  generateDataKey,
  generateMessageSigner,
  openBytes,
  openMessage,
  openRanges,
  rawAes,
  rsaOaepIdentity,
  rsaOaepRecipient,
  sealMessage,
  type EncryptionContext,
  type Identity,
  type MessageHeader,
  type Recipient,
} from '../index.ts';
import { collect, headerOf, inChunks, inMemory, suites, type SuiteName } from './fixture.test.ts';

/** Somebody whom both sides can seal to and open for. */
interface Party {
  readonly name: string;
  readonly recipient: Recipient;
  readonly identity: Identity;
  readonly keyring: KeyringNode;
}

// It takes a second to load, which only those pay who run these tests.
const load = () => import('@aws-crypto/client-node');
type Aws = Awaited<ReturnType<typeof load>>;

const namespace = 'hospital';
const name = 'archive 1 — Zürich';

function aesParty(aws: Aws, utf8Sorting?: boolean): Party {
  const key = createSecretKey(randomBytes(32));
  const both = rawAes({ namespace, name, key });
  const keyring = new aws.RawAesKeyringNode({
    keyNamespace: namespace,
    keyName: name,
    // The keyring takes only a buffer of its own.
    unencryptedMasterKey: new Uint8Array(key.export()),
    wrappingSuite: aws.RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
    ...(utf8Sorting === undefined ? {} : { utf8Sorting }),
  });
  return { name: 'raw AES', recipient: both, identity: both, keyring };
}

function rsaParty(aws: Aws): Party {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 3072 });
  const rsaKey = {
    publicKey: publicKey.export({ format: 'pem', type: 'spki' }),
    privateKey: privateKey.export({ format: 'pem', type: 'pkcs8' }),
  };
  return {
    name: 'raw RSA with OAEP and SHA-256',
    recipient: rsaOaepRecipient({ namespace, name, publicKey }),
    identity: rsaOaepIdentity({ namespace, name, privateKey }),
    keyring: new aws.RawRsaKeyringNode({
      keyNamespace: namespace,
      keyName: name,
      rsaKey,
      oaepHash: 'sha256',
    }),
  };
}

async function sealedByUs(
  plaintext: Uint8Array,
  party: Party,
  suite: SuiteName,
  o: { context: EncryptionContext; frameBytes: number },
): Promise<Buffer> {
  const dataKey = generateDataKey();
  const signer = suite === '0x0578' ? generateMessageSigner() : undefined;
  const context = signer?.contextWith(o.context) ?? o.context;
  const encryptedDataKeys = [await party.recipient.wrap(dataKey, context)];
  const options = { dataKey, encryptedDataKeys, context, frameBytes: o.frameBytes, signer };
  return collect(sealMessage(inChunks(plaintext, 1000), options));
}

function dataKeyFrom(party: Party): (header: MessageHeader) => Promise<Buffer | undefined> {
  return async ({ encryptedDataKeys, context }) => {
    const [encrypted] = encryptedDataKeys;
    return encrypted === undefined ? undefined : party.identity.unwrap(encrypted, context);
  };
}

async function openedByUs(message: Uint8Array, party: Party): Promise<Buffer> {
  const dataKeyFor = dataKeyFrom(party);
  const whole = await openBytes(message, { dataKeyFor });
  const ranges = await openRanges(inMemory(message), { dataKeyFor, ignoreSignature: true });
  assert.deepEqual(await collect(ranges.read(0)), whole);
  return whole;
}

function clientOf(aws: Aws) {
  return aws.buildClient(aws.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
}

async function sealedByAws(
  aws: Aws,
  plaintext: Buffer,
  party: Party,
  suite: SuiteName,
  o: { context: EncryptionContext; frameBytes?: number },
): Promise<Buffer> {
  const { AlgorithmSuiteIdentifier: ids } = aws;
  const { result } = await clientOf(aws).encrypt(party.keyring, plaintext, {
    suiteId:
      suite === '0x0478'
        ? ids.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY
        : ids.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY_ECDSA_P384,
    encryptionContext: { ...o.context },
    ...(o.frameBytes === undefined ? {} : { frameLength: o.frameBytes }),
  });
  return result;
}

const contexts: EncryptionContext[] = [
  {},
  { study: 'TK-2026-014', subject: '6f1d0c0e9a4b4f0f8a52c1f7b3e2d409' },
  // By bytes the order is B, a_, b, é, Ａ, 🔑; by UTF-16 the last two change places; by locale nearly all do.
  { b: '2', B: '1', a_: '3', é: 'è', '\u{1F511}': 'key', Ａ: 'wide' },
];

for (const suite of suites) {
  test(`${suite}: the AWS Encryption SDK and we open each other's messages [URS-047]`, async () => {
    const aws = await load();
    for (const party of [aesParty(aws, true), rsaParty(aws)]) {
      for (const context of contexts) {
        for (const [bytes, frameBytes] of [
          [0, 4096],
          [1, 1],
          [4096, 4096],
          [10_000, 4096],
          [100, 7],
          [300_000, 262_144],
        ] as const) {
          const what = `${party.name}, ${bytes} bytes in frames of ${frameBytes}`;
          const plaintext = randomBytes(bytes);
          const ours = await sealedByUs(plaintext, party, suite, { context, frameBytes });
          const opened = await clientOf(aws).decrypt(party.keyring, ours);
          assert.ok(plaintext.equals(opened.plaintext), what);
          const { 'aws-crypto-public-key': signed, ...rest } = opened.messageHeader.encryptionContext;
          assert.deepEqual(rest, { ...context });
          assert.equal(signed !== undefined, suite === '0x0578');
          const theirs = await sealedByAws(aws, plaintext, party, suite, { context, frameBytes });
          assert.equal(headerOf(theirs).suite, Number(suite));
          assert.ok(plaintext.equals(await openedByUs(theirs, party)), what);
        }
      }
    }
  });
}

test('at its own default of suite and frame length too [URS-047]', async () => {
  const aws = await load();
  const party = aesParty(aws, true);
  const plaintext = randomBytes(10_000);
  const { result } = await clientOf(aws).encrypt(party.keyring, plaintext);
  assert.equal(headerOf(result).suite, 0x0578);
  assert.ok(plaintext.equals(await openedByUs(result, party)));
  const stream = openMessage(inChunks(result, 999), {
    dataKeyFor: dataKeyFrom(party),
    releaseBeforeSignature: true,
  });
  assert.ok(plaintext.equals(await collect(stream)));
});

test('each refuses what was altered of the other, the signature included [URS-046]', async () => {
  const aws = await load();
  const party = aesParty(aws, true);
  const plaintext = randomBytes(100);
  for (const suite of suites) {
    const ours = await sealedByUs(plaintext, party, suite, { context: {}, frameBytes: 16 });
    const theirs = await sealedByAws(aws, plaintext, party, suite, { context: {}, frameBytes: 16 });
    await assert.rejects(clientOf(aws).decrypt(party.keyring, flipped(ours, ours.length - 1)));
    await assert.rejects(openedByUs(flipped(theirs, theirs.length - 1), party), { name: 'CryptoError' });
  }
});

test('its raw AES keyring binds another order of the context, unless told to sort by UTF-8', async () => {
  const aws = await load();
  // Left to itself it sorts names with localeCompare: `a` before `B`, though the header has them by bytes, and it too.
  const party = aesParty(aws);
  const options = { context: { a: '1', B: '2' }, frameBytes: 16 };
  const ours = await sealedByUs(Buffer.from('text'), party, '0x0478', options);
  await assert.rejects(clientOf(aws).decrypt(party.keyring, ours));
  const theirs = await sealedByAws(aws, Buffer.from('text'), party, '0x0478', options);
  assert.deepEqual(Object.keys(headerOf(theirs).context), ['B', 'a']);
  await assert.rejects(openedByUs(theirs, party), { code: 'crypto.ciphertext_invalid' });
  // Lower-case names of ASCII letters alone have one order either way.
  const plain = { context: { study: 'TK-1', subject: 'a1' }, frameBytes: 16 };
  const agreed = await sealedByAws(aws, Buffer.from('text'), party, '0x0478', plain);
  assert.equal((await openedByUs(agreed, party)).toString(), 'text');
});
