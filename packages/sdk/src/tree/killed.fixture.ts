import { createSecretKey } from 'node:crypto';
import { join } from 'node:path';
import { rawAes } from '@trialkeep/crypto';
import { cachedKeys, recipientKeys } from '../seal/index.ts';
import { openTree, sealTree } from './index.ts';

/** A process that seals or opens a tree in the folder it is given, until it is done or killed. The key is the test's. */

const [action, folder = '', keyHex = ''] = process.argv.slice(2);
const key = rawAes({ namespace: 'test', name: 'key', key: createSecretKey(keyHex, 'hex') });
const keys = cachedKeys(recipientKeys({ recipients: [key], identities: [key] }));
const [source, sealed, opened] = [join(folder, 'source'), join(folder, 'sealed'), join(folder, 'opened')];
process.stdout.write('begun\n');
const result =
  action === 'seal'
    ? await sealTree(keys, {
        sources: [source],
        target: sealed,
        journal: { folder: join(folder, 'journal'), keys: 'test' },
        threads: 2,
      })
    : await openTree(keys, { source: sealed, target: opened, threads: 2 });
process.stdout.write(`${JSON.stringify(result)}\n`);
