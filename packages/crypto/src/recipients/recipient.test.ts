/** What every pair of recipient and identity does, and which recipients go together. */
import assert from 'node:assert/strict';
import { createSecretKey, generateKeyPairSync, randomBytes, type KeyPairKeyObjectResult } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { flipped, withCode } from '../fixture.test.ts';
import {
  checkRecipients,
  generateHpkeKey,
  hpkeIdentity,
  hpkeRecipient,
  maximumEncryptedDataKeys,
  rawAes,
  rsaOaepIdentity,
  rsaOaepRecipient,
  type EncryptedDataKey,
  type HpkeSuite,
  type Identity,
  type Recipient,
  type RecipientKind,
  type RsaOaepHash,
} from '../index.ts';
import { hpkeSuites, rsaOaepHashes } from '../registry.ts';

type Pair = { recipient: Recipient; identity: Identity };

interface Subject {
  readonly name: string;
  readonly kind: RecipientKind;
  /** a key of its own each time, under the same name as far as it has one */
  readonly fresh: () => Promise<Pair>;
  readonly bindsContext: boolean;
  /** where another key of the same name is not told apart by anything but that it does not open */
  readonly named: boolean;
  readonly runs: number;
  /** every how many bytes one is flipped; 1 is all of them */
  readonly flipEvery: number;
}

const name = { namespace: 'hospital', name: 'archive 1' };

/** Two RSA key pairs in turn, made once and only when they are needed: making them takes long. */
function* rsaPairs(): Generator<KeyPairKeyObjectResult, never> {
  const pairs = [3072, 3072].map((modulusLength) => generateKeyPairSync('rsa', { modulusLength }));
  for (;;) yield* pairs;
}
const nextRsaPair = rsaPairs();

const subjects: Subject[] = [
  {
    name: 'raw AES',
    kind: 'symmetric',
    async fresh() {
      const both = rawAes({ ...name, key: createSecretKey(randomBytes(32)) });
      return { recipient: both, identity: both };
    },
    bindsContext: true,
    named: true,
    runs: 50,
    flipEvery: 1,
  },
  ...(Object.keys(rsaOaepHashes) as RsaOaepHash[]).map((hash): Subject => ({
    name: `RSA-OAEP ${hash}`,
    kind: 'classical',
    async fresh() {
      const pair = nextRsaPair.next().value;
      return {
        recipient: rsaOaepRecipient({ ...name, hash, publicKey: pair.publicKey }),
        identity: rsaOaepIdentity({ ...name, hash, privateKey: pair.privateKey }),
      };
    },
    bindsContext: false,
    named: true,
    runs: 10,
    // The hash has no part in how RSA itself treats altered bytes.
    flipEvery: hash === 'sha256' ? 1 : 16,
  })),
  ...(Object.keys(hpkeSuites) as HpkeSuite[]).map((suite): Subject => ({
    name: `HPKE ${suite}`,
    kind: 'hybrid',
    async fresh() {
      const keys = await generateHpkeKey(suite);
      return {
        recipient: await hpkeRecipient({ suite, ...keys }),
        identity: await hpkeIdentity({ suite, ...keys }),
      };
    },
    bindsContext: true,
    named: false,
    runs: 10,
    flipEvery: 1,
  })),
];

const contexts = fc.dictionary(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  { maxKeys: 6 },
);

