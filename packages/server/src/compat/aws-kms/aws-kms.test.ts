import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import {
  CreateKeyCommand,
  DecryptCommand,
  DescribeKeyCommand,
  EncryptCommand,
  GenerateDataKeyCommand,
  GenerateDataKeyWithoutPlaintextCommand,
  KMSServiceException,
  ListKeysCommand,
  ReEncryptCommand,
  SignCommand,
} from '@aws-sdk/client-kms';
import { makeService, shareServer } from '../../fixture.test.ts';
import { arrange, issueAccessKey } from './fixture.test.ts';
import { keyMetadata } from './key-metadata.ts';

const shared = shareServer();

/** For `assert.rejects`: the exception that the AWS SDK makes of an answer. */
function exception(name: string, code?: string): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof KMSServiceException)) throw error;
    assert.equal(error.name, name, error.message);
    if (code !== undefined) assert.match(error.message, new RegExp(`\\(${code.replace('.', '\\.')}\\)$`));
    assert.equal(typeof error.$metadata.requestId, 'string');
    return true;
  };
}

const arnOf = (account: string | undefined, key: string) => `arn:aws:kms:eu-central-1:${account}:key/${key}`;

test('what the AWS SDK encrypts it decrypts, and our own API as well [URS-002] [URS-046] [URS-047]', async (t) => {
  const at = await arrange(t, await shared());
  const kms = at.client(at.signing.service);
  const { KeyMetadata } = await at
    .client(at.signing.custodian)
    .send(new DescribeKeyCommand({ KeyId: at.key }));
  const arn = arnOf(KeyMetadata?.AWSAccountId, at.key);
  const EncryptionContext = { purpose: 'export', system: 'épreuve' };
  for (const bytes of [0, 1, 32, 33, 34, 131, 132, 4096]) {
    const Plaintext = randomBytes(bytes);
    const made = await kms.send(new EncryptCommand({ KeyId: at.key, Plaintext, EncryptionContext }));
    assert.deepEqual([made.KeyId, made.EncryptionAlgorithm], [arn, 'SYMMETRIC_DEFAULT']);
    const { CiphertextBlob = assert.fail() } = made;
    for (const KeyId of [undefined, at.key, arn]) {
      const opened = await kms.send(
        new DecryptCommand({ CiphertextBlob, EncryptionContext, ...(KeyId && { KeyId }) }),
      );
      assert.deepEqual([opened.KeyId, opened.Plaintext?.length], [arn, bytes]);
      assert.ok(Plaintext.equals(opened.Plaintext ?? assert.fail()));
    }
    const natively = await at.server.admit('keys.decrypt', at.service, {
      key: at.key,
      ciphertext: Buffer.from(CiphertextBlob).toString('base64'),
      context: EncryptionContext,
    });
    assert.equal(natively.plaintext, Plaintext.toString('base64'));
  }
});

