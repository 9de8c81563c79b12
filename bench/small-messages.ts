/**
 * Seals and opens messages of 1 KiB in one process: the SDK under a cached data key, and the AWS Encryption SDK for JavaScript with a raw
 * AES key, alternating. Theirs is also measured under its own cache of data keys.
 *
 *   node bench/small-messages.ts [--bytes 1024] [--messages 5000] [--rounds 7]
 */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  buildClient,
  CommitmentPolicy,
  getLocalCryptographicMaterialsCache,
  NodeCachingMaterialsManager,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
  AlgorithmSuiteIdentifier,
} from '@aws-crypto/client-node';
import { createClient } from '@trialkeep/sdk/client';
import { cachedKeys, openBytes, sealBytes, serverKeys } from '@trialkeep/sdk/seal';
import { startBenchServer } from './bench-server.ts';
import { machine, median, spread } from './measure.ts';

const { values } = parseArgs({
  options: {
    bytes: { type: 'string', default: '1024' },
    messages: { type: 'string', default: '5000' },
    rounds: { type: 'string', default: '7' },
  },
});
const bytes = Number(values.bytes);
const messages = Number(values.messages);
const rounds = Number(values.rounds);
const plaintext = randomBytes(bytes);
const context = { class: 'ecg', purpose: 'benchmark' };

const folder = mkdtempSync(join(tmpdir(), 'trialkeep-bench-'));
const server = await startBenchServer(join(folder, 'data'));
try {
  const client = createClient({ url: server.url, credential: server.credential });
  const keys = cachedKeys(serverKeys(client, { key: server.key }));
  const theirs = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
  const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;
  const keyring = new RawAesKeyringNode({
    keyName: 'benchmark',
    keyNamespace: 'benchmark',
    unencryptedMasterKey: new Uint8Array(32),
    wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
  });
  const cached = new NodeCachingMaterialsManager({
    backingMaterials: keyring,
    cache: getLocalCryptographicMaterialsCache(1000),
    maxAge: 60_000,
  });
  const options = { suiteId, encryptionContext: context };
  const ours = await sealBytes(keys, plaintext, { context });
  const other = (await theirs.encrypt(keyring, plaintext, options)).result;
  const steps: Record<string, () => Promise<unknown>> = {
    'trialkeep seal': () => sealBytes(keys, plaintext, { context }),
    'trialkeep open': () => openBytes(keys, ours, { context }),
    'aws encrypt': () => theirs.encrypt(keyring, plaintext, options),
    'aws decrypt': () => theirs.decrypt(keyring, other),
    'aws encrypt, cached': () => theirs.encrypt(cached, plaintext, { ...options, plaintextLength: bytes }),
    'aws decrypt, cached': () => theirs.decrypt(cached, other),
  };
  const rates = new Map(Object.keys(steps).map((name) => [name, [] as number[]]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, step] of Object.entries(steps)) {
      // The peer gets fewer, so that a round of each takes about as long.
      const count = name.startsWith('aws') ? Math.ceil(messages / 10) : messages;
      const started = performance.now();
      for (let i = 0; i < count; i++) await step();
      // The first round warms up.
      if (round > 0) rates.get(name)?.push((count / (performance.now() - started)) * 1000);
    }
  }
  console.log(`messages of ${bytes} bytes, one at a time, ${rounds} rounds, ${machine()}`);
  console.log('step                  messages/s, median (range)');
  for (const [name, measured] of rates) console.log(`${name.padEnd(22)}${spread(measured, 0)}`);
  const rateOf = (name: string): number => median(rates.get(name) ?? []);
  console.log(
    `seal: ${(rateOf('trialkeep seal') / rateOf('aws encrypt')).toFixed(1)} × the AWS Encryption SDK`,
  );
  console.log(
    `open: ${(rateOf('trialkeep open') / rateOf('aws decrypt')).toFixed(1)} × the AWS Encryption SDK`,
  );
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}
