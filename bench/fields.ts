/**
 * Database fields per second on one thread, sealed and opened under a cached data key, with and without a blind index, beside the AWS
 * Encryption SDK with its caching materials manager and the same algorithm suite without a signature: in one process, alternating.
 *
 *   node bench/fields.ts [--rounds 7] [--seconds 0.5]
 */
import { generateKeySync } from 'node:crypto';
import { parseArgs } from 'node:util';
import {
  AlgorithmSuiteIdentifier,
  buildClient,
  CommitmentPolicy,
  getLocalCryptographicMaterialsCache,
  NodeCachingMaterialsManager,
  RawAesKeyringNode,
  RawAesWrappingSuiteIdentifier,
} from '@aws-crypto/client-node';
import { rawAes } from '@trialkeep/crypto';
import { createFields, fieldTable, memoryFieldKeyStore } from '@trialkeep/sdk/fields';
import { cachedKeys, recipientKeys } from '@trialkeep/sdk/seal';
import { machine, median, spread } from './measure.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '7' }, seconds: { type: 'string', default: '0.5' } },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);

const context = { study: 'TK-2026-014', subject: '6f1d0c0e9a4b4f0f8a52c1f7b3e2d409' };
const key = generateKeySync('aes', { length: 256 });
const own = rawAes({ namespace: 'bench', name: 'bench', key });
const keys = cachedKeys(recipientKeys({ recipients: [own], identities: [own] }), { maxAgeMs: 3_600_000 });
const fields = createFields({ keys, store: memoryFieldKeyStore() });
const table = fieldTable(fields, {
  table: 'diary',
  rowId: 'id',
  context: () => context,
  columns: { entry: { type: 'text' } },
});
const indexed = fieldTable(fields, {
  table: 'diary',
  rowId: 'id',
  context: () => context,
  columns: { entry: { type: 'text', index: { column: 'entry_index', distinctValues: 100_000 } } },
});

const { encrypt, decrypt } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT);
const keyring = new RawAesKeyringNode({
  keyName: 'bench',
  keyNamespace: 'bench',
  unencryptedMasterKey: Uint8Array.from(key.export()),
  wrappingSuite: RawAesWrappingSuiteIdentifier.AES256_GCM_IV12_TAG16_NO_PADDING,
});
const cached = new NodeCachingMaterialsManager({
  backingMaterials: keyring,
  cache: getLocalCryptographicMaterialsCache(100),
  maxAge: 3_600_000,
  maxMessagesEncrypted: 2 ** 31,
});
const suiteId = AlgorithmSuiteIdentifier.ALG_AES256_GCM_IV12_TAG16_HKDF_SHA512_COMMIT_KEY;

/** Does something so many times. */
type Work = (count: number) => Promise<unknown>;

async function worksOf(bytes: number): Promise<Record<string, Work>> {
  const value = 'x'.repeat(bytes);
  const place = {
    field: 'diary.entry',
    rowId: '6f1d0c0e-9a4b-4f0f-8a52-c1f7b3e2d409',
    type: 'text',
  } as const;
  const sealed = await fields.seal({ ...place, value, context });
  const rows = await indexed.seal([{ id: place.rowId, entry: value }]);
  const message = await encrypt(cached, value, { suiteId, encryptionContext: context });
  const times = <T>(count: number, item: T): T[] => Array.from({ length: count }, () => item);
  return {
    'seal, many at once': (count) => fields.sealMany(context, times(count, { ...place, value })),
    'open, many at once': (count) => fields.openMany(context, times(count, { ...place, sealed })),
    'seal, one at a time': async (count) => {
      for (let i = 0; i < count; i++) await fields.seal({ ...place, value, context });
    },
    'open, one at a time': async (count) => {
      for (let i = 0; i < count; i++) await fields.open({ ...place, sealed, context });
    },
    'seal rows': (count) => table.seal(times(count, { id: place.rowId, entry: value })),
    'seal rows with index': (count) => indexed.seal(times(count, { id: place.rowId, entry: value })),
    'open rows': (count) => indexed.open(times(count, { id: place.rowId, ...rows[0] })),
    'AWS encrypt': async (count) => {
      for (let i = 0; i < count; i++)
        await encrypt(cached, value, { suiteId, encryptionContext: context, plaintextLength: bytes });
    },
    'AWS decrypt': async (count) => {
      for (let i = 0; i < count; i++) await decrypt(cached, message.result);
    },
  };
}

/** How often per second, measured over the given time in pieces of a hundred. */
async function rateOf(work: Work): Promise<number> {
  const started = performance.now();
  const piece = 100;
  let done = 0;
  while (performance.now() - started < seconds * 1000) {
    await work(piece);
    done += piece;
  }
  return done / ((performance.now() - started) / 1000);
}

console.log(`${rounds} rounds of ${seconds} s each, ${machine()}`);
for (const bytes of [64, 1024]) {
  const works = await worksOf(bytes);
  const rates = new Map(Object.keys(works).map((name) => [name, [] as number[]]));
  for (let round = 0; round <= rounds; round++) {
    for (const [name, work] of Object.entries(works)) {
      const rate = await rateOf(work);
      // The first round warms up.
      if (round > 0) rates.get(name)?.push(rate);
    }
  }
  const rateFor = (name: string): number => median(rates.get(name) ?? []);
  console.log(`\nvalues of ${bytes} bytes     per second, median (range)      × AWS`);
  for (const [name, measured] of rates) {
    const peer = name.startsWith('open') || name === 'AWS decrypt' ? 'AWS decrypt' : 'AWS encrypt';
    const ratio = (rateFor(name) / rateFor(peer)).toFixed(1);
    console.log(`${name.padEnd(25)}${spread(measured, 0).padEnd(32)}${ratio}`);
  }
}