test('data keys of either API open in the other, and are what the record says [URS-002] [URS-032] [URS-046]', async (t) => {
  const at = await arrange(t, await shared());
  const kms = at.client(at.signing.service);
  const { id: study } = await at.server.admit('studies.create', at.custodian, { protocol: 'P-1' });
  const { alias: subject } = await at.server.admit('subjects.create', at.custodian, {
    study,
    number: '1001',
  });
  for (const context of [{}, { study, subject, class: 'ecg' }, { purpose: 'export' }]) {
    const asked = { KeyId: at.key, EncryptionContext: context };
    const made = await kms.send(new GenerateDataKeyCommand({ ...asked, KeySpec: 'AES_256' }));
    const wrapped = await kms.send(
      new GenerateDataKeyWithoutPlaintextCommand({ ...asked, NumberOfBytes: 32 }),
    );
    assert.equal(made.Plaintext?.length, 32);
    assert.equal('Plaintext' in wrapped, false);
    const natively = await at.server.admit('keys.decrypt-data-key', at.service, {
      key: at.key,
      ciphertext: Buffer.from(made.CiphertextBlob ?? assert.fail()).toString('base64'),
      context,
    });
    assert.equal(natively.plaintext, Buffer.from(made.Plaintext).toString('base64'));
    const own = await at.server.admit('keys.generate-data-key', at.service, { key: at.key, context });
    assert.equal(own.arn, made.KeyId);
    const CiphertextBlob = Buffer.from(own.ciphertext, 'base64');
    const opened = await kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: context }));
    assert.equal(Buffer.from(opened.Plaintext ?? assert.fail()).toString('base64'), own.plaintext);
    const opener = await kms.send(
      new DecryptCommand({ CiphertextBlob: wrapped.CiphertextBlob, EncryptionContext: context }),
    );
    assert.equal(opener.Plaintext?.length, 32);
    await assert.rejects(
      kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext: { ...context, class: 'other' } })),
      exception('InvalidCiphertextException'),
    );
  }
  const entries = (await at.server.entries(at.tenant)).filter(
    ({ actor }) => actor === at.signing.service.credential,
  );
  const ofSubject = entries.filter((entry) => entry['subject'] === subject && entry['outcome'] === 'success');
  assert.deepEqual(
    ofSubject.map(({ operation }) => operation),
    [
      'keys.generate-data-key',
      'keys.generate-wrapped-data-key',
      'keys.decrypt-data-key',
      'keys.decrypt-data-key',
    ],
  );
  assert.ok(ofSubject.every((entry) => entry['study'] === study && entry['key'] === at.key));
});

test('re-encryption takes a ciphertext to another key, each with its entry [URS-002]', async (t) => {
  const at = await arrange(t, await shared());
  const { id: target } = await at.server.admit('keys.create', at.custodian, { system: at.system });
  const keys = [at.key, target];
  const both = await issueAccessKey(at.server, at.custodian, { role: 'service', system: at.system, keys });
  const kms = at.client(both);
  const { CiphertextBlob, KeyId } = await kms.send(
    new EncryptCommand({ KeyId: at.key, Plaintext: Buffer.from('moved'), EncryptionContext: { a: '1' } }),
  );
  const moved = await kms.send(
    new ReEncryptCommand({
      CiphertextBlob,
      SourceEncryptionContext: { a: '1' },
      DestinationKeyId: target,
      DestinationEncryptionContext: { b: '2' },
    }),
  );
  assert.equal(moved.SourceKeyId, KeyId);
  assert.equal(moved.KeyId, KeyId?.replace(at.key, target));
  const asked = { CiphertextBlob: moved.CiphertextBlob, EncryptionContext: { b: '2' } };
  const opened = await kms.send(new DecryptCommand(asked));
  assert.equal(Buffer.from(opened.Plaintext ?? '').toString(), 'moved');
  await assert.rejects(
    kms.send(new DecryptCommand({ ...asked, KeyId: at.key })),
    exception('IncorrectKeyException'),
  );
  // To whoever may not use the other key it is a ciphertext like any that does not open.
  await assert.rejects(
    at.client(at.signing.service).send(new DecryptCommand({ ...asked, KeyId: at.key })),
    exception('InvalidCiphertextException', 'ciphertext.invalid'),
  );
  await assert.rejects(
    at.client(at.signing.service).send(new DecryptCommand(asked)),
    exception('InvalidCiphertextException'),
  );
});

