import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { exportReceipts, importReceipts, openReporter } from '@trialkeep/sdk/receipts';
import { cachedKeys, openBytes, sealBytes, serverKeys } from '@trialkeep/sdk/seal';
import { clientOf, makeFolder, newInstallation, ServerProcess, undoAtEnd } from './harness.ts';
import type { Installation } from './harness.ts';
import { exported, keep } from './key-uses.ts';
import { askLedger, newTenant } from './tenant.ts';
import type { LedgerEntry, Tenant } from './tenant.ts';
import type { GatewayInput } from './use-receipts/gateway.ts';

let installation: Installation;
let server: ServerProcess;
let tenants = 0;

before(async () => {
  installation = await newInstallation();
  server = await ServerProcess.start(installation.data);
});

const never = { intervalMs: 3_600_000 };
const reading = Buffer.from('one reading');

/** An entry about a use. */
interface UseEntry extends LedgerEntry {
  readonly attested?: {
    readonly use: string;
    readonly count: number;
    readonly sequence: number;
    readonly recipient?: string;
  };
  readonly dataKey?: string;
  readonly gap?: object;
  readonly useLogged?: boolean;
}

/** A tenant with a use-logged key and a service for it. */
async function arrange() {
  tenants += 1;
  const tenant = await newTenant(server, installation.administrator.secret, `Sponsor ${tenants}`);
  const custodian = clientOf(server, tenant.credentials.custodian.secret);
  const { system, study, subject } = tenant;
  const { id: key } = await custodian.call('keys.create', { system, useLogged: true });
  const issued = await custodian.call('credentials.issue', {
    name: 'gateway',
    role: 'service',
    system,
    keys: [key],
  });
  const context = { study, subject, class: 'ecg' };
  return { tenant, key, credential: issued.secret, context, folder: join(makeFolder(), 'reporter') };
}

async function entriesOf({ credentials }: Tenant, question: object = {}): Promise<UseEntry[]> {
  return askLedger(clientOf(server, credentials.auditor.secret), question);
}

/** How many uses of a kind were attested. */
const uses = (entries: readonly UseEntry[], use: string): number =>
  entries.reduce((sum, { attested }) => sum + (attested?.use === use ? attested.count : 0), 0);

test('every use of a use-logged key is in the ledger, beside the releases that the server observed [URS-038] [URS-032]', async () => {
  const { tenant, key, credential, context, folder } = await arrange();
  const kept = await keep(server, tenant);
  const client = clientOf(server, credential);
  await assert.rejects(sealBytes(serverKeys(client, { key }), reading, { context }), {
    code: 'receipts.required',
  });
  const reporter = await openReporter({ folder, client, ...never });
  const keys = cachedKeys(serverKeys(client, { key, reporter }));
  const messages = await Promise.all(Array.from({ length: 20 }, () => sealBytes(keys, reading, { context })));
  for (const message of messages.slice(0, 5)) {
    assert.deepEqual((await openBytes(keys, message)).plaintext, reading);
  }
  const { subject, study } = context;
  await assert.rejects(sealBytes(keys, reading, { context: { study } }), {
    code: 'context.subject_required',
  });
  await reporter.close();

  const entries = await entriesOf(tenant, { key, outcome: 'success' });
  assert.deepEqual([uses(entries, 'seal'), uses(entries, 'open')], [20, 5]);
  const observed = entries.filter(({ operation }) => operation.endsWith('data-key'));
  assert.ok(observed.length >= 2 && observed.every(({ useLogged }) => useLogged === true));
  const attested = entries.filter((entry) => entry.attested !== undefined);
  assert.ok(attested.every((entry) => entry.subject === subject && entry.gap === undefined));
  // Each attested use is of a data key whose release was observed.
  const released = new Set(observed.map(({ dataKey }) => dataKey));
  assert.ok(attested.every(({ dataKey }) => released.has(dataKey)));
  await exported(server, tenant, kept);
});

