/** A key is brought and exported as operators do it: with the command line, and with OpenSSL's alone. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createPrivateKey, createPublicKey, randomBytes, randomUUID, verify } from 'node:crypto';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, after, test } from 'node:test';
import {
  answerOf,
  asCaller,
  clientOf,
  failureOf,
  makeFolder,
  newInstallation,
  ServerProcess,
  trialkeep,
} from './harness.ts';
import { approve, bringIn } from './people.ts';
import type { SignedIn } from './people.ts';
import { newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';

const openssl = (...argv: string[]): Buffer =>
  execFileSync('openssl', argv, { stdio: ['ignore', 'pipe', 'ignore'] });
const wraps = spawnSync('openssl', ['enc', '-ciphers']);
const skip = wraps.stdout?.includes('id-aes256-wrap-pad')
  ? false
  : 'the openssl command is not installed, or does not wrap keys; Debian has it in the package openssl';

const folder = makeFolder();
const at = (name: string): string => join(folder, name);
let server: ServerProcess;
let tenant: Tenant;
let people: SignedIn[];
let custodian: { env: Record<string, string> };

before(async () => {
  const installation = await newInstallation();
  server = await ServerProcess.start(installation.data);
  tenant = await newTenant(server, installation.administrator.secret, 'Sponsor');
  const invitees = ['Rosa', 'Omar', 'Lena'].map((name) => ({
    name,
    login: `${name.toLowerCase()}.${randomUUID()}`,
    roles: ['custodian' as const],
  }));
  people = await bringIn(server, tenant.credentials.custodian.secret, { tenant: tenant.id }, invitees);
  custodian = { env: asCaller(server, people[0]?.session ?? '') };
});
after(async () => {
  await server?.stop();
});

const provenance = [
  '--source',
  'Example HSM, serial 7',
  '--statement',
  'Made in it.',
  '--reason',
  'We move.',
];
const importing = (parameters: string, ...more: string[]): string[] => [
  ...['key', 'import', '--parameters', at(parameters)],
  ...provenance,
  ...more,
];
const asking = (out: string, ...more: string[]): string[] => [
  ...['key', 'import-parameters', '--wrapping', 'RSA_3072', '--out', at(out)],
  ...more,
];

interface Key {
  readonly id: string;
  readonly version: number;
  readonly origin: string;
}

test('a key in a file is brought by the command line, and rotated so; what was brought is not brought again [URS-088] [URS-003]', async () => {
  const ofSystem = ['--system', tenant.system, '--algorithm', 'AES_256', '--description', 'Moved'];
  const asked = await trialkeep(asking('one.json', ...ofSystem), custodian);
  assert.equal(asked.status, 0, asked.stderr);
  const { token } = JSON.parse(await readFile(at('one.json'), 'utf8')) as { token: string };
  assert.equal((await stat(at('one.json'))).mode & 0o077, 0);
  assert.ok(!asked.stdout.includes(token));
  await writeFile(at('material'), randomBytes(32));
  const key = await answerOf<Key>(importing('one.json', at('material')), custodian);
  assert.deepEqual([key.origin, key.version], ['imported', 1]);
  const spent = await failureOf(importing('one.json', at('material')), custodian);
  assert.equal(spent.code, 'import.token_invalid');
  await answerOf(asking('two.json', '--key', key.id), custodian);
  const again = await failureOf(importing('two.json', at('material')), custodian);
  assert.equal(again.code, 'import.material_known');
  await writeFile(at('next'), randomBytes(32));
  assert.equal((await answerOf<Key>(importing('two.json', at('next')), custodian)).version, 2);
  assert.equal((await failureOf(['key', 'rotate', key.id], custodian)).code, 'key.imported');
  for (const argv of [asking('three.json'), asking('three.json', '--key', key.id, ...ofSystem)]) {
    assert.equal((await trialkeep(argv, custodian)).status, 2);
  }
  const foreign = await failureOf(importing('material', at('next')), custodian);
  assert.equal(foreign.code, 'cli.input_invalid');
});

test('what OpenSSL wraps is brought, and signs as what OpenSSL has [URS-088]', { skip }, async () => {
  const ofSystem = ['--system', tenant.system, '--algorithm', 'ECC_NIST_P256', '--purpose', 'sign'];
  await answerOf(asking('pair.json', ...ofSystem, '--public-key', at('wrapping.pem')), custodian);
  openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', at('own.pem'));
  openssl('pkcs8', '-topk8', '-nocrypt', '-in', at('own.pem'), '-outform', 'DER', '-out', at('own.der'));
  openssl('rand', '-out', at('aes'), '32');
  const oaep = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', 'rsa_mgf1_md:sha256'];
  const options = oaep.flatMap((option) => ['-pkeyopt', option]);
  const under = ['-pubin', '-inkey', at('wrapping.pem'), '-in', at('aes')];
  openssl('pkeyutl', '-encrypt', ...under, ...options, '-out', at('head'));
  const aes = (await readFile(at('aes'))).toString('hex');
  const wrap = ['-id-aes256-wrap-pad', '-K', aes, '-iv', 'A65959A6'];
  openssl('enc', ...wrap, '-in', at('own.der'), '-out', at('tail'));
  await writeFile(at('wrapped'), Buffer.concat([await readFile(at('head')), await readFile(at('tail'))]));
  const { id: key } = await answerOf<Key>(importing('pair.json', '--wrapped', at('wrapped')), custodian);
  const client = clientOf(server, tenant.credentials.custodian.secret);
  const service = await client.call('credentials.issue', {
    name: 'signer',
    role: 'service',
    system: tenant.system,
    keys: [key],
  });
  const message = Buffer.from('a record');
  const signed = await clientOf(server, service.secret).call('keys.sign', {
    key,
    message: message.toString('base64'),
  });
  const own = createPublicKey(await readFile(at('own.pem'), 'utf8'));
  assert.ok(verify('sha256', message, own, Buffer.from(signed.signature, 'base64')));
});

test(
  'an approved export is opened by whom it was wrapped for, with OpenSSL alone [URS-010] [URS-088]',
  { skip },
  async () => {
    const options = ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:3072', '-out', at('partner.pem')];
    openssl('genpkey', ...options);
    openssl('pkey', '-in', at('partner.pem'), '-pubout', '-out', at('partner-public.pem'));
    const place = ['--name', 'Partner', '--contact', 'keys@example.org'];
    const registering = (file: string): string[] => [
      'destination',
      'register',
      ...place,
      '--public-key',
      at(file),
    ];
    assert.equal((await failureOf(registering('partner.pem'), custodian)).code, 'cli.input_invalid');
    const destination = await answerOf<{ id: string; fingerprint: string }>(
      registering('partner-public.pem'),
      custodian,
    );
    const create = ['key', 'create', '--system', tenant.system, '--algorithm', 'ED25519', '--exportable'];
    const { id: key } = await answerOf<Key>(create, custodian);
    const to = ['--destination', destination.id, '--reason', 'They sign from now on.'];
    const kept = await trialkeep(['key', 'export', key, ...to, '--json'], custodian);
    assert.equal(kept.status, 3, kept.stderr);
    const [, one, two] = people;
    assert.ok(one && two);
    const { approvals } = await clientOf(server, one.session).call('approvals.list', {});
    const approval = approvals.find(({ operation }) => operation === 'keys.export')?.id ?? assert.fail();
    for (const person of [one, two]) await approve(server, person.session, person, approval);
    let exported: { id: string } | undefined;
    while (exported === undefined) {
      const listed = await answerOf<{ exports: { id: string }[] }>(['key', 'exports'], custodian);
      exported = listed.exports[0];
    }
    await answerOf(['key', 'fetch-export', exported.id, '--out', at('exported')], custodian);
    const wrapped = await readFile(at('exported'));
    await writeFile(at('exported-head'), wrapped.subarray(0, 384));
    await writeFile(at('exported-tail'), wrapped.subarray(384));
    const oaep = ['rsa_padding_mode:oaep', 'rsa_oaep_md:sha256', 'rsa_mgf1_md:sha256'];
    const padding = oaep.flatMap((option) => ['-pkeyopt', option]);
    const aes = openssl(
      'pkeyutl',
      '-decrypt',
      '-inkey',
      at('partner.pem'),
      '-in',
      at('exported-head'),
      ...padding,
    );
    const wrap = ['-id-aes256-wrap-pad', '-K', aes.toString('hex'), '-iv', 'A65959A6'];
    const der = openssl('enc', '-d', ...wrap, '-in', at('exported-tail'));
    const read = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
    const { publicKey } = await clientOf(server, people[0]?.session ?? '').call('keys.public-key', { key });
    const spki = createPublicKey(read).export({ format: 'der', type: 'spki' });
    assert.equal(publicKey, spki.toString('base64'));
    const { holders } = await answerOf<{ holders: { kind: string; name: string }[] }>(
      ['holder', 'list'],
      custodian,
    );
    assert.ok(holders.some(({ kind, name }) => kind === 'export' && name.includes(destination.fingerprint)));
  },
);
