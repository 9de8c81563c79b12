/** Keys that are made in a real PKCS #11 token (SoftHSM), and never leave it. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { constants, createHash, createPublicKey, publicEncrypt, randomBytes, verify } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { skip } from '../hsm-token.fixture.test.ts';
import { entriesOf, stores } from '../installation.fixture.test.ts';
import { arrange, objectId, objectsOf } from './resident-scene.fixture.test.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

for (const store of stores) {
  test(
    `${store.name}: what a key in the HSM encrypts opens again, data keys too, before and after a rotation [URS-014]`,
    { skip: skip || store.skip },
    async (t) => {
      const { admit, change, create, serve, token, node, tenant } = await arrange(t, store);
      const key = await create();
      const as = await serve(key);
      const { key: shown, versions } = await admit('keys.show', { key });
      assert.deepEqual([shown.protection, shown.algorithm, shown.state], ['hsm', 'AES_256', 'active']);
      const sealed = await as('keys.encrypt', {
        key,
        plaintext: base64('a value'),
        context: { class: 'ecg' },
      });
      const dataKey = await as('keys.generate-data-key', { key });
      await change('keys.rotate', key);
      for (const _ of [1, 2]) {
        const opened = await as('keys.decrypt', {
          key,
          ciphertext: sealed.ciphertext,
          context: { class: 'ecg' },
        });
        assert.deepEqual([opened.plaintext, opened.version], [base64('a value'), 1]);
        const released = await as('keys.decrypt-data-key', { key, ciphertext: dataKey.ciphertext });
        assert.equal(released.plaintext, dataKey.plaintext);
      }
      assert.equal((await as('keys.encrypt', { key, plaintext: base64('b') })).version, 2);
      const { versions: two } = await admit('keys.show', { key });
      assert.equal(two.length, 2);
      assert.deepEqual(objectsOf(token).sort(), two.map(({ id }) => objectId(id)).sort());
      assert.ok(versions[0]);
      await assert.rejects(
        as('keys.decrypt', { key, ciphertext: sealed.ciphertext, context: { class: 'other' } }),
        { code: 'ciphertext.invalid' },
      );
      const entries = await entriesOf(node.instance, tenant);
      const about = entries.filter((entry) => entry['key'] === key).map(({ operation }) => operation);
      assert.deepEqual(about.slice(0, 4), ['keys.begin-object', 'keys.create', 'keys.show', 'keys.encrypt']);
    },
  );
}

test('it re-encrypts, and makes pairs under subjects, like any other key [URS-014]', { skip }, async (t) => {
  const { admit, create, createKey, serve } = await arrange(t);
  const [key, other] = [await create(), await createKey()];
  const as = await serve(key, other);
  const { id: study } = await admit('studies.create', { protocol: 'P-1' });
  const { alias: subject } = await admit('subjects.create', { study, number: '001' });
  const context = { study, subject };
  const { ciphertext } = await as('keys.encrypt', { key, plaintext: base64('ecg'), context });
  const moved = await as('keys.re-encrypt', {
    key,
    ciphertext,
    context,
    target: other,
    targetContext: context,
  });
  const back = await as('keys.re-encrypt', {
    key: other,
    ciphertext: moved.ciphertext,
    context,
    target: key,
    targetContext: context,
  });
  assert.equal(
    (await as('keys.decrypt', { key, ciphertext: back.ciphertext, context })).plaintext,
    base64('ecg'),
  );
  const dataKey = await as('keys.generate-data-key', { key, context });
  const released = await as('keys.decrypt-data-key', { key, ciphertext: dataKey.ciphertext, context });
  assert.equal(released.plaintext, dataKey.plaintext);
  const pair = await as('keys.generate-data-key-pair', { key, algorithm: 'ECC_NIST_P256' });
  assert.equal((await as('keys.decrypt', { key, ciphertext: pair.ciphertext })).plaintext, pair.privateKey);
});

const signing = [
  ['ECC_NIST_P256', 'sha256', []],
  ['ECC_NIST_P384', 'sha384', []],
  ['ED25519', undefined, []],
  ['RSA_3072', 'sha256', ['-pkeyopt', 'rsa_padding_mode:pss', '-pkeyopt', 'rsa_pss_saltlen:digest']],
] as const;

for (const [algorithm, digest, more] of signing) {
  test(
    `OpenSSL verifies what a key of ${algorithm} signed in the HSM [URS-014] [URS-045]`,
    { skip },
    async (t) => {
      const { create, serve, token } = await arrange(t);
      const key = await create({ algorithm, purpose: 'sign' });
      const as = await serve(key);
      const message = base64('an exported record');
      const { signature } = await as('keys.sign', { key, message });
      const { publicKey } = await as('keys.public-key', { key });
      const write = (name: string, content: string): string => {
        writeFileSync(join(token.folder, name), Buffer.from(content, 'base64'));
        return join(token.folder, name);
      };
      const options = digest === undefined ? [] : ['-digest', digest];
      const check = (text: string) =>
        spawnSync('openssl', [
          ...['pkeyutl', '-verify', '-rawin', ...options, ...more],
          ...['-pubin', '-keyform', 'DER', '-inkey', write('public', publicKey)],
          ...['-in', write('message', text), '-sigfile', write('signature', signature)],
        ]).status;
      assert.equal(check(message), 0);
      assert.notEqual(check(base64('another record')), 0);
      assert.equal((await as('keys.verify', { key, message, signature })).valid, true);
      if (digest === 'sha256' && algorithm === 'ECC_NIST_P256') {
        const { signature: plain } = await as('keys.sign', { key, message, encoding: 'p1363' });
        const open = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
        const spki = { key: open, dsaEncoding: 'ieee-p1363' } as const;
        assert.ok(verify('sha256', Buffer.from(message, 'base64'), spki, Buffer.from(plain, 'base64')));
      }
      if (algorithm === 'RSA_3072') {
        const hash = createHash('sha512').update(Buffer.from(message, 'base64')).digest('base64');
        const way = 'RSASSA_PSS_SHA_512';
        const signed = await as('keys.sign', { key, digest: hash, algorithm: way });
        const asked = { key, message, algorithm: way, signature: signed.signature } as const;
        assert.equal((await as('keys.verify', asked)).valid, true);
      }
    },
  );
}

test(
  'RSA-OAEP is opened in the HSM; whatever else is sent is one error [URS-014] [URS-045]',
  { skip },
  async (t) => {
    const { create, serve } = await arrange(t);
    const key = await create({ algorithm: 'RSA_3072', purpose: 'decrypt' });
    const as = await serve(key);
    const { ciphertext } = await as('keys.encrypt', { key, plaintext: base64('a data key') });
    assert.equal((await as('keys.decrypt', { key, ciphertext })).plaintext, base64('a data key'));
    const { publicKey } = await as('keys.public-key', { key });
    const open = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
    const oaep = { key: open, padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' };
    const theirs = publicEncrypt(oaep, Buffer.from('theirs')).toString('base64');
    assert.equal((await as('keys.decrypt', { key, ciphertext: theirs })).plaintext, base64('theirs'));
    const sha1 = publicEncrypt({ ...oaep, oaepHash: 'sha1' }, Buffer.from('x'));
    const wrong = [Buffer.alloc(384), Buffer.alloc(384, 0xff), randomBytes(383), randomBytes(385), sha1];
    for (const bytes of wrong) {
      await assert.rejects(as('keys.decrypt', { key, ciphertext: bytes.toString('base64') }), {
        code: 'ciphertext.invalid',
      });
    }
  },
);

for (const algorithm of ['HMAC_256', 'HMAC_384', 'HMAC_512'] as const) {
  test(`MACs of ${algorithm} are made and checked in the HSM [URS-014]`, { skip }, async (t) => {
    const { create, serve } = await arrange(t);
    const key = await create({ algorithm });
    const as = await serve(key);
    const { mac } = await as('keys.generate-mac', { key, message: base64('m') });
    assert.equal((await as('keys.verify-mac', { key, message: base64('m'), mac })).valid, true);
    for (const [message, other] of [
      ['n', mac],
      ['m', mac.slice(4)],
    ] as const)
      assert.equal((await as('keys.verify-mac', { key, message: base64(message), mac: other })).valid, false);
  });
}

test(
  'the token says that nothing of the kind can be taken out, and nothing else is made [URS-008] [URS-014]',
  { skip },
  async (t) => {
    const { create, admit } = await arrange(t);
    for (const algorithm of ['X25519', 'ML_KEM_768', 'ML_DSA_65'] as const)
      await assert.rejects(create({ algorithm }), { code: 'key.hsm_unsupported' });
    await assert.rejects(create({ algorithm: 'ECC_NIST_P256', purpose: 'agree' }), {
      code: 'key.hsm_unsupported',
    });
    const key = await create();
    const { keys } = await admit('inventory.find', {});
    const module = keys.find(({ id }) => id === key)?.module;
    assert.deepEqual([module?.protection, module?.root], ['hsm', 'passphrase']);
    assert.match(module?.name ?? '', /SoftHSM/);
    assert.match(module?.token ?? '', /^token trialkeep, serial [0-9a-f]+$/);
  },
);

test('eTMF keys are made in the HSM, and no software key is [URS-014]', { skip }, async (t) => {
  const { admit, node } = await arrange(t);
  const { id: system } = await admit('systems.create', { name: 'archive', type: 'etmf', vendor: 'v' });
  assert.equal((await admit('keys.create', { system })).protection, 'hsm');
  await assert.rejects(admit('keys.create', { system, protection: 'software' }), {
    code: 'key.hsm_required',
  });
  await assert.rejects(admit('keys.create', { system, algorithm: 'ML_DSA_65' }), {
    code: 'key.hsm_unsupported',
  });
  assert.ok(!(await node.rooms.status()).limits.some((limit) => limit.includes('etmf')));
});
