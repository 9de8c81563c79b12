import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { errors } from '@trialkeep/contract';
import type { ErrorCode } from '@trialkeep/contract';
import type { Caller } from '../client/index.ts';
import { sdkError, TrialkeepError } from '../errors.ts';
import { openBytes, sealBytes } from './bytes.ts';
import { StandInKeys } from './fixture.test.ts';
import { openRegistry } from './registry.ts';
import type { RegistryOptions, WrappedDataKey } from './registry.ts';
import { serverKeys } from './server-keys.ts';

const refusal = (code: ErrorCode, field?: string): TrialkeepError =>
  new TrialkeepError(code, errors[code], {
    status: errors[code].status,
    ...(field !== undefined && { field }),
  });

interface Registering {
  readonly key: string;
  readonly dataKeys: readonly { readonly ciphertext: string }[];
}

/** A server's registry in memory: it answers with `failures` first. */
class StandInRegistry implements Caller {
  readonly requests: Registering[] = [];
  readonly registered = new Set<string>();
  readonly failures: Error[] = [];
  refused: string | undefined;

  call = (async (_: string, input: Registering) => {
    this.requests.push(input);
    const failure = this.failures.shift();
    if (failure !== undefined) throw failure;
    const bad = input.dataKeys.findIndex(({ ciphertext }) => ciphertext === this.refused);
    if (bad >= 0) throw refusal('ciphertext.invalid', `/dataKeys/${bad}/ciphertext`);
    for (const { ciphertext } of input.dataKeys) this.registered.add(ciphertext);
    return { references: [], added: input.dataKeys.length };
  }) as unknown as Caller['call'];
}

const dataKey = (key: string): WrappedDataKey => ({
  key,
  ciphertext: Buffer.from(randomUUID()),
  context: { class: 'ecg' },
});

function arranged(options: Partial<RegistryOptions> = {}) {
  const client = new StandInRegistry();
  const missed: { count: number; code: string }[] = [];
  const registry = openRegistry({
    client,
    intervalMs: 3_600_000,
    onMissed: (dataKeys, { code }) => missed.push({ count: dataKeys.length, code }),
    ...options,
  });
  return { client, registry, missed };
}

test('data keys are registered many at a time, those of each key by themselves [URS-003]', async () => {
  const { client, registry } = arranged();
  const [one, other] = [randomUUID(), randomUUID()];
  for (let i = 0; i < 10; i++) {
    await registry.add(dataKey(one));
    await registry.add(dataKey(other));
  }
  await registry.flush();
  assert.deepEqual(
    client.requests.map(({ key, dataKeys }) => [key, dataKeys.length]),
    [
      [one, 10],
      [other, 10],
    ],
  );
  assert.deepEqual([registry.waiting, registry.missed], [0, 0]);
  await registry.close();
});

test('a server that is away keeps nobody waiting beyond the bound; what there is no room for is missed, and named [URS-003]', async () => {
  const { client, registry, missed } = arranged({ maxWaiting: 3, maxWaitMs: 20 });
  client.failures.push(...Array.from({ length: 1 }, () => sdkError('client.unreachable')));
  const key = randomUUID();
  for (let i = 0; i < 3; i++) await registry.add(dataKey(key));
  await assert.rejects(registry.flush(), { code: 'client.unreachable' });
  await registry.add(dataKey(key));
  assert.deepEqual(missed, [{ count: 1, code: 'registry.full' }]);
  assert.equal(registry.waiting, 3, 'what waits is not given up');
  await registry.flush();
  assert.equal(client.registered.size, 3);
  await registry.close();
});

test('who waits for room gets it once the line has moved on [URS-003]', async () => {
  const { client, registry, missed } = arranged({ maxWaiting: 1, maxWaitMs: 600_000 });
  const key = randomUUID();
  await registry.add(dataKey(key));
  const second = registry.add(dataKey(key));
  await registry.flush();
  await second;
  await registry.flush();
  assert.deepEqual([client.registered.size, missed.length], [2, 0]);
  await registry.close();
});