/** Starts the gateway; `untilSealed` waits until it has sealed so many. */
function startGateway(input: GatewayInput) {
  const script = fileURLToPath(new URL('./use-receipts/gateway.ts', import.meta.url));
  const child = spawn(process.execPath, [script], { stdio: ['pipe', 'pipe', 'inherit'] });
  undoAtEnd(() => void child.kill('SIGKILL'));
  child.stdin.end(JSON.stringify(input));
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  let sealed = 0;
  const untilSealed = async (count: number): Promise<void> => {
    while (sealed < count) {
      const line = await lines.next();
      assert.ok(line.done !== true, 'the gateway ended by itself');
      sealed = Number(line.value);
    }
  };
  const kill = async (): Promise<number> => {
    child.kill('SIGKILL');
    await once(child, 'exit');
    for (let line = await lines.next(); line.done !== true; line = await lines.next())
      sealed = Number(line.value);
    return sealed;
  };
  return { untilSealed, kill };
}

test('a full batch of the longest receipts goes over the network [URS-038]', async () => {
  const { tenant, key, credential, context, folder } = await arrange();
  const reporter = await openReporter({ folder, client: clientOf(server, credential), ...never });
  const words = { ...context, class: 'c'.repeat(64), purpose: 'p'.repeat(64) };
  const used = Array.from({ length: 1100 }, (_, i) =>
    reporter.record({ use: 'open', key, dataKey: Buffer.from(`data key ${i}`), context: words }),
  );
  await Promise.all(used);
  await reporter.close();
  const entries = await entriesOf(tenant, { operation: 'uses.report', key });
  assert.deepEqual([uses(entries, 'open'), entries.at(-1)?.attested?.sequence], [1100, 1100]);
});

test('a client killed while its server was away loses no receipt of what it had sealed [URS-038] [URS-046]', async () => {
  const { tenant, key, credential, context, folder } = await arrange();
  const kept = await keep(server, tenant);
  const gateway = startGateway({ url: server.url, credential, folder, key, context });
  await gateway.untilSealed(50);
  await server.kill();
  // The data key that it has stays good for its bound.
  await gateway.untilSealed(200);
  const sealed = await gateway.kill();
  assert.ok(sealed >= 200);

  const away = await openReporter({ folder, client: clientOf(server, credential), ...never });
  await assert.rejects(away.flush(), { code: 'client.unreachable' });
  assert.ok(away.unsent > 0);
  await away.close();

  server = await ServerProcess.start(installation.data);
  assert.equal(server.state, 'ready');
  const reporter = await openReporter({ folder, client: clientOf(server, credential), ...never });
  await reporter.flush();
  await reporter.close();
  const entries = await entriesOf(tenant, { key, operation: 'uses.report' });
  const counted = uses(entries, 'seal');
  // One more may have been under way.
  assert.ok(counted === sealed || counted === sealed + 1, `${counted} attested, ${sealed} sealed`);
  const sequences = entries.flatMap(({ attested }) => attested?.sequence ?? []);
  assert.deepEqual(
    sequences,
    sequences.map((_, i) => i + 1),
  );
  assert.ok(entries.every(({ gap }) => gap === undefined));
  await exported(server, tenant, kept);
});

test('what was opened with an escrow key, without any server, is brought in by a custodian [URS-038] [URS-020]', async () => {
  const { tenant, context, folder } = await arrange();
  const recipient = '5e'.repeat(32);
  const reporter = await openReporter({ folder });
  for (let i = 0; i < 3; i++) {
    await reporter.record({ use: 'open', recipient, dataKey: Buffer.from(`data key ${i}`), context });
  }
  await reporter.close();
  const list = join(makeFolder(), 'openings.jsonl');
  assert.equal((await exportReceipts(folder, list)).receipts, 3);
  const custodian = clientOf(server, tenant.credentials.custodian.secret);
  const service = clientOf(server, tenant.credentials.service.secret);
  await assert.rejects(importReceipts(service, list), { code: 'receipts.foreign_use' });
  for (let times = 0; times < 2; times++) {
    assert.equal((await importReceipts(custodian, list)).acknowledged, 3);
  }
  const entries = await entriesOf(tenant, { operation: 'uses.report', subject: context.subject });
  assert.deepEqual(
    entries.map(({ attested, role, key }) => [attested?.use, attested?.recipient, role, key]),
    Array.from({ length: 3 }, () => ['open', recipient, 'custodian', undefined]),
  );
});
