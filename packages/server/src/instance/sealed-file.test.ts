import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { generateKey } from '@trialkeep/crypto';
import { openRoot } from '../roots/index.ts';
import type { RootOfTrust } from '../roots/index.ts';
import { makeInstance, refusal } from './fixture.test.ts';
import { openFromRoot, sealToRoot } from './sealed-file.ts';

const context = { part: 'test' };

test('a sealed file opens as it was, and under its own context only [URS-080]', async (t) => {
  const data = await makeInstance(t);
  const { root } = await openRoot(join(data, 'root'));
  const [source, sealed, opened] = ['source', 'sealed', 'opened'].map((name) => join(data, name)) as [
    string,
    string,
    string,
  ];
  writeFileSync(source, Buffer.alloc(3_000_000, 'trial'));
  await sealToRoot(root, source, sealed, context);
  await openFromRoot(root, sealed, opened, context);
  assert.ok(readFileSync(opened).equals(readFileSync(source)));
  const other = openFromRoot(root, sealed, join(data, 'other'), { part: 'other' });
  await assert.rejects(other, refusal('backup.damaged'));
});

test('a sealed file that does not open again is none [URS-080]', async (t) => {
  const data = await makeInstance(t);
  const { root: sound } = await openRoot(join(data, 'root'));
  const broken: RootOfTrust = {
    kind: sound.kind,
    id: sound.id,
    wrap: async (place, key) => sound.wrap(place, key),
    unwrap: async () => generateKey('AES_256'),
    check: async () => sound.check(),
    close: async () => sound.close(),
  };
  const source = join(data, 'trialkeep.json');
  const sealed = sealToRoot(broken, source, join(data, 'sealed'), context);
  await assert.rejects(sealed, refusal('backup.damaged'));
});
