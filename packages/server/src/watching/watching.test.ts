import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { request } from 'node:http';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { makeInstallation, openNode, stores } from '../installation.fixture.test.ts';
import type { Node } from '../installation.fixture.test.ts';
import { systemClock } from '../platform/clock.ts';
import { OperationError, StartupError } from '../platform/errors.ts';
import { isLoopback, parseMetricsPlace } from '../platform/metrics/listener.ts';
import { metricTable } from '../platform/metrics/table.ts';
import type { MetricDefinition, MetricName } from '../platform/metrics/table.ts';
import { Readiness } from '../platform/readiness.ts';
import { RootWatch, beginWatching } from './watching.ts';
import type { Watching } from './watching.ts';

const definitions: [string, MetricDefinition][] = Object.entries(metricTable);

/** One line of the text format: a name, its labels, and a value. */
interface Line {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

function parse(text: string): Line[] {
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name = '', labels = '', value = ''] = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)].map(
        ([, label = '', said = '']) => [label, said] as const,
      );
      return { name, labels: new Map(pairs), value: Number(value) };
    });
}

function watch(node: Node, listen: string | undefined): Promise<Watching> {
  const { instance, rooms } = node;
  const notes = { info: () => undefined, warn: () => undefined };
  return beginWatching({ ...rooms, root: instance.root, clock: systemClock, notes }, listen);
}

function ask(url: string, options: { path?: string; method?: string; host?: string } = {}) {
  const { path = '/metrics', method = 'GET', host } = options;
  return new Promise<{ status: number; text: string; type: string }>((resolve, reject) => {
    const headers = host === undefined ? {} : { host };
    const asked = request(new URL(path, url), { method, headers, agent: false }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (part: string) => (text += part));
      answer.on('end', () =>
        resolve({ status: answer.statusCode ?? 0, text, type: answer.headers['content-type'] ?? '' }),
      );
    });
    asked.on('error', reject).end();
  });
}

/** Nothing but the values of the table stands in any label. */
function assertClosedLabels(lines: ReturnType<typeof parse>): void {
  for (const { name, labels } of lines) {
    const base = name.replace(/_(?:bucket|sum|count)$/, '');
    const [, definition] = definitions.find(([known]) => known === name || known === base) ?? [];
    assert.ok(definition !== undefined, name);
    for (const [label, said] of labels) {
      const known =
        label === 'le' ? [...(definition.buckets ?? []).map(String), '+Inf'] : definition.labels?.[label];
      assert.ok(known?.includes(said), `${name} ${label}=${said}`);
    }
  }
}