test('a custodian makes, lists and describes keys of every kind that the protocol has a name for [URS-007] [URS-045]', async (t) => {
  const at = await arrange(t, await shared());
  const kms = at.client(at.signing.custodian);
  const Tags = [{ TagKey: 'trialkeep:system', TagValue: at.system }];
  const kinds = [
    [undefined, undefined, 'AES_256', 'encrypt'],
    ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', 'AES_256', 'encrypt'],
    ['HMAC_384', 'GENERATE_VERIFY_MAC', 'HMAC_384', 'mac'],
    ['ECC_NIST_P256', 'SIGN_VERIFY', 'ECC_NIST_P256', 'sign'],
    ['ECC_NIST_P384', 'KEY_AGREEMENT', 'ECC_NIST_P384', 'agree'],
    ['ECC_NIST_EDWARDS25519', 'SIGN_VERIFY', 'ED25519', 'sign'],
    ['ML_DSA_65', 'SIGN_VERIFY', 'ML_DSA_65', 'sign'],
    ['ML_KEM_768', 'ENCAPSULATE_DECAPSULATE', 'ML_KEM_768', 'agree'],
  ] as const;
  const made: string[] = [];
  for (const [KeySpec, KeyUsage, algorithm, purpose] of kinds) {
    const named = { ...(KeySpec && { KeySpec }), ...(KeyUsage && { KeyUsage }) };
    const created = await kms.send(new CreateKeyCommand({ Tags, Description: 'of a test', ...named }));
    const metadata = created.KeyMetadata ?? assert.fail();
    const id = metadata.KeyId ?? assert.fail();
    made.push(id);
    assert.equal(metadata.KeySpec, KeySpec ?? 'SYMMETRIC_DEFAULT');
    assert.equal(metadata.KeyUsage, KeyUsage ?? 'ENCRYPT_DECRYPT');
    assert.deepEqual([metadata.KeyState, metadata.Enabled], ['Enabled', true]);
    const { key } = await at.server.admit('keys.show', at.custodian, { key: id });
    assert.deepEqual(
      [key.algorithm, key.purpose, key.system, key.description, key.arn],
      [algorithm, purpose, at.system, 'of a test', metadata.Arn],
    );
    const described = await kms.send(new DescribeKeyCommand({ KeyId: metadata.Arn }));
    assert.deepEqual(described.KeyMetadata, metadata);
  }
  const listed: (string | undefined)[] = [];
  let Marker: string | undefined;
  do {
    const page = await kms.send(new ListKeysCommand({ Limit: 2, ...(Marker && { Marker }) }));
    assert.equal(page.Truncated, page.NextMarker !== undefined);
    listed.push(...(page.Keys ?? []).map(({ KeyId }) => KeyId));
    Marker = page.NextMarker;
  } while (Marker !== undefined);
  assert.deepEqual(new Set(listed), new Set([at.key, ...made]));
  assert.equal(listed.length, made.length + 1);
  await assert.rejects(kms.send(new ListKeysCommand({ Marker: 'x' })), exception('InvalidMarkerException'));
  await assert.rejects(kms.send(new ListKeysCommand({ Limit: 0 })), exception('ValidationException'));
});

test('a key that cannot be used says why in the words of the protocol [URS-002] [URS-004]', async (t) => {
  const at = await arrange(t, await shared());
  const { custodian, key } = at;
  const kms = at.client(at.signing.service);
  const admin = at.client(at.signing.custodian);
  const Plaintext = Buffer.from('text');
  const { CiphertextBlob } = await kms.send(new EncryptCommand({ KeyId: key, Plaintext }));
  const use = () => kms.send(new EncryptCommand({ KeyId: key, Plaintext }));
  const state = async () => (await admin.send(new DescribeKeyCommand({ KeyId: key }))).KeyMetadata?.KeyState;
  await at.server.admit('keys.suspend', custodian, { key, reason: 'test' });
  assert.equal(await state(), 'Disabled');
  await assert.rejects(use(), exception('DisabledException', 'key.unusable'));
  await assert.rejects(kms.send(new DecryptCommand({ CiphertextBlob })), exception('DisabledException'));
  await at.server.admit('keys.resume', custodian, { key, reason: 'test' });
  await use();
  await at.server.admit('keys.revoke', custodian, { key, cause: 'vendor-exit', reason: 'test' });
  assert.equal(await state(), 'Disabled');
  await assert.rejects(use(), exception('DisabledException', 'key.revoked'));
  const mac = await at.server.admit('keys.create', custodian, { system: at.system, algorithm: 'HMAC_256' });
  const rsa = await at.server.admit('keys.create', custodian, {
    system: at.system,
    algorithm: 'RSA_3072',
    purpose: 'decrypt',
  });
  const keys = [mac.id, rsa.id];
  const others = at.client(
    await issueAccessKey(at.server, custodian, { role: 'service', system: at.system, keys }),
  );
  for (const KeyId of [mac.id, rsa.id]) {
    await assert.rejects(
      others.send(new EncryptCommand({ KeyId, Plaintext })),
      exception('InvalidKeyUsageException', 'key.wrong_purpose'),
    );
  }
});