test('one data key that the server refuses keeps none of the others from the registry [URS-003]', async () => {
  const { client, registry, missed } = arranged();
  const all = Array.from({ length: 5 }, () => dataKey('one'));
  client.refused = Buffer.from(all[2]?.ciphertext ?? []).toString('base64');
  for (const each of all) await registry.add(each);
  await registry.flush();
  await Promise.resolve();
  assert.deepEqual(missed, [{ count: 1, code: 'ciphertext.invalid' }]);
  assert.equal(client.registered.size, 4);
  client.failures.push(refusal('key.revoked'));
  await registry.add(dataKey('one'));
  await registry.close();
  assert.deepEqual(missed.at(-1), { count: 1, code: 'key.revoked' });
  await registry.add(dataKey('one'));
  await Promise.resolve();
  assert.equal(registry.missed, 3, 'a closed registry takes nothing any more');
});

test('what a closed registry could not bring to the server is named [URS-003]', async () => {
  const { client, registry, missed } = arranged();
  client.failures.push(sdkError('client.unreachable'), sdkError('client.unreachable'));
  await registry.add(dataKey('one'));
  await registry.close();
  await Promise.resolve();
  assert.deepEqual(missed, [{ count: 1, code: 'registry.closed' }]);
});

test('bounds that are none, and the registry of another client, are refused', () => {
  const client = new StandInRegistry();
  for (const bound of [-1, 1.5, Number.NaN, 1e12]) {
    assert.throws(() => openRegistry({ client, maxWaiting: bound }), { code: 'client.invalid_input' });
  }
  const registry = openRegistry({ client });
  assert.throws(() => serverKeys(new StandInKeys(), { registry }), { code: 'client.invalid_input' });
});

test('sealing registers its data key, and opening asks for the present wrapping where the old one is outlived [URS-003]', async () => {
  const keys = new StandInKeys();
  const key = keys.newKey();
  const wrapped: string[] = [];
  const now: { present?: string } = {};
  const client = {
    call: async (id: string, input: { ciphertext?: string; references?: string[] } & Registering) => {
      if (id === 'data-keys.register') {
        wrapped.push(...input.dataKeys.map(({ ciphertext }) => ciphertext));
        return { references: [], added: 1 };
      }
      if (id === 'data-keys.current') {
        const [reference = ''] = input.references ?? [];
        const known = wrapped.some(
          (each) => createHash('sha256').update(Buffer.from(each, 'base64')).digest('hex') === reference,
        );
        const dataKeys = known ? [{ reference, ciphertext: now.present, version: 2 }] : [];
        return { dataKeys };
      }
      // As after the end of the version's time: only what was wrapped anew opens.
      if (id === 'keys.decrypt-data-key' && now.present !== undefined) {
        if (input.ciphertext !== now.present) throw refusal('key.recipient_period_over', '/key');
        return keys.call('keys.decrypt-data-key' as never, { ...input, ciphertext: wrapped[0] } as never);
      }
      return keys.call(id as never, input as never);
    },
  } as unknown as Caller;
  const registry = openRegistry({ client, intervalMs: 0 });
  const source = serverKeys(client, { key, registry });
  const sealed = await sealBytes(source, Buffer.from('one reading'));
  await registry.flush();
  assert.equal(wrapped.length, 1);
  now.present = Buffer.from('wrapped anew').toString('base64');
  const opened = await openBytes(source, sealed);
  assert.equal(Buffer.from(opened.plaintext).toString(), 'one reading');
  await assert.rejects(openBytes(serverKeys(client, { key }), sealed), { code: 'key.recipient_period_over' });
  wrapped.splice(0);
  await assert.rejects(openBytes(source, sealed), { code: 'key.recipient_period_over' });
  await registry.close();
});