for (const store of stores) {
  test(
    `metrics count what happens, and name nobody, on ${store.name} [URS-080]`,
    { skip: store.skip },
    async (t) => {
      const installation = await makeInstallation(t, store);
      const node = await openNode(t, installation);
      const watching = await watch(node, '127.0.0.1:0');
      t.after(() => watching.close());
      const from = { source: '192.0.2.77', requestId: 'request' };
      const as = (secret: string) => ({ authorization: `Bearer ${secret}`, ...from });
      const admin = as(installation.administrator);
      const { admit } = watching.gate;
      const { tenant, custodian } = (await admit({
        operation: 'tenants.create',
        input: { name: 'Sponsor Secretive' },
        ...admin,
      })) as { tenant: { id: string }; custodian: { secret: string } };
      const mine = as(custodian.secret);
      const input = { name: 'Named system', type: 'edc', vendor: 'Named vendor' };
      const system = (await admit({ operation: 'systems.create', input, ...mine })) as { id: string };
      for (let i = 0; i < 3; i++) {
        await admit({
          operation: 'keys.create',
          input: { system: system.id, description: 'Named key' },
          ...mine,
        });
      }
      const [{ id: key } = { id: '' }] = (
        (await admit({ operation: 'keys.list', input: {}, ...mine })) as {
          keys: { id: string }[];
        }
      ).keys;
      await admit({ operation: 'keys.suspend', input: { key, reason: 'Named reason' }, ...mine });
      await assert.rejects(admit({ operation: 'keys.show', input: { key: 'none' }, ...mine }));
      await assert.rejects(admit({ operation: 'keys.list', input: {}, ...from, authorization: undefined }));
      await watching.poll(() => node.rooms.poll());

      assert.ok(watching.url !== undefined);
      await ask(watching.url);
      const { status, text, type } = await ask(watching.url);
      assert.deepEqual([status, type], [200, 'text/plain; version=0.0.4; charset=utf-8']);
      const lines = parse(text);
      const value = (name: MetricName, labels: Record<string, string> = {}): number | undefined =>
        lines.find(
          (line) =>
            line.name === name &&
            Object.entries(labels).every(([label, said]) => line.labels.get(label) === said),
        )?.value;
      assert.equal(value('trialkeep_requests_total', { operation: 'keys.create', outcome: 'success' }), 3);
      assert.equal(value('trialkeep_requests_total', { operation: 'keys.list', outcome: 'refused' }), 1);
      assert.equal(value('trialkeep_errors_total', { code: 'request.invalid' }), 1);
      assert.equal(value('trialkeep_keys', { state: 'active' }), 2);
      assert.equal(value('trialkeep_keys', { state: 'suspended' }), 1);
      assert.equal(value('trialkeep_ready'), 1);
      assert.equal(value('trialkeep_polls_total', { outcome: 'success' }), 1);
      assert.ok((value('trialkeep_ledger_entries') ?? 0) > 5);

      assertClosedLabels(lines);
      for (const secret of [
        tenant.id,
        system.id,
        key,
        'Named',
        'Secretive',
        '192.0.2.77',
        custodian.secret,
      ]) {
        assert.ok(!text.includes(secret), secret);
      }
    },
  );

  test(
    `a node is ready until it is not, and being asked costs the ledger nothing, on ${store.name} [URS-080]`,
    { skip: store.skip },
    async (t) => {
      const node = await openNode(t, await makeInstallation(t, store));
      const { database, ledger } = node.instance;
      const before = await database.read((tx) => tx.selectFrom('head').select(['log', 'size']).execute());
      const asking = {
        input: {},
        authorization: undefined,
        source: '192.0.2.1',
        requestId: 'request',
      } as const;
      const { gate, readiness } = node.rooms;
      for (let i = 0; i < 100; i++) {
        assert.deepEqual(await gate.admit({ operation: 'instance.ready', ...asking }), { ready: true });
        assert.deepEqual(await gate.admit({ operation: 'instance.health', ...asking }), { alive: true });
      }
      assert.equal(ledger.appender.waiting, 0);
      const after = await database.read((tx) => tx.selectFrom('head').select(['log', 'size']).execute());
      assert.deepEqual(after, before);
      readiness.stop();
      await assert.rejects(gate.admit({ operation: 'instance.ready', ...asking }), (error: unknown) => {
        assert.ok(error instanceof OperationError);
        assert.equal(error.code, 'server.not_ready');
        return true;
      });
      assert.deepEqual(await gate.admit({ operation: 'instance.health', ...asking }), { alive: true });
      assert.ok(node.notes.some((note) => note.includes('stopping')));
    },
  );
}

test('a node in recovery, without its reserve or without its database is not ready, and asks once a second at most [URS-080]', async () => {
  let reads = 0;
  const database = {
    read: async () => {
      reads++;
      throw new Error('gone');
    },
  };
  const told: object[] = [];
  const readiness = new Readiness({
    database: database as unknown as ConstructorParameters<typeof Readiness>[0]['database'],
    reserve: { held: () => false, release: () => false },
    recovery: ['behind the anchor'],
    notes: { warn: (details) => void told.push(details) },
  });
  const all = await Promise.all(Array.from({ length: 1000 }, () => readiness.reasons()));
  for (const reasons of all) assert.deepEqual(reasons, ['database', 'recovery', 'storage']);
  assert.deepEqual(told, [{ reasons: ['database', 'recovery', 'storage'] }]);
  assert.equal(reads, 1);
});

