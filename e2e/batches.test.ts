import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { maxBatchBodyBytes, maxBatchItems, operations } from '@trialkeep/contract';
import { ask, clientOf, errorOf, newInstallation, send, ServerProcess } from './harness.ts';
import type { Installation } from './harness.ts';
import { askLedger, newTenant } from './tenant.ts';
import type { LedgerEntry, Tenant } from './tenant.ts';

let installation: Installation;
let server: ServerProcess;
let tenant: Tenant;
before(async () => {
  installation = await newInstallation();
  server = await ServerProcess.start(installation.data);
  tenant = await newTenant(server, installation.administrator.secret, 'Sponsor');
});

const plaintext = Buffer.from('one reading').toString('base64');
const service = () => clientOf(server, tenant.credentials.service.secret);
const auditor = () => clientOf(server, tenant.credentials.auditor.secret);
const isSuccess = ({ outcome }: LedgerEntry): boolean => outcome === 'success';

test('a client encrypts and decrypts a thousand values in one call each; an inspector finds every one [URS-002] [URS-032]', async () => {
  const { key, study, subject } = tenant;
  const context = { study, subject, class: 'ecg' };
  const values = Array.from({ length: maxBatchItems }, (_, i) =>
    Buffer.from(`value ${i}`).toString('base64'),
  );
  const sealed = await service().call('keys.encrypt-batch', {
    key,
    items: values.map((value) => ({ plaintext: value, context })),
  });
  const items = sealed.items.map((outcome) => {
    if ('error' in outcome) return assert.fail(outcome.error.message);
    return { ciphertext: outcome.result.ciphertext, context };
  });
  const opened = await service().call('keys.decrypt-batch', { key, items });
  assert.deepEqual(
    opened.items.map((outcome) => ('result' in outcome ? outcome.result.plaintext : outcome.error.code)),
    values,
  );
  const decryptions = await askLedger(auditor(), { operation: 'keys.decrypt', key });
  assert.equal(decryptions.filter(isSuccess).length, maxBatchItems);
});

test('a batch may be larger than other requests, and is refused where it is larger than that [URS-002]', async () => {
  const { key, credentials } = tenant;
  const authorization = `Bearer ${credentials.service.secret}`;
  const large = { plaintext: Buffer.alloc(60_000).toString('base64') };
  const fitting = Math.floor(maxBatchBodyBytes / (JSON.stringify(large).length + 1)) - 1;
  const itemsOf = (count: number) => ({ key, items: Array.from({ length: count }, () => large) });
  const done = await ask(server, 'keys.encrypt-batch', itemsOf(fitting), authorization);
  assert.equal(done.status, 200);
  assert.equal((JSON.parse(done.text) as { items: object[] }).items.length, fitting);
  const refused = await ask(server, 'keys.encrypt-batch', itemsOf(fitting + 2), authorization);
  assert.deepEqual([refused.status, errorOf(refused).code], [413, 'request.too_large']);
  const path = operations['keys.encrypt-batch'].path.replace('{key}', key);
  const cut = await send(server, path, { method: 'POST', authorization, body: '{"items":[{"plaintext":"' });
  assert.deepEqual([cut.status, errorOf(cut).code], [400, 'request.invalid']);
});

test('killed in the middle of batches, the ledger has every item that was released, and none twice [URS-032]', async () => {
  const { key } = tenant;
  const released = new Set<string>();
  for (const delayMs of [40, 120, 300]) {
    const name = (batch: number, item: number): string => `k${delayMs}-b${batch}-i${item}`;
    const killed = new AbortController();
    const answered: number[] = [];
    const client = async (first: number): Promise<void> => {
      for (let batch = first; !killed.signal.aborted; batch += 2) {
        const items = Array.from({ length: 200 }, (_, i) => ({
          plaintext,
          context: { class: name(batch, i) },
        }));
        try {
          const answer = await service().call('keys.encrypt-batch', { key, items });
          answer.items.forEach((outcome, i) => 'result' in outcome && released.add(name(batch, i)));
          answered.push(batch);
        } catch {
          return;
        }
      }
    };
    const clients = Promise.all([client(0), client(1)]);
    while (answered.length === 0) await pause(5);
    await pause(delayMs);
    await server.kill();
    killed.abort();
    await clients;
    server = await ServerProcess.start(installation.data);
    assert.equal(server.state, 'ready');
  }
  const entries = (await askLedger(auditor(), { operation: 'keys.encrypt', key })).filter(isSuccess);
  const recorded = entries.flatMap((entry) => {
    const { class: name = '' } = entry as LedgerEntry & { class?: string };
    return name.startsWith('k') ? [name] : [];
  });
  assert.ok(released.size >= 600);
  const known = new Set(recorded);
  assert.equal(known.size, recorded.length);
  assert.deepEqual(
    [...released].filter((name) => !known.has(name)),
    [],
  );
});