for (const subject of subjects) {
  test(`${subject.name}: what is wrapped opens for its identity, and is different each time [URS-047]`, async () => {
    const { recipient, identity } = await subject.fresh();
    assert.equal(recipient.kind, subject.kind);
    await fc.assert(
      fc.asyncProperty(
        contexts,
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        async (context, dataKey) => {
          const first = await recipient.wrap(dataKey, context);
          const second = await recipient.wrap(dataKey, context);
          assert.notDeepEqual(first.ciphertext, second.ciphertext);
          for (const encrypted of [first, second]) {
            assert.deepEqual(await identity.unwrap(encrypted, context), Buffer.from(dataKey));
          }
        },
      ),
      { numRuns: subject.runs },
    );
  });

  test(`${subject.name}: another key opens nothing [URS-049]`, async () => {
    const [ours, theirs] = [await subject.fresh(), await subject.fresh()];
    const encrypted = await ours.recipient.wrap(randomBytes(32), { study: 'A' });
    const opening = theirs.identity.unwrap(encrypted, { study: 'A' });
    if (subject.named) await assert.rejects(opening, withCode('crypto.ciphertext_invalid'));
    else assert.equal(await opening, undefined);
  });

  test(`${subject.name}: what is meant for others is passed over`, async () => {
    const { recipient, identity } = await subject.fresh();
    const encrypted = await recipient.wrap(randomBytes(32), {});
    const others: EncryptedDataKey[] = [
      { ...encrypted, providerId: 'aws-kms' },
      { ...encrypted, providerId: `${encrypted.providerId} ` },
      { ...encrypted, providerInfo: flipped(encrypted.providerInfo, 0) },
      { ...encrypted, providerInfo: encrypted.providerInfo.subarray(1) },
      { ...encrypted, providerInfo: Buffer.concat([encrypted.providerInfo, Buffer.alloc(1)]) },
      { ...encrypted, providerInfo: Buffer.alloc(0) },
    ];
    for (const other of others) assert.equal(await identity.unwrap(other, {}), undefined);
  });

  test(`${subject.name}: with a byte altered, cut off or added nothing opens`, async () => {
    const { recipient, identity } = await subject.fresh();
    const encrypted = await recipient.wrap(randomBytes(32), { study: 'A' });
    const { ciphertext } = encrypted;
    const altered = [
      ...Array.from(ciphertext.keys())
        .filter((offset) => offset % subject.flipEvery === 0)
        .map((offset) => flipped(ciphertext, offset)),
      ciphertext.subarray(1),
      ciphertext.subarray(0, -1),
      Buffer.concat([ciphertext, Buffer.alloc(1)]),
      Buffer.alloc(1, 1),
      Buffer.alloc(0),
    ];
    for (const bytes of altered) {
      await assert.rejects(
        identity.unwrap({ ...encrypted, ciphertext: bytes }, { study: 'A' }),
        withCode('crypto.ciphertext_invalid', 'crypto.version_unknown'),
      );
    }
  });

  test(`${subject.name}: noise in the place of the ciphertext opens nothing`, async () => {
    const { recipient, identity } = await subject.fresh();
    const encrypted = await recipient.wrap(randomBytes(32), {});
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 2000 }), async (ciphertext) => {
        await assert.rejects(
          identity.unwrap({ ...encrypted, ciphertext }, {}),
          withCode('crypto.ciphertext_invalid', 'crypto.version_unknown'),
        );
      }),
      { numRuns: 50 },
    );
  });

  test(`${subject.name}: ${subject.bindsContext ? 'opens under no other context' : 'does not bind the context'}`, async () => {
    const { recipient, identity } = await subject.fresh();
    const dataKey = randomBytes(32);
    const encrypted = await recipient.wrap(dataKey, { study: 'A', subject: 'x' });
    const others = [{}, { study: 'A' }, { study: 'A', subject: 'y' }, { study: 'A', subject: 'x', z: '' }];
    for (const context of others) {
      const opening = identity.unwrap(encrypted, context);
      if (subject.bindsContext) await assert.rejects(opening, withCode('crypto.ciphertext_invalid'));
      else assert.deepEqual(await opening, dataKey);
    }
    if (!subject.bindsContext) return;
    await assert.rejects(recipient.wrap(dataKey, { '': 'x' }), withCode('crypto.context_invalid'));
    await assert.rejects(identity.unwrap(encrypted, { a: '\ud800' }), withCode('crypto.context_invalid'));
  });

  test(`${subject.name}: wraps 32 bytes and nothing else`, async () => {
    const { recipient } = await subject.fresh();
    for (const length of [0, 16, 31, 33]) {
      await assert.rejects(recipient.wrap(randomBytes(length), {}), withCode('crypto.argument_invalid'));
    }
  });
}

function ofKind(kind: RecipientKind): Recipient {
  return { kind, wrap: () => Promise.reject(new Error('not asked')) };
}

test('a hybrid recipient never stands beside a classical one', () => {
  const [symmetric, classical, hybrid] = (['symmetric', 'classical', 'hybrid'] as const).map(ofKind);
  assert.ok(symmetric && classical && hybrid);
  for (const together of [[symmetric], [classical, classical], [hybrid, symmetric], [symmetric, classical]]) {
    checkRecipients(together);
  }
  for (const together of [
    [classical, hybrid],
    [hybrid, symmetric, classical],
  ]) {
    assert.throws(() => checkRecipients(together), withCode('crypto.recipients_mixed'));
  }
});

test('a message has 1 to 16 recipients, those counted that the caller has beside', () => {
  const sixteen = Array.from({ length: maximumEncryptedDataKeys }, () => ofKind('symmetric'));
  checkRecipients(sixteen);
  checkRecipients([], 1);
  for (const [recipients, beside] of [
    [[], 0],
    [sixteen, 1],
    [[...sixteen, ofKind('hybrid')], 0],
  ] as const) {
    assert.throws(() => checkRecipients(recipients, beside), withCode('crypto.recipients_invalid'));
  }
});