test('a use-logged key gives no data keys here, and decrypts whatever length a ciphertext has [URS-002]', async (t) => {
  const at = await arrange(t, await shared());
  const { custodian, system } = at;
  const logged = await at.server.admit('keys.create', custodian, { system, useLogged: true });
  const { id: study } = await at.server.admit('studies.create', custodian, { protocol: 'P-2' });
  const { alias: subject } = await at.server.admit('subjects.create', custodian, { study, number: '1001' });
  const role = { role: 'service' as const, system, keys: [logged.id] };
  const kms = at.client(await issueAccessKey(at.server, custodian, role));
  const EncryptionContext = { study, subject };
  const useLogged = exception('UnsupportedOperationException', 'key.use_logged');
  // Nobody would report what is done with its data keys.
  await assert.rejects(
    kms.send(new GenerateDataKeyCommand({ KeyId: logged.id, EncryptionContext, KeySpec: 'AES_256' })),
    useLogged,
  );
  for (const bytes of [33, 34, 35]) {
    const asked = { KeyId: logged.id, EncryptionContext, Plaintext: randomBytes(bytes) };
    const { CiphertextBlob = assert.fail() } = await kms.send(new EncryptCommand(asked));
    // As long as a wrapped data key.
    if (bytes === 34) assert.equal(CiphertextBlob.length, 230);
    const opened = await kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext }));
    assert.ok(asked.Plaintext.equals(opened.Plaintext ?? assert.fail()));
  }
  const own = { key: logged.id, context: EncryptionContext };
  const service = await makeService(at.server, custodian, system, [logged.id]);
  const { ciphertext } = await at.server.admit('keys.generate-data-key', service, own);
  const CiphertextBlob = Buffer.from(ciphertext, 'base64');
  assert.equal(CiphertextBlob.length, 230);
  await assert.rejects(kms.send(new DecryptCommand({ CiphertextBlob, EncryptionContext })), useLogged);
});

