import assert from 'node:assert/strict';
import { request, type ClientRequest } from 'node:http';
import { connect } from 'node:net';
import { PassThrough } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { gzipSync } from 'node:zlib';
import { formatAddEntries } from '@trialkeep/ledger';
import { TestLog } from './log.fixture.ts';
import { readUpload } from './mirror/body.ts';
import { networkOf } from './network.ts';
import { get, post, running } from './process.fixture.ts';
import { RateLimit } from './rate.ts';
import { Slots } from './slots.ts';
import { Turns } from './turns.ts';
import { maxRequestBytes } from './witness.ts';

test('an address gets its rate and a burst, others theirs, whatever the clock does', () => {
  let nowMs = 1_000_000;
  const rate = new RateLimit(2, { now: () => nowMs });
  const admitted = (address: string, times: number): number =>
    Array.from({ length: times }, () => rate.admit(address)).filter(Boolean).length;
  assert.equal(admitted('a', 10), 4);
  assert.equal(admitted('b', 1), 1);
  nowMs += 1000;
  assert.equal(admitted('a', 10), 2);
  nowMs -= 3_600_000;
  assert.equal(admitted('a', 10), 0);
  nowMs += 2000;
  assert.equal(admitted('a', 10), 4);
});

test('turns of one name come one after the other, also behind one that fails', async () => {
  const turns = new Turns();
  const order: number[] = [];
  const failing = turns.take('a', async () => {
    order.push(1);
    await Promise.resolve();
    order.push(2);
    throw new Error('no');
  });
  const next = turns.take('a', async () => void order.push(3));
  await assert.rejects(failing);
  await next;
  assert.deepEqual(order, [1, 2, 3]);
});

test('too many and too long requests are refused in words [URS-034]', async (t) => {
  const { url } = await running(t, 'witness', [], { requestsPerSecond: 3 });
  const statuses = await Promise.all(Array.from({ length: 20 }, async () => get(url, 'x/checkpoint')));
  const limited = statuses.filter(({ status }) => status === 429);
  assert.ok(limited.length > 0 && statuses.some(({ status }) => status === 404));
  assert.equal(limited[0]?.headers.get('retry-after'), '1');

  const other = await running(t, 'witness', []);
  const long = await post(other.url, 'add-checkpoint', Buffer.alloc(maxRequestBytes + 1, 'x'));
  assert.equal(long.status, 413);
  assert.equal((await get(other.url, 'x/checkpoint')).status, 404, 'and it goes on');
});

test('an endless body is cut off, and what is not HTTP is answered without a word of it in the log [URS-034]', async (t) => {
  const { url, logged } = await running(t, 'witness', []);
  const { hostname, port } = new URL(url);
  const status = await new Promise<number | undefined>((resolve, reject) => {
    const endless = request({ hostname, port, method: 'POST', path: '/add-checkpoint' }, (response) => {
      resolve(response.statusCode);
      response.resume();
      endless.destroy();
    });
    endless.on('error', reject);
    endless.write(Buffer.alloc(maxRequestBytes + 1));
  });
  assert.equal(status, 413);
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(Number(port), hostname, () => socket.write('canary-of-a-stranger\r\n\r\n'));
    socket.on('data', (data) => resolve(data.toString()));
  });
  assert.match(answer, /^HTTP\/1\.1 400 /);
  assert.ok(logged.every((line) => !line.includes('canary')));
});

test('an upload that stands still ends after a while, with what came in', async () => {
  const read = async (stream: PassThrough, encoding?: string): Promise<string> => {
    const limits = { idleMs: 50, wholeUploadMs: 5000, minBytesPerSecond: 1 };
    const { chunks, release } = readUpload(stream, encoding, limits);
    const parts: Uint8Array[] = [];
    for await (const chunk of chunks) parts.push(chunk);
    release();
    return Buffer.concat(parts).toString();
  };
  const still = new PassThrough();
  still.write('abc');
  assert.equal(await read(still), 'abc');
  const zipped = new PassThrough();
  zipped.end(gzipSync('abcdef'));
  assert.equal(await read(zipped, 'gzip'), 'abcdef');
  const notZipped = new PassThrough();
  notZipped.end('abcdef');
  assert.equal(await read(notZipped, 'gzip'), '');
});

