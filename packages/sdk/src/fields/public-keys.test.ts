import assert from 'node:assert/strict';
import { createSecretKey, generateKeyPairSync, hash as digest, randomBytes } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { test } from 'node:test';
import {
  encodeContext,
  encodeFieldKeyRecord,
  FieldKey,
  generateHpkeKey,
  generateKey,
  hpkeIdentity,
  hpkeRecipient,
  rawAes,
  rsaOaepIdentity,
  rsaOaepRecipient,
} from '@trialkeep/crypto';
import type { EncryptionContext, Identity, Recipient } from '@trialkeep/crypto';
import { cachedKeys } from '../seal/cache.ts';
import { recipientKeys } from '../seal/recipient-keys.ts';
import { withCode } from './fixture.test.ts';
import { createFields, memoryFieldKeyStore } from './index.ts';
import type { FieldKeyStore, Fields } from './index.ts';

/** Keys without a server, where whoever writes the key table knows the public key too. */

const context = { study: 'TK-1', subject: 'a1' };
const item = { field: 'diary.entry', rowId: 'row-1', type: 'text', value: 'headache' } as const;
const index = { field: 'diary.name', type: 'text', form: 'nfc', versions: [1], context: {} } as const;

type Party = { readonly recipient: Recipient; readonly identity: Identity };

async function publicParties(): Promise<Record<string, Party>> {
  const pair = generateKeyPairSync('rsa', { modulusLength: 3072 });
  const name = { namespace: 'test', name: 'rsa' };
  const hpke = { suite: 'mlkem768-x25519', ...(await generateHpkeKey('mlkem768-x25519')) } as const;
  return {
    rsa: {
      recipient: rsaOaepRecipient({ ...name, publicKey: pair.publicKey }),
      identity: rsaOaepIdentity({ ...name, privateKey: pair.privateKey }),
    },
    hpke: { recipient: await hpkeRecipient(hpke), identity: await hpkeIdentity(hpke) },
  };
}

const sourceOf = ({ recipient, identity }: Party) =>
  recipientKeys({ recipients: [recipient], identities: [identity] });

/** What somebody puts into the key table who knows only whom keys are wrapped for. */
async function plant(
  store: FieldKeyStore,
  recipient: Recipient,
  bound: EncryptionContext,
  generation: number,
): Promise<KeyObject> {
  const bytes = randomBytes(32);
  const encryptedDataKeys = [await recipient.wrap(bytes, bound)];
  const dataKey = createSecretKey(bytes);
  const kept = await store.insert({
    keyRef: new FieldKey(dataKey).reference,
    contextHash: digest('sha256', encodeContext(bound), 'buffer'),
    generation,
    createdAtMs: Date.now(),
    record: encodeFieldKeyRecord({ context: bound, encryptedDataKeys }),
  });
  assert.ok(kept);
  return dataKey;
}

const opens = async (fields: Fields, sealed: Buffer | null) =>
  fields.open({ field: item.field, rowId: item.rowId, type: item.type, sealed, context });
const referenceOf = (sealed: Buffer | null) => sealed?.toString('hex', 1, 17);

test('nothing is sealed under a data key that anybody could have put into the key table [URS-046] [URS-049]', async () => {
  for (const [what, party] of Object.entries(await publicParties())) {
    for (const keys of [sourceOf(party), cachedKeys(sourceOf(party))]) {
      const store = memoryFieldKeyStore();
      let now = Date.now();
      const clock = () => now;
      const running = createFields({ keys, store, clock });
      const before = await running.seal({ ...item, context });
      const planted = new FieldKey(await plant(store, party.recipient, context, 2));
      const restarted = createFields({ keys, store, clock });
      now += 61_000;
      const sealed = [before];
      for (const fields of [running, restarted, running]) {
        sealed.push(await fields.seal({ ...item, context }));
        sealed.push(await fields.seal({ ...item, context }));
        now += 61_000;
      }
      for (const each of sealed) {
        assert.notEqual(referenceOf(each), planted.reference.toString('hex'), what);
        assert.throws(() => planted.open(item, 'text', each ?? Buffer.alloc(0)), what);
        assert.equal(await opens(restarted, each), 'headache', what);
      }
      assert.equal(new Set(sealed.map(referenceOf)).size, 2, `${what}: one data key for each process`);
    }
  }
});

test('processes with a public key each renew for themselves, at the same time too', async () => {
  const { hpke } = await publicParties();
  assert.ok(hpke !== undefined);
  const keys = sourceOf(hpke);
  const store = memoryFieldKeyStore();
  const processes = Array.from({ length: 6 }, () => createFields({ keys, store }));
  const sealed = await Promise.all(processes.map(async (fields) => fields.seal({ ...item, context })));
  assert.equal(new Set(sealed.map(referenceOf)).size, 6);
  for (const each of sealed) assert.equal(await opens(createFields({ keys, store }), each), 'headache');
});

test('a blind index has no key that anybody could have put there [URS-046]', async () => {
  for (const [what, party] of Object.entries(await publicParties())) {
    const store = memoryFieldKeyStore();
    const fields = createFields({ keys: sourceOf(party), store });
    const bound = { purpose: 'blind-index', field: index.field, 'index-version': '1' };
    await plant(store, party.recipient, bound, 1);
    await assert.rejects(fields.indexTokens(index, ['Ada']), withCode('fields.index_refused'), what);
    const fresh = createFields({ keys: sourceOf(party), store: memoryFieldKeyStore() });
    await assert.rejects(fresh.indexTokens(index, ['Ada']), withCode('fields.index_refused'), what);
  }
});

test('a source says whether its wrapping authenticates who sealed', async () => {
  const own = rawAes({ namespace: 'test', name: 'own', key: generateKey('AES_256') });
  const parties = { ...(await publicParties()), raw: { recipient: own, identity: own } };
  for (const [what, party] of Object.entries(parties)) {
    const keys = cachedKeys(sourceOf(party));
    const { encryptedDataKeys } = await keys.sealingKey(context);
    const opening = await keys.openingKey({ context, encryptedDataKeys });
    assert.equal(opening?.sealerAuthenticated, what === 'raw', what);
  }
  const store = memoryFieldKeyStore();
  const sealed = await createFields({ keys: sourceOf(parties.raw), store }).seal({ ...item, context });
  const again = await createFields({ keys: sourceOf(parties.raw), store }).seal({ ...item, context });
  assert.equal(referenceOf(again), referenceOf(sealed), 'of a shared key all processes use one data key');
});
