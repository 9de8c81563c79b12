import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { createServer } from 'node:tls';
import type { Server, TLSSocket } from 'node:tls';
import fc from 'fast-check';
import { makeSelfSigned, opensslMissing } from '../../../../tools/self-signed.ts';
import { machineClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { assertNoGap, entryText, GrowingLog, inFolder } from './fixture.test.ts';
import { recordOf } from './record.ts';
import { streamLedger } from './stream.ts';
import { syslogFrame } from './syslog.ts';
import { syslogSink, usualSettleMs } from './syslog-sink.ts';

/** RFC 5424, as a receiver reads it. */
const message =
  /^<(\d{1,3})>1 (\S+) (\S{1,255}) (\S{1,48}) (\S{1,128}) (\S{1,32}) \[ledger@32473 origin="((?:[^"\\\]]|\\["\\\]])*)" position="(\d+)"\] ([^]*)$/;

test('an entry is one message of RFC 5424, whatever the origin and the entry [URS-039]', () => {
  const record = recordOf('keys.example.org/t"]\\1', 41, Buffer.from(entryText(3)));
  const text = syslogFrame(record, 32_473).toString();
  const length = text.slice(0, text.indexOf(' '));
  assert.equal(Number(length), Buffer.byteLength(text) - length.length - 1);
  const [, priority, time, host, app, pid, id, origin, position, body] =
    message.exec(text.slice(length.length + 1)) ?? [];
  assert.deepEqual(
    [priority, time, host, app, pid, id, origin, position, body],
    [
      '109',
      '2023-11-14T22:13:20.003Z',
      'keys.example.org',
      'trialkeep',
      '-',
      'keys.decrypt',
      'keys.example.org/t\\"\\]\\\\1',
      '41',
      entryText(3),
    ],
  );
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 1, maxLength: 300 }),
      fc.string({ minLength: 1 }),
      (bytes, name) => {
        const frame = syslogFrame(recordOf(name, 7, bytes), 1);
        const space = frame.indexOf(' ');
        assert.equal(Number(frame.subarray(0, space)), frame.length - space - 1);
        assert.deepEqual(frame.subarray(frame.length - bytes.length), Buffer.from(bytes));
        const header = frame.subarray(space + 1, frame.indexOf('[ledger@')).toString('latin1');
        assert.match(header, /^<110>1 1970-01-01T00:00:00\.000Z [\x21-\x7e]+ trialkeep - - $/);
      },
    ),
    { numRuns: 200 },
  );
});

/** A key and certificate for a name of this machine. */
function makePair(folder: string, subject?: string): { key: Buffer; cert: Buffer } {
  const { key, certificate } = makeSelfSigned(folder, subject);
  return { key: readFileSync(key), cert: readFileSync(certificate) };
}

/** Reads frames; gives the positions, and what is left. */
function positionsIn(bytes: Buffer): { positions: number[]; rest: Buffer } {
  const positions: number[] = [];
  let rest = bytes;
  for (;;) {
    const space = rest.indexOf(' ');
    const length = space < 0 ? Number.NaN : Number(rest.subarray(0, space).toString());
    if (!(rest.length >= space + 1 + length)) return { positions, rest };
    const found = message.exec(rest.subarray(space + 1, space + 1 + length).toString());
    positions.push(Number(found?.[8] ?? assert.fail('no message')));
    rest = rest.subarray(space + 1 + length);
  }
}