test('the listener answers one path under its own address [URS-080]', async (t) => {
  const node = await openNode(t, await makeInstallation(t, { name: 'SQLite', skip: false }));
  const watching = await watch(node, '127.0.0.1:0');
  t.after(() => watching.close());
  const { url } = watching;
  assert.ok(url !== undefined);
  const statuses = [
    (await ask(url, { path: '/' })).status,
    (await ask(url, { path: '/metrics?tenant=x' })).status,
    (await ask(url, { method: 'POST' })).status,
    (await ask(url, { host: 'metrics.attacker.example' })).status,
    (await ask(url, { host: 'localhost:9464' })).status,
  ];
  assert.deepEqual(statuses, [404, 404, 405, 421, 200]);
  const off = await watch(node, undefined);
  assert.equal(off.url, undefined);
  assert.equal(off.gate, node.rooms.gate);
});

test('an address for metrics is an IP address and a port [URS-080]', () => {
  assert.deepEqual(parseMetricsPlace('127.0.0.1:9464'), { host: '127.0.0.1', port: 9464 });
  assert.deepEqual(parseMetricsPlace('[::1]:0'), { host: '::1', port: 0 });
  const bad = [
    '',
    '9464',
    ':9464',
    'localhost:9464',
    '127.0.0.1',
    '127.0.0.1:70000',
    '127.0.0.256:1',
    '::1:1',
    '[127.0.0.1]:1',
  ];
  for (const text of bad) {
    assert.throws(
      () => parseMetricsPlace(text),
      (error: unknown) => error instanceof StartupError && error.code === 'metrics.listen_invalid',
      text,
    );
  }
  assert.deepEqual(['127.0.0.1', '127.9.9.9', '::1', '0.0.0.0', '::', '10.0.0.1'].map(isLoopback), [
    true,
    true,
    true,
    false,
    false,
    false,
  ]);
});

test('the page about watching a server lists every metric as the code has it [URS-080]', () => {
  const page = readFileSync(new URL('../../../../docs/how-to/watch-the-server.md', import.meta.url), 'utf8');
  const rows = [...page.matchAll(/^\| `(trialkeep_\w+)` +\| (\w+) +\| (.*?) +\| (.*?) +\|$/gm)].map((row) =>
    row.slice(1),
  );
  const expected = definitions.map(([name, { type, help, labels = {} }]) => [
    name,
    type,
    Object.keys(labels)
      .map((label) => `\`${label}\``)
      .join(', '),
    help,
  ]);
  const byName = (one: string[], other: string[]): number => ((one[0] ?? '') < (other[0] ?? '') ? -1 : 1);
  assert.deepEqual(rows.toSorted(byName), expected.toSorted(byName));
});

test('no label of a metric has more than a few hundred values [URS-080]', () => {
  for (const [name, { type, labels = {}, buckets = [] }] of definitions) {
    const series = Object.values(labels).reduce((product, values) => product * values.length, 1);
    assert.ok(series * (buckets.length + 3) < 5000, name);
    assert.equal(type === 'histogram', buckets.length > 0, name);
    assert.equal(type === 'counter', name.endsWith('_total'), name);
  }
});

test('a root of trust that never answers counts as away [URS-085]', async () => {
  let asked = 0;
  const check = (): Promise<void> => {
    asked += 1;
    return new Promise(() => undefined);
  };
  const watch = new RootWatch({ check }, 10);
  while (watch.samples().length === 0) await pause(5);
  const [up] = watch.samples();
  assert.deepEqual([up?.name, up?.value, asked], ['trialkeep_root_up', 0, 1]);
});
