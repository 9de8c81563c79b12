/** OpenSSL's command line checks what keys of systems sign, and signs what they check. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeService, makeTenant, shareServer } from '../fixture.test.ts';

const shared = shareServer();
const found = spawnSync('openssl', ['version']).status === 0;
const skip = found ? false : 'the openssl command is not installed; Debian has it in the package openssl';

for (const [algorithm, options] of [
  ['ECC_NIST_P256', ['-rawin', '-digest', 'sha256']],
  ['ECC_NIST_P384', ['-rawin', '-digest', 'sha384']],
  ['ED25519', ['-rawin']],
  [
    'RSA_3072',
    ['-rawin', '-digest', 'sha256', '-pkeyopt', 'rsa_padding_mode:pss', '-pkeyopt', 'rsa_pss_saltlen:digest'],
  ],
] as const) {
  test(`OpenSSL verifies signatures of ${algorithm} keys [URS-045]`, { skip }, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'trialkeep-openssl-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const server = await shared();
    const { custodian, system } = await makeTenant(server);
    const { id: key } = await server.admit('keys.create', custodian, { system, algorithm, purpose: 'sign' });
    const service = await makeService(server, custodian, system, [key]);
    const message = Buffer.from('an exported record');
    const { signature } = await server.admit('keys.sign', service, {
      key,
      message: message.toString('base64'),
    });
    const { publicKey } = await server.admit('keys.public-key', service, { key });
    const write = (name: string, bytes: Uint8Array): string => {
      writeFileSync(join(folder, name), bytes);
      return join(folder, name);
    };
    const spki = write('public.der', Buffer.from(publicKey, 'base64'));
    const signed = write('signature', Buffer.from(signature, 'base64'));
    const verify = (text: Uint8Array) => {
      const inputs = [
        '-pubin',
        '-keyform',
        'DER',
        '-inkey',
        spki,
        '-in',
        write('message', text),
        '-sigfile',
        signed,
      ];
      return spawnSync('openssl', ['pkeyutl', '-verify', ...inputs, ...options]).status;
    };
    assert.equal(verify(message), 0);
    assert.notEqual(verify(Buffer.from('another record')), 0);
  });
}

test('OpenSSL encrypts to a key for decryption [URS-045]', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-openssl-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const server = await shared();
  const { custodian, system } = await makeTenant(server);
  const kind = { algorithm: 'RSA_3072', purpose: 'decrypt' } as const;
  const { id: key } = await server.admit('keys.create', custodian, { system, ...kind });
  const service = await makeService(server, custodian, system, [key]);
  const { publicKey } = await server.admit('keys.public-key', service, { key });
  writeFileSync(join(folder, 'public.der'), Buffer.from(publicKey, 'base64'));
  const oaep = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', 'rsa_mgf1_md:sha256'].flatMap((o) => [
    '-pkeyopt',
    o,
  ]);
  const inputs = ['-pubin', '-keyform', 'DER', '-inkey', join(folder, 'public.der')];
  const ciphertext = execFileSync('openssl', ['pkeyutl', '-encrypt', ...inputs, ...oaep], {
    input: 'secret',
  });
  const opened = await server.admit('keys.decrypt', service, {
    key,
    ciphertext: ciphertext.toString('base64'),
  });
  assert.equal(Buffer.from(opened.plaintext, 'base64').toString(), 'secret');
});
