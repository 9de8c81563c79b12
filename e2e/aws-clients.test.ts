/** Clients that speak the AWS KMS protocol against a server in a process of its own: AWS' command line, and its Encryption SDK beside ours. */
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { promisify } from 'node:util';
import type { Client } from '@trialkeep/sdk/client';
import { openBytes, sealBytes, serverKeys } from '@trialkeep/sdk/seal';
import { answerOf, clientOf, makeFolder, newInstallation, ServerProcess } from './harness.ts';
import { newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';

// It takes a second to load.
const load = () => import('@aws-crypto/client-node');

const region = 'eu-central-1';
const hasCommandLine = spawnSync('aws', ['--version']).status === 0;
const commandLineMissing =
  !hasCommandLine && "AWS' command line is not installed: run tools/test-services.sh.";

let server: ServerProcess;
let tenant: Tenant;
let service: Client;
let arn: string;

interface AccessKey {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}
const signing: Record<string, AccessKey> = {};

/** As a custodian issues one with our own command line. */
async function issueAccessKey(role: 'service' | 'custodian', ...more: string[]): Promise<AccessKey> {
  const args = [
    'system',
    'credential',
    'issue',
    `AWS ${role}`,
    '--role',
    role,
    '--form',
    'access-key',
    ...more,
  ];
  const made = await answerOf<{ credential: { accessKey: string }; secret: string }>(args, {
    env: { TRIALKEEP_URL: server.url, TRIALKEEP_CREDENTIAL: tenant.credentials.custodian.secret },
  });
  return { accessKeyId: made.credential.accessKey, secretAccessKey: made.secret };
}

before(async () => {
  const installation = await newInstallation();
  server = await ServerProcess.start(installation.data);
  tenant = await newTenant(server, installation.administrator.secret, 'Sponsor');
  service = clientOf(server, tenant.credentials.service.secret);
  const custodian = clientOf(server, tenant.credentials.custodian.secret);
  ({ arn } = (await custodian.call('keys.show', { key: tenant.key })).key);
  signing['service'] = await issueAccessKey('service', '--system', tenant.system, '--key', tenant.key);
  signing['custodian'] = await issueAccessKey('custodian');
});

test('what our SDK seals the AWS Encryption SDK opens, and the other way round [URS-002] [URS-046] [URS-047]', async () => {
  const aws = await load();
  const credentials = signing['service'] ?? assert.fail();
  // The keyring's own types do not take the class that it brings.
  const clientProvider = aws.getClient(aws.KMS as never, { credentials, endpoint: server.url });
  const keyring = new aws.KmsKeyringNode({ clientProvider, generatorKeyId: arn });
  const { encrypt, decrypt } = aws.buildClient(aws.CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const keys = serverKeys(service, { key: tenant.key });
  const contexts = [
    {},
    { class: 'ecg', purpose: 'export' },
    { study: tenant.study, subject: tenant.subject, class: 'ecg' },
  ];
  for (const context of contexts) {
    const plaintext = randomBytes(10_000);
    const ours = await sealBytes(keys, plaintext, { context });
    const opened = await decrypt(keyring, Buffer.from(ours));
    assert.ok(plaintext.equals(opened.plaintext));
    for (const [name, value] of Object.entries(context)) {
      assert.equal(opened.messageHeader.encryptionContext[name], value);
    }
    const { result } = await encrypt(keyring, plaintext, { encryptionContext: context });
    const back = await openBytes(keys, result);
    assert.ok(plaintext.equals(back.plaintext));
    for (const [name, value] of Object.entries(context)) assert.equal(back.context[name], value);
    // The key alone does not open it: the keyring finds its own ARN in the message, and asks for that key.
    const discovery = new aws.KmsKeyringNode({ clientProvider, discovery: true });
    assert.ok(plaintext.equals((await decrypt(discovery, result)).plaintext));
  }
});

test(
  "AWS' command line makes, lists and uses keys [URS-002] [URS-007]",
  { skip: commandLineMissing },
  async () => {
    const folder = makeFolder();
    const file = (name: string): string => join(folder, name);
    const aws = async (by: 'service' | 'custodian', ...args: string[]): Promise<Record<string, unknown>> => {
      const key = signing[by] ?? assert.fail();
      const own = Object.entries(process.env).filter(([name]) => !name.startsWith('AWS_'));
      const env = {
        ...Object.fromEntries(own),
        AWS_ACCESS_KEY_ID: key.accessKeyId,
        AWS_SECRET_ACCESS_KEY: key.secretAccessKey,
        AWS_DEFAULT_REGION: region,
        AWS_CONFIG_FILE: file('none'),
        AWS_SHARED_CREDENTIALS_FILE: file('none'),
        AWS_EC2_METADATA_DISABLED: 'true',
      };
      const all = ['kms', ...args, '--endpoint-url', server.url, '--output', 'json'];
      const { stdout } = await promisify(execFile)('aws', all, { env });
      return JSON.parse(stdout) as Record<string, unknown>;
    };
    const context = `study=${tenant.study},class=ecg`;
    writeFileSync(file('plain'), 'read once');
    const plain = ['--plaintext', `fileb://${file('plain')}`];
    const made = await aws('service', 'encrypt', '--key-id', arn, ...plain, '--encryption-context', context);
    assert.equal(made['KeyId'], arn);
    writeFileSync(file('cipher'), Buffer.from(String(made['CiphertextBlob']), 'base64'));
    const blob = ['--ciphertext-blob', `fileb://${file('cipher')}`];
    const opened = await aws('service', 'decrypt', ...blob, '--encryption-context', context);
    assert.equal(
      Buffer.from(String(opened['Plaintext']), 'base64').toString(),
      readFileSync(file('plain'), 'utf8'),
    );
    await assert.rejects(aws('service', 'decrypt', ...blob), /InvalidCiphertextException/);
    const dataKey = await aws(
      'service',
      'generate-data-key',
      '--key-id',
      tenant.key,
      '--key-spec',
      'AES_256',
    );
    writeFileSync(file('wrapped'), Buffer.from(String(dataKey['CiphertextBlob']), 'base64'));
    const released = await aws('service', 'decrypt', '--ciphertext-blob', `fileb://${file('wrapped')}`);
    assert.equal(released['Plaintext'], dataKey['Plaintext']);
    const tag = `TagKey=trialkeep:system,TagValue=${tenant.system}`;
    const { KeyMetadata } = await aws('custodian', 'create-key', '--description', 'by hand', '--tags', tag);
    const { KeyId } = KeyMetadata as { KeyId: string };
    const described = await aws('custodian', 'describe-key', '--key-id', KeyId);
    assert.deepEqual(described['KeyMetadata'], KeyMetadata);
    const listed = await aws('custodian', 'list-keys', '--page-size', '2');
    const ids = (listed['Keys'] as { KeyId: string }[]).map((key) => key.KeyId);
    const all = [tenant.key, ...Object.values(tenant.keys), KeyId];
    assert.deepEqual(new Set(ids), new Set(all));
    assert.equal(ids.length, all.length);
    await assert.rejects(aws('service', 'list-keys'), /AccessDeniedException/);
  },
);