test('what somebody may not, or what there is not, is refused and on the record [URS-012] [URS-019]', async (t) => {
  const server = await shared();
  const [at, other] = [await arrange(t, server), await arrange(t, server)];
  const kms = at.client(at.signing.service);
  const admin = at.client(at.signing.custodian);
  const Plaintext = Buffer.from('text');
  const { KeyMetadata } = await other
    .client(other.signing.custodian)
    .send(new DescribeKeyCommand({ KeyId: other.key }));
  const { KeyMetadata: own } = await admin.send(new DescribeKeyCommand({ KeyId: at.key }));
  const before = (await server.entries(at.tenant)).length;
  const unknown = '3f6f1f2e-6c3f-4c1c-9d7b-0a2b3c4d5e6f';
  const keyIds = [
    unknown,
    other.key,
    KeyMetadata?.Arn ?? assert.fail(),
    arnOf(KeyMetadata?.AWSAccountId, at.key),
    own?.Arn?.replace('eu-central-1', 'eu-west-1') ?? assert.fail(),
    'alias/anything',
    `${at.key} `,
  ];
  for (const KeyId of keyIds) {
    await assert.rejects(
      kms.send(new EncryptCommand({ KeyId, Plaintext })),
      exception('NotFoundException'),
      KeyId,
    );
    await assert.rejects(
      admin.send(new DescribeKeyCommand({ KeyId })),
      exception('NotFoundException'),
      KeyId,
    );
  }
  const denied = exception('AccessDeniedException', 'access.denied');
  await assert.rejects(kms.send(new ListKeysCommand({})), denied);
  await assert.rejects(kms.send(new DescribeKeyCommand({ KeyId: at.key })), denied);
  await assert.rejects(admin.send(new EncryptCommand({ KeyId: at.key, Plaintext })), denied);
  const Tags = [{ TagKey: 'trialkeep:system', TagValue: other.system }];
  await assert.rejects(
    admin.send(new CreateKeyCommand({ Tags })),
    exception('TagException', 'system.unknown'),
  );
  await assert.rejects(admin.send(new CreateKeyCommand({})), exception('TagException'));
  const CiphertextBlob = randomBytes(131);
  await assert.rejects(
    kms.send(new DecryptCommand({ CiphertextBlob })),
    exception('InvalidCiphertextException'),
  );
  const unsupported = exception('UnsupportedOperationException');
  await assert.rejects(
    kms.send(new GenerateDataKeyCommand({ KeyId: at.key, KeySpec: 'AES_128' })),
    unsupported,
  );
  await assert.rejects(
    kms.send(new EncryptCommand({ KeyId: at.key, Plaintext, GrantTokens: ['token'] })),
    unsupported,
  );
  await assert.rejects(kms.send(new EncryptCommand({ KeyId: at.key, Plaintext, DryRun: true })), unsupported);
  const refused = (await server.entries(at.tenant)).slice(before);
  assert.equal(refused.length, 2 * keyIds.length + 9);
  assert.ok(refused.every(({ outcome, code }) => outcome !== 'success' && code !== undefined));
  // Not an operation of ours at all: like a path that there is not.
  const sign = { KeyId: at.key, Message: Plaintext, SigningAlgorithm: 'ECDSA_SHA_256' } as const;
  await assert.rejects(kms.send(new SignCommand(sign)), unsupported);
  await kms.send(new EncryptCommand({ KeyId: at.key, Plaintext, GrantTokens: [], DryRun: false }));
});

test('revoking or expiry ends an access key at once, and takes no signature of before [URS-004] [URS-012]', async (t) => {
  const server = await shared();
  const at = await arrange(t, server);
  const expiresAt = server.clock.time + 60_000;
  const asked = { role: 'service', system: at.system, keys: [at.key] } as const;
  const short = await issueAccessKey(server, at.custodian, { ...asked, keys: [at.key], expiresAt });
  const encrypt = new EncryptCommand({ KeyId: at.key, Plaintext: Buffer.from('text') });
  const [kms, brief] = [at.client(at.signing.service), at.client(short)];
  await kms.send(encrypt);
  await brief.send(encrypt);
  const { credential } = at.signing.service;
  await server.admit('credentials.revoke', at.custodian, { credential, reason: 'test' });
  await assert.rejects(kms.send(encrypt), exception('UnrecognizedClientException', 'auth.revoked'));
  const { time } = server.clock;
  try {
    server.clock.time = expiresAt;
    await assert.rejects(brief.send(encrypt), exception('UnrecognizedClientException', 'auth.expired'));
  } finally {
    server.clock.time = time;
  }
  const refused = (await server.entries(at.tenant)).filter(({ outcome }) => outcome === 'refused').slice(-2);
  assert.deepEqual(
    refused.map(({ actor, code }) => [actor, code]),
    [
      [credential, 'auth.revoked'],
      [short.credential, 'auth.expired'],
    ],
  );
});

test('where the material of a key was made is told [URS-088]', () => {
  const naming = { region: 'eu-central-1', account: '000000000000' };
  const ask = async (): Promise<never> => assert.fail();
  const call = { naming, ask };
  for (const [origin, told] of [
    ['imported', 'EXTERNAL'],
    ['generated', 'AWS_KMS'],
  ] as const) {
    const key = { id: 'x', state: 'active', destructionDueAt: null, revocation: null, createdAt: 0, origin };
    const metadata = keyMetadata(call, key as unknown as Parameters<typeof keyMetadata>[1]);
    assert.equal((metadata as { Origin: string }).Origin, told);
  }
});