async function portOf(t: TestContext, server: Server): Promise<number> {
  t.after(() => server.close());
  server.on('tlsClientError', () => undefined);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const skip = opensslMissing;
const records = [0, 1, 2].map((position) =>
  recordOf('a.example', position, Buffer.from(entryText(position))),
);

test(
  'what was written counts only behind the time in which TCP notices that nobody is there [URS-039]',
  { skip },
  async (t) => {
    await inFolder(async (folder) => {
      const pair = makePair(folder);
      const server = createServer(pair, (socket) => void socket.on('error', () => undefined).resume());
      const port = await portOf(t, server);
      let now = 5000;
      const clock: Clock = { wallMs: () => assert.fail(), steadyMs: () => now };
      const sink = syslogSink({ host: 'localhost', port, tls: { ca: pair.cert }, enterprise: 1, clock });
      const connection = await sink.connect(new AbortController().signal);
      await connection.send(records.slice(0, 1));
      // ip-sysctl of Linux, tcp_retries2: 924.6 s are the lower bound; two of the longest waits come on top.
      now += 924_600 + 2 * 120_000;
      await connection.send(records.slice(1));
      assert.equal(connection.taken(), 0);
      now = 5000 + usualSettleMs - 1;
      assert.equal(connection.taken(), 0);
      now += 1;
      assert.equal(connection.taken(), 1);
      await connection.close();
      assert.equal(connection.taken(), 1);
    });
  },
);

test(
  'that a collector ends the connection in good order does not say that it has read anything [URS-039]',
  { skip },
  async (t) => {
    await inFolder(async (folder) => {
      const pair = makePair(folder);
      let read = 0;
      const server = createServer(pair, (socket) => {
        socket.on('error', () => undefined);
        socket.on('data', (part) => (read += part.length));
        socket.on('end', () => socket.end());
      });
      const port = await portOf(t, server);
      let now = 0;
      const clock: Clock = { wallMs: () => assert.fail(), steadyMs: () => now };
      const sink = syslogSink({
        host: 'localhost',
        port,
        tls: { ca: pair.cert },
        enterprise: 1,
        settleMs: 1000,
        clock,
      });
      const connection = await sink.connect(new AbortController().signal);
      await connection.send(records.slice(0, 2));
      now = 999;
      await connection.send(records.slice(2));
      now = 1000;
      await connection.close();
      now = 5000;
      assert.ok(read > 0);
      assert.equal(connection.taken(), 2, 'what had settled at the end, though nobody had looked');
    });
  },
);

test('a certificate has to be for the host, be that a name or an address [URS-039]', { skip }, async (t) => {
  const warnings: string[] = [];
  const listen = (warning: Error & { code?: string }): void => void warnings.push(warning.code ?? '');
  process.on('warning', listen);
  t.after(() => process.off('warning', listen));
  for (const [subject, hosts] of [
    ['DNS:localhost', { localhost: true, '127.0.0.1': false }],
    ['IP:127.0.0.1', { localhost: false, '127.0.0.1': true }],
    ['DNS:other.example', { localhost: false, '127.0.0.1': false }],
  ] as const) {
    await inFolder(async (folder) => {
      const pair = makePair(folder, subject);
      const server = createServer(pair, (socket) => void socket.on('error', () => undefined).resume());
      const port = await portOf(t, server);
      for (const [host, isRight] of Object.entries(hosts)) {
        const sink = syslogSink({ host, port, tls: { ca: pair.cert }, enterprise: 1, clock: machineClock });
        const connecting = sink.connect(new AbortController().signal);
        if (isRight) await (await connecting).close();
        else await assert.rejects(connecting, /altnames/, `${subject} as ${host}`);
      }
    });
  }
  assert.ok(!warnings.includes('DEP0123'), 'an address is no server name');
});

test('over TLS, with connections that break, no entry is left out [URS-039]', { skip }, async (t) => {
  await inFolder(async (folder) => {
    const pair = makePair(folder);
    const positions: number[] = [];
    let connections = 0;
    const server = createServer(pair, (socket: TLSSocket) => {
      const breaksAfter = ++connections <= 3 ? 300 * connections : Number.POSITIVE_INFINITY;
      let rest: Buffer = Buffer.alloc(0);
      let count = 0;
      socket.on('error', () => undefined);
      socket.on('data', (part: Buffer) => {
        const read = positionsIn(Buffer.concat([rest, part]));
        ({ rest } = read);
        count += read.positions.length;
        if (count > breaksAfter) socket.destroy();
        else positions.push(...read.positions);
      });
    });
    const port = await portOf(t, server);
    const log = new GrowingLog(2000);
    const ending = new AbortController();
    const sink = syslogSink({
      host: 'localhost',
      port,
      tls: { ca: pair.cert },
      enterprise: 32_473,
      settleMs: 200,
      clock: machineClock,
    });
    const options = { client: log, stateFile: join(folder, 'state'), pollMs: 5, signal: ending.signal };
    const acknowledged = await streamLedger({
      ...options,
      sink,
      onProgress: (count) => {
        if (count === 2000) ending.abort();
      },
    });
    assert.equal(acknowledged, 2000);
    assertNoGap(positions);
    assert.equal(new Set(positions).size, 2000);
    assert.equal(connections, 4);

    // A collector whose certificate nobody vouches for gets nothing.
    const troubles: string[] = [];
    const untrusting = new AbortController();
    const strange = syslogSink({ host: 'localhost', port, enterprise: 1, settleMs: 0, clock: machineClock });
    await streamLedger({
      ...options,
      sink: strange,
      stateFile: join(folder, 'other'),
      signal: untrusting.signal,
      onTrouble: (sentence) => {
        troubles.push(sentence);
        untrusting.abort();
      },
    });
    assert.match(troubles.join(), /self-signed|unable to verify/);
    assert.equal(connections, 4);
  });
});
