import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import { OperationError, StartupError } from '../errors.ts';
import type { Admission } from '../http.ts';
import { readTraceSettings } from './settings.ts';
import { currentScope, step, within } from './steps.ts';
import type { Scope } from './steps.ts';
import { parseTraceparent } from './traceparent.ts';
import { Tracing } from './tracing.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const spanId = '00f067aa0ba902b7';

test('a traceparent is read as W3C Trace Context has it, and nothing else is one [URS-080]', () => {
  const parent = { traceId, spanId };
  assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-01`), { ...parent, isSampled: true });
  assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-00`), { ...parent, isSampled: false });
  // Flags that are not known yet, and a later version with more behind it (sections 3.2.2.5 and 4).
  assert.deepEqual(parseTraceparent(`00-${traceId}-${spanId}-ff`), { ...parent, isSampled: true });
  assert.deepEqual(parseTraceparent(`cc-${traceId}-${spanId}-01-what-comes`), { ...parent, isSampled: true });
  const bad = [
    undefined,
    ['00'],
    '',
    `00-${traceId}-${spanId}-01-`,
    `00-${traceId}-${spanId}-1`,
    `ff-${traceId}-${spanId}-01`,
    `00-${traceId.toUpperCase()}-${spanId}-01`,
    `00-${'0'.repeat(32)}-${spanId}-01`,
    `00-${traceId}-${'0'.repeat(16)}-01`,
    `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`,
    `cc-${traceId}-${spanId}-01.${'x'.repeat(10)}`,
    `cc-${traceId}-${spanId}-01-${'x'.repeat(200)}`,
    ` 00-${traceId}-${spanId}-01`,
  ];
  for (const header of bad) assert.equal(parseTraceparent(header), undefined, String(header));
});

test('noise is no traceparent, or one of the right form [URS-080]', () => {
  const part = fc.string({ unit: fc.constantFrom(...Array.from('0123456789abcdefF-, ')), maxLength: 40 });
  fc.assert(
    fc.property(fc.array(part, { maxLength: 6 }), (parts) => {
      const parsed = parseTraceparent(parts.join('-'));
      if (parsed === undefined) return;
      assert.match(parsed.traceId, /^[0-9a-f]{32}$/);
      assert.match(parsed.spanId, /^[0-9a-f]{16}$/);
    }),
    { numRuns: 300 },
  );
});

test('settings for traces name a collector that nobody reads on the way, and a share [URS-080]', () => {
  const read = (url?: string, ratio?: string) =>
    readTraceSettings({ TRIALKEEP_TRACES_URL: url, TRIALKEEP_TRACES_RATIO: ratio });
  assert.equal(read(), undefined);
  assert.equal(read('', '0.5'), undefined);
  assert.deepEqual(read('http://127.0.0.1:4318'), { url: 'http://127.0.0.1:4318/v1/traces', ratio: 0.1 });
  assert.deepEqual(read('https://otel.example.org/in/', '1'), {
    url: 'https://otel.example.org/in/v1/traces',
    ratio: 1,
  });
  assert.equal(read('http://[::1]:4318', '.25')?.ratio, 0.25);
  const bad: [string, string?][] = [
    ['http://otel.example.org'],
    ['ftp://127.0.0.1'],
    ['127.0.0.1:4318'],
    ['https://user@otel.example.org'],
    ['https://otel.example.org/?token=x'],
    ['https://otel.example.org/#x'],
    [`https://otel.example.org/${'x'.repeat(500)}`],
    ...['0', '0.0', '-1', '1.5', '2', '1e-3', 'NaN', '', ' 1'].map((ratio): [string, string] => [
      'http://127.0.0.1:4318',
      ratio,
    ]),
  ];
  for (const [url, ratio] of bad) {
    assert.throws(
      () => read(url, ratio),
      (error: unknown) => error instanceof StartupError && error.code === 'traces.settings_invalid',
      `${url} ${ratio}`,
    );
  }
});

test('work for several requests is of the trace that it is given to, and of none by default', async () => {
  const seen: string[] = [];
  const scopeOf = (name: string): Scope => ({
    step: (part, work) => {
      seen.push(`${name}: ${part}`);
      return work();
    },
  });
  assert.equal(await step('act', async () => 1), 1);
  const [one, two] = [scopeOf('one'), scopeOf('two')];
  await within(one, async () => {
    await step('act', async () => assert.equal(currentScope(), one));
    await within(two, () => step('flush', async () => 2));
    await within(undefined, () => step('database.write', async () => 3));
    await pause(1);
    await step('outward', async () => 4);
  });
  assert.equal(currentScope(), undefined);
  assert.deepEqual(seen, ['one: act', 'two: flush', 'one: outward']);
});

/** A collector that takes everything, or that never says so. */
async function makeCollector(t: TestContext, takes = true): Promise<string> {
  const server = createServer((request, response) => {
    request.resume().on('end', () => takes && response.end('{}'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`;
}

test('a traced request answers and fails as an untraced one, however much it does [URS-080]', async (t) => {
  const told: string[] = [];
  const note = (_details: object, message: string): void => void told.push(message);
  const url = await makeCollector(t);
  const tracing = new Tracing({ url, ratio: 1 }, { info: note, warn: note });
  let later: Promise<unknown> | undefined;
  const gate: Admission = {
    admit: async ({ input }) => {
      if (input === 'fail') throw new OperationError('access.denied');
      if (input === 'throw') throw new TypeError('not an error of ours');
      for (let n = 0; n < 1000; n++) await step('act', async () => n);
      // What outlives the request is none of its steps.
      later = pause(5).then(() => step('outward', async () => 'later'));
      return input;
    },
  };
  const watched = tracing.watch(gate);
  const request = { operation: 'keys.list', authorization: undefined, source: '', requestId: 'r' } as const;
  assert.equal(await watched.admit({ ...request, input: 'answer' }), 'answer');
  assert.equal(await later, 'later');
  await assert.rejects(
    watched.admit({ ...request, input: 'fail' }),
    (error: unknown) => error instanceof OperationError && error.code === 'access.denied',
  );
  await assert.rejects(watched.admit({ ...request, input: 'throw' }), TypeError);
  assert.equal(await watched.admit({ ...request, operation: 'instance.health', input: 'x' }), 'x');
  const counts = () => tracing.samples().map(({ value }) => value);
  while (counts().every((count) => count === 0)) await pause(20);
  await tracing.close();
  // The first with as many steps as one request may have, and the two that failed.
  assert.deepEqual(counts(), [1 + 64 + 2, 0, 0]);
  assert.deepEqual(told, ['The collector takes traces.']);
});

test('spans for which there is no room are dropped, and counted; the end does not wait for a collector that says nothing [URS-080]', async (t) => {
  const url = await makeCollector(t, false);
  const tracing = new Tracing({ url, ratio: 1 }, { info: () => undefined, warn: () => undefined });
  const gate: Admission = {
    admit: async ({ input }) => {
      for (let n = 0; n < 60; n++) await step('act', async () => n);
      return input;
    },
  };
  const watched = tracing.watch(gate);
  const request = { operation: 'keys.list', authorization: undefined, source: '', requestId: 'r' } as const;
  const dropped = (): number =>
    tracing.samples().find(({ labels }) => labels?.['outcome'] === 'dropped')?.value ?? 0;
  // Far more a second than are given up in one.
  while (dropped() === 0) assert.equal(await watched.admit({ ...request, input: 'answer' }), 'answer');
  await tracing.close();
  assert.equal(tracing.samples().find(({ labels }) => labels?.['outcome'] === 'exported')?.value, 0);
});
