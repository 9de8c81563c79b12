import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CryptoError, generateKey, parseMessageHeader, rawAes } from '@trialkeep/crypto';
import type { Identity } from '@trialkeep/crypto';
import { SealError, sdkError, TrialkeepError } from '../errors.ts';
import type { SdkErrorCode } from '../errors.ts';
import type { DataKeyUse, UseReporter } from '../receipts/reporter.ts';
import { openBytes, sealBytes } from './bytes.ts';
import { cachedKeys } from './cache.ts';
import { withFallback } from './fallback.ts';
import { all, StandInKeys } from './fixture.test.ts';
import type { KeySource } from './keys.ts';
import { recipientKeys } from './recipient-keys.ts';
import { serverKeys } from './server-keys.ts';
import { openStream, sealStream } from './stream.ts';

// The network and the server are replaced (fixture.test.ts); formats and keys are real.

const context = { class: 'ecg' };
const plaintext = Buffer.from('the plaintext');

function ownKey(name = 'own') {
  return rawAes({ namespace: 'test', name, key: generateKey('AES_256') });
}

async function sealed(keys: KeySource): Promise<Buffer> {
  return all(sealStream(keys, [plaintext], { context }));
}

async function opens(keys: KeySource, message: Buffer): Promise<void> {
  assert.deepEqual(await all(openStream(keys, [message], { context })), plaintext);
}

async function refused(keys: KeySource, message: Buffer, code: SdkErrorCode | 'key.unknown'): Promise<void> {
  await assert.rejects(all(openStream(keys, [message])), (error: unknown) => {
    return error instanceof TrialkeepError && error.code === code;
  });
}

test('the server and each further recipient open a message by themselves [URS-047]', async () => {
  const client = new StandInKeys();
  const [escrow, partner] = [ownKey('escrow'), ownKey('partner')];
  const message = await sealed(serverKeys(client, { key: client.newKey(), recipients: [escrow, partner] }));
  await opens(serverKeys(client), message);
  client.calls.splice(0);
  await opens(recipientKeys({ identities: [escrow] }), message);
  await opens(recipientKeys({ identities: [ownKey('stranger'), partner] }), message);
  assert.equal(client.calls.length, 0, 'no server was asked');
  await refused(recipientKeys({ identities: [ownKey('stranger')] }), message, 'seal.no_key');
  await refused(recipientKeys({ identities: [ownKey('escrow')] }), message, 'seal.damaged');
  await refused(serverKeys(client, { keys: [client.newKey()] }), message, 'seal.no_key');
});

test('of two keys of one name the one that fits opens', async () => {
  const [one, two] = [ownKey('same'), ownKey('same')];
  const message = await sealed(recipientKeys({ recipients: [one, two] }));
  for (const identities of [[one], [two], [ownKey('same'), two]])
    await opens(recipientKeys({ identities }), message);
});

test('what an identity cannot read is not taken for a wrong key', async () => {
  const failure = new Error('the token was pulled');
  const identity: Identity = { unwrap: () => Promise.reject(failure) };
  const message = await sealed(recipientKeys({ recipients: [ownKey()] }));
  await assert.rejects(all(openStream(recipientKeys({ identities: [identity] }), [message])), failure);
});

test('sealing for nobody, for too many or under no key is refused before anything is written [URS-046]', async () => {
  const client = new StandInKeys();
  const nobody = (keys: KeySource) =>
    assert.rejects(sealed(keys), (error: unknown) => {
      return error instanceof TrialkeepError && error.code === 'client.invalid_input';
    });
  await nobody(serverKeys(client));
  await nobody(recipientKeys({}));
  const sixteen = Array.from({ length: 16 }, (_, index) => ownKey(`own ${index}`));
  const tooMany = (error: unknown) =>
    error instanceof CryptoError && error.code === 'crypto.recipients_invalid';
  assert.throws(() => serverKeys(client, { key: client.newKey(), recipients: sixteen }), tooMany);
  assert.throws(() => recipientKeys({ recipients: [...sixteen, ownKey()] }), tooMany);
  await opens(recipientKeys({ identities: sixteen }), await sealed(recipientKeys({ recipients: sixteen })));
});

