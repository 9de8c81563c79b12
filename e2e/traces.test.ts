/** Traces of requests, from a server to a collector in another process: what is told, what is not, and a collector that is away. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { clientOf, newInstallation, send, ServerProcess } from './harness.ts';
import type { Installation } from './harness.ts';
import { until } from './nodes.ts';
import { newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';
import { attributesOf, startCollector, startSilence } from './traces/collector.ts';
import type { Span } from './traces/collector.ts';

let installation: Installation;
let tenant: Tenant;
const metricsPlace = '127.0.0.1:0';

before(async () => {
  installation = await newInstallation();
  const server = await ServerProcess.start(installation.data);
  tenant = await newTenant(server, installation.administrator.secret, 'Sponsor');
  await server.stop();
});

function start(env: Readonly<Record<string, string>>): Promise<ServerProcess> {
  return ServerProcess.start(installation.data, { env: { TRIALKEEP_TRACES_RATIO: '1', ...env } });
}

const plaintext = Buffer.from('a reading of the ECG').toString('base64');

/** Encrypts as a service that is part of a trace. */
async function encrypt(
  server: ServerProcess,
  traceparent?: string,
  secret = tenant.credentials.service.secret,
): Promise<number> {
  const { key, study, subject } = tenant;
  const response = await fetch(`${server.url}/v1/keys/${key}/encrypt`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${secret}`,
      'content-type': 'application/json',
      ...(traceparent !== undefined && { traceparent, tracestate: 'vendor=value', baggage: 'subject=1001' }),
    },
    body: JSON.stringify({ plaintext, context: { study, subject, class: 'ecg' } }),
  });
  await response.arrayBuffer();
  return response.status;
}

const traceOf = (digit: string): string => digit.repeat(32);
const parent = '00f067aa0ba902b7';

test('a request of a trace is told step by step, and nothing that it is about [URS-080] [URS-012]', async () => {
  const collector = await startCollector();
  const server = await start({ TRIALKEEP_TRACES_URL: collector.url });
  assert.equal(await encrypt(server, `00-${traceOf('a')}-${parent}-01`), 200);
  assert.equal(await encrypt(server, `00-${traceOf('b')}-${parent}-00`), 200);
  assert.equal(await encrypt(server, `00-${traceOf('c')}-${parent}-01`, 'tk_nobody'), 401);
  for (const bad of [
    '',
    'x'.repeat(8000),
    `00-${traceOf('0')}-${parent}-01`,
    `ff-${traceOf('e')}-${parent}-01`,
  ]) {
    assert.equal(await encrypt(server, bad), 200);
  }
  const custodian = clientOf(server, tenant.credentials.custodian.secret);
  await custodian.call('keys.rotate', { key: tenant.key });
  assert.equal((await send(server, '/health')).status, 200);
  // What is left is sent at the end.
  assert.equal(await server.stop(), 0);

  const { spans } = collector;
  const asked = spans.filter(({ traceId }) => traceId === traceOf('a'));
  const root =
    asked.find(({ parentSpanId }) => parentSpanId === parent) ?? assert.fail('no span of the request');
  assert.deepEqual([root.name, attributesOf(root)['trialkeep.operation']], ['keys.encrypt', 'keys.encrypt']);
  const names = new Set(asked.map(({ name }) => name));
  for (const name of ['authenticate', 'authorise', 'act', 'flush', 'database.write']) {
    assert.ok(names.has(name), `no step ${name}: ${[...names].join()}`);
  }
  const ids = new Set(asked.map(({ spanId }) => spanId));
  for (const { parentSpanId = '' } of asked.filter((span) => span !== root)) assert.ok(ids.has(parentSpanId));

  assert.deepEqual(
    spans.filter(({ traceId }) => traceId === traceOf('b') || /^(?:0+|e+)$/.test(traceId)),
    [],
    'Whoever asks for no trace gets none, and what is no trace is no parent.',
  );
  assert.equal(rootsOf(spans).filter(({ name }) => name === 'keys.encrypt').length, 4);
  const refused = spans.find(({ traceId, name }) => traceId === traceOf('c') && name === 'keys.encrypt');
  assert.equal(refused && attributesOf(refused)['error.type'], 'auth.required');
  assert.ok(rootsOf(spans).some(({ name }) => name === 'keys.rotate'));
  assert.ok(!spans.some(({ name }) => name.startsWith('instance.')));

  const received = collector.received();
  const { id, name, study, system, key, subject, credentials } = tenant;
  const secrets = Object.values(credentials).flatMap((credential) => [credential.id, credential.secret]);
  for (const told of [
    id,
    name,
    study,
    system,
    key,
    subject,
    plaintext,
    'ecg',
    '1001',
    'vendor=value',
    ...secrets,
  ]) {
    assert.ok(!received.includes(told), `${told} is told to the collector`);
  }
});

function rootsOf(spans: readonly Span[]): Span[] {
  return spans.filter(({ parentSpanId }) => parentSpanId === undefined || parentSpanId === '');
}

test('a caller does not get more traced than the server’s share [URS-080] [URS-046]', async () => {
  const collector = await startCollector();
  const server = await start({
    TRIALKEEP_TRACES_URL: collector.url,
    TRIALKEEP_TRACES_RATIO: '0.000000001',
  });
  for (let n = 0; n < 100; n++) {
    const traceId = n.toString(16).padStart(32, '0').replace(/^0/, '1');
    assert.equal(await encrypt(server, `00-${traceId}-${parent}-01`), 200);
  }
  assert.equal(await server.stop(), 0);
  assert.deepEqual(collector.spans, []);
});

/** Requests of which each makes as many spans as one may. */
async function manySpans(server: ServerProcess): Promise<void> {
  const { key, credentials } = tenant;
  const service = clientOf(server, credentials.service.secret);
  const items = Array.from({ length: 100 }, () => ({ plaintext }));
  for (let n = 0; n < 20; n++) {
    const { items: outcomes } = await service.call('keys.encrypt-batch', { key, items });
    assert.ok(outcomes.every((outcome) => 'result' in outcome));
  }
}

async function spansOf(server: ServerProcess): Promise<Record<string, number>> {
  const url = /"url":"(http:[^"]+\/metrics)"/.exec(server.output.toString())?.[1] ?? assert.fail();
  const text = await (await fetch(url)).text();
  const lines = text.matchAll(/^trialkeep_trace_spans_total\{outcome="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, outcome = '', count]) => [outcome, Number(count)]));
}

for (const how of ['never answers', 'is not there'] as const) {
  test(`a collector that ${how} holds nobody up; what it does not take is given up, and counted [URS-080] [URS-085]`, async () => {
    const url = how === 'never answers' ? (await startSilence()).url : 'http://127.0.0.1:9';
    const server = await start({ TRIALKEEP_TRACES_URL: url, TRIALKEEP_METRICS_LISTEN: metricsPlace });
    await manySpans(server);
    let spans: Record<string, number> = {};
    await until('spans are given up', async () => {
      spans = await spansOf(server);
      return (spans['failed'] ?? 0) > 0;
    });
    assert.equal(spans['exported'], 0);
    assert.equal(await encrypt(server), 200);
    const said = server.output.toString().split('\n');
    assert.equal(said.filter((line) => line.includes('does not take traces')).length, 1);
    assert.equal(await server.stop(), 0);
  });
}

test('a server with settings for traces that it does not read does not start [URS-080]', async () => {
  const bad = [
    { TRIALKEEP_TRACES_URL: 'http://collector.example.org:4318' },
    { TRIALKEEP_TRACES_URL: 'https://user:secret@collector.example.org' },
    { TRIALKEEP_TRACES_URL: 'http://127.0.0.1:4318', TRIALKEEP_TRACES_RATIO: '2' },
  ];
  for (const env of bad) {
    await assert.rejects(start(env), /traces\.settings_invalid/);
  }
});