test('an upload that only drips ends, and a quick one may pause', async () => {
  let nowMs = 0;
  const limits = { idleMs: 1000, wholeUploadMs: 60_000, minBytesPerSecond: 100 };
  const readEach = async (bytes: number, waitMs: number): Promise<number> => {
    const stream = new PassThrough({ highWaterMark: 1 });
    const { chunks, release } = readUpload(stream, undefined, limits, { now: () => nowMs });
    let count = 0;
    stream.write(Buffer.alloc(bytes));
    for await (const chunk of chunks) {
      assert.equal(chunk.length, bytes);
      count += 1;
      if (count === 50) break;
      // The clock goes on while the next bytes are waited for.
      setImmediate(() => {
        nowMs += waitMs;
        stream.write(Buffer.alloc(bytes));
      });
    }
    release();
    return count;
  };
  // A byte earns 10 ms: one every 300 ms has used up its second with the fourth wait, and 40 every 300 ms go on.
  assert.equal(await readEach(1, 300), 4);
  assert.equal(await readEach(40, 300), 50);
});

test('slots are bounded in all and for each holder, and come back', () => {
  const slots = new Slots({ all: 3, each: 2 });
  const [first, second] = [slots.take('a'), slots.take('a')];
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(slots.take('a'), undefined);
  const third = slots.take('b');
  assert.ok(third !== undefined);
  assert.equal(slots.take('c'), undefined);
  first();
  assert.ok(slots.take('c') !== undefined);
  assert.equal(slots.take('b'), undefined);
  second();
  assert.ok(slots.take('a') !== undefined);
});

test('addresses of one subscriber are one network, however they are written', () => {
  for (const [address, network] of [
    ['192.0.2.7', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:0DB8:0001:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
  ] as const) {
    assert.equal(networkOf(address), network);
  }
});

/** A mirror that sees who a request comes from, and begins uploads that hang behind their first bytes. */
async function mirrorWithUploads(t: TestContext) {
  const log = new TestLog().appendMany(300);
  const { url } = await running(t, 'mirror', [log], { behindTlsProxy: true });
  await post(url, 'add-checkpoint', await log.addCheckpoint(0));
  const body = await log.addEntries(0);
  const { hostname, port } = new URL(url);
  const upload = async (address: string): Promise<number> =>
    (await post(url, 'add-entries', body, { 'x-forwarded-for': address })).status;
  /** What an upload from there is answered with once it is, or whatever it was at last. */
  const until = async (status: number, address: string): Promise<number> => {
    let last = 0;
    for (let i = 0; i < 200 && last !== status; i++) last = await upload(address);
    return last;
  };
  const hang = (address: string, bytes: Uint8Array): ClientRequest => {
    const headers = { 'x-forwarded-for': address };
    const hanging = request({ hostname, port, method: 'POST', path: '/add-entries', headers });
    hanging.on('error', () => undefined);
    hanging.write(bytes);
    return hanging;
  };
  return { log, body, upload, until, hang };
}

test('one address cannot keep the others from uploading [URS-034]', async (t) => {
  const { body, upload, until, hang } = await mirrorWithUploads(t);
  const hanging = Array.from({ length: 20 }, () => hang('192.0.2.1', body.subarray(0, 100)));
  assert.equal(await until(503, '192.0.2.1'), 503);
  assert.equal(await upload('192.0.2.2'), 200);
  for (const each of hanging) each.destroy();
  assert.equal(await until(200, '192.0.2.1'), 200);
});

test('uploads beyond the bound are asked to come back [URS-034]', async (t) => {
  const { body, until, hang } = await mirrorWithUploads(t);
  const hanging = [1, 1, 2, 2, 3, 3, 4, 4].map((i) => hang(`192.0.2.${i}`, body.subarray(0, 100)));
  assert.equal(await until(503, '192.0.2.9'), 503);
  for (const each of hanging) each.destroy();
  assert.equal(await until(200, '192.0.2.9'), 200);
});

test('a header that is not whole, or names nothing known, takes no slot [URS-034]', async (t) => {
  const { log, upload, hang } = await mirrorWithUploads(t);
  const header = { origin: log.origin, uploadStart: 0, uploadEnd: 300, ticket: new Uint8Array(0) };
  const headers = [
    formatAddEntries(header).subarray(0, 10),
    formatAddEntries({ ...header, uploadEnd: 299 }),
    formatAddEntries({ ...header, origin: 'example.org/log/unknown' }),
    new Uint8Array(1),
  ];
  const hanging = headers.flatMap((bytes) =>
    Array.from({ length: 8 }, (_, i) => hang(`192.0.2.${i}`, bytes)),
  );
  // Whether they have arrived or not, none of them may matter.
  for (let i = 0; i < 10; i++) assert.equal(await upload('192.0.2.1'), 200);
  for (const each of hanging) each.destroy();
});