test('capture goes on, sealed, while the server is away; a refusal is no absence [URS-046]', async () => {
  const client = new StandInKeys();
  const key = client.newKey();
  const escrow = ownKey('escrow');
  const causes: string[] = [];
  const keys = withFallback(
    serverKeys(client, { key }),
    recipientKeys({ recipients: [escrow], identities: [escrow] }),
    ({ code }) => void causes.push(code),
  );
  const answering = client.call;
  for (const code of ['client.unreachable', 'client.timeout'] as const) {
    client.call = () => Promise.reject(sdkError(code));
    const message = await sealed(keys);
    client.call = answering;
    await opens(recipientKeys({ identities: [escrow] }), message);
    await opens(keys, message);
    await refused(serverKeys(client), message, 'seal.no_key');
  }
  assert.deepEqual(causes, ['client.unreachable', 'client.timeout']);
  const mixed = await sealed(serverKeys(client, { key, recipients: [escrow] }));
  await opens(serverKeys(client), await sealed(keys));
  client.forgetKey(key);
  await opens(keys, mixed);
  client.call = () => Promise.reject(sdkError('client.untrusted'));
  await assert.rejects(sealed(keys), (error: unknown) => {
    return error instanceof TrialkeepError && error.code === 'client.untrusted';
  });
  client.call = answering;
  client.refusal = 'key.revoked';
  await assert.rejects(sealed(keys), (error: unknown) => {
    return error instanceof TrialkeepError && !(error instanceof SealError) && error.code === 'key.revoked';
  });
});

test('a use-logged key serves only where each use is reported, before anything of it is released [URS-032]', async () => {
  const client = new StandInKeys();
  client.useLogged = true;
  const key = client.newKey();
  await assert.rejects(sealed(serverKeys(client, { key })), isRequired);
  const beside = serverKeys(client, { key, recipients: [ownKey()] });
  await assert.rejects(sealed(beside), (error: unknown) => {
    return error instanceof TrialkeepError && error.code === 'receipts.recipient_unlogged';
  });

  const recorded: DataKeyUse[] = [];
  const failure = new Error('the disk is full');
  let isFull = false;
  const reporter: UseReporter = {
    record: (use) => {
      if (isFull) return Promise.reject(failure);
      recorded.push(use);
      return Promise.resolve();
    },
  };
  const foreign: UseReporter = { ...reporter, client: new StandInKeys() };
  assert.throws(() => serverKeys(client, { key, reporter: foreign }), { code: 'client.invalid_input' });
  const keys = cachedKeys(serverKeys(client, { key, reporter }));
  const message = await sealBytes(keys, plaintext, { context });
  await sealBytes(keys, plaintext, { context });
  for (let times = 0; times < 3; times++) await openBytes(keys, message);
  await opens(keys, message);
  assert.equal(client.calls.length, 2 + 2, 'one data key was asked for, to seal and to open');
  const header = parseMessageHeader(message);
  assert.ok(header !== 'more');
  const dataKey = Buffer.from(header.encryptedDataKeys[0]?.ciphertext ?? []);
  assert.deepEqual(
    recorded.map((use) => ({ ...use, dataKey: Buffer.from(use.dataKey), context: { ...use.context } })),
    ['seal', 'seal', 'open', 'open', 'open', 'open'].map((use) => ({ use, key, dataKey, context })),
  );

  isFull = true;
  await assert.rejects(sealBytes(keys, plaintext, { context }), failure);
  await assert.rejects(sealed(keys), failure);
  await assert.rejects(openBytes(keys, message), failure);
  await assert.rejects(all(openStream(keys, [message])), failure);
  await assert.rejects(openBytes(serverKeys(client), message), isRequired);
});

function isRequired(error: unknown): boolean {
  return error instanceof TrialkeepError && error.code === 'receipts.required';
}
