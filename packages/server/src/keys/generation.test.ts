import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import { test } from 'node:test';
import { generateKeyMaterial } from '@trialkeep/crypto';
import { makeService, makeTenant, refusal, shareServer } from '../fixture.test.ts';
import { KeyGeneration } from './generation.ts';
import { Hierarchy } from './hierarchy.ts';

const shared = shareServer();

test('a flood of RSA keys is made one at a time, keeps no tenant waiting, and ends in a bounded line [URS-045] [URS-003]', async () => {
  const material = await generateKeyMaterial('ED25519');
  let running = 0;
  let most = 0;
  const ends: (() => void)[] = [];
  const made: string[] = [];
  const generation = new KeyGeneration(async (algorithm) => {
    if (!algorithm.startsWith('RSA_')) return material;
    most = Math.max(most, ++running);
    await new Promise<void>((resolve) => ends.push(resolve));
    running -= 1;
    return material;
  });
  const make = (tenant: string, use: 'key' | 'pair') =>
    generation.make(tenant, 'RSA_3072', use).then(() => made.push(`${use} ${tenant}`));
  const flood = Promise.allSettled(Array.from({ length: 200 }, () => make('one', 'pair')));
  const others = [make('one', 'key'), make('two', 'pair')];
  // Everything else is made at once.
  assert.equal(await generation.make('one', 'X25519', 'pair'), material);
  while (made.length < 19) {
    ends.shift()?.();
    await setImmediate();
  }
  await Promise.all(others);
  assert.deepEqual(made.slice(1, 4).toSorted(), ['key one', 'pair one', 'pair two']);
  const refused = (await flood).flatMap((result) => (result.status === 'rejected' ? [result.reason] : []));
  assert.equal(refused.length, 200 - 17);
  assert.ok(refused.every(refusal('server.busy')));
  assert.equal(most, 1);
});

test('what refuses a key pair does so before it is made [URS-045]', async (t) => {
  const server = await shared();
  const { custodian, system, key } = await makeTenant(server);
  const service = await makeService(server, custodian, system, [key]);
  const newMaterial = t.mock.method(Hierarchy.prototype, 'newMaterial');
  const study = '00000000-0000-4000-8000-000000000000';
  const input = { key, algorithm: 'RSA_3072', context: { study } } as const;
  await assert.rejects(server.admit('keys.generate-data-key-pair', service, input), refusal('study.unknown'));
  await assert.rejects(
    server.admit('keys.generate-wrapped-data-key-pair', service, input),
    refusal('study.unknown'),
  );
  assert.equal(newMaterial.mock.callCount(), 0);
  await server.admit('keys.generate-data-key-pair', service, { key, algorithm: 'ED25519' });
  assert.equal(newMaterial.mock.callCount(), 1);
});
