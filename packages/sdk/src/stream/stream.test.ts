import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { sdkError, TrialkeepError } from '../errors.ts';
import { assertNoGap, entryText, GrowingLog, inFolder, rotationText, until } from './fixture.test.ts';
import { otlpSink } from './otlp-sink.ts';
import { streamLedger } from './stream.ts';
import type { StreamOptions } from './stream.ts';

interface OtlpLog {
  readonly body: { readonly stringValue: string };
  readonly severityNumber: number;
  readonly eventName: string;
  readonly timeUnixNano: string;
  readonly attributes: readonly { readonly key: string; readonly value: { readonly intValue?: number } }[];
}

/** A collector that answers what it is told to; no real one can be installed here. */
class Collector {
  readonly server: Server;
  readonly records: OtlpLog[] = [];
  /** The answers to the next requests; 200 behind them. `reset` breaks the connection after taking the records, `cut` before. */
  readonly answers: (number | 'reset' | 'cut' | { readonly rejected: unknown })[] = [];
  headers: Record<string, unknown> = {};

  constructor() {
    this.server = createServer((request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const answer = this.answers.shift() ?? 200;
        this.headers = request.headers;
        assert.equal(request.url, '/v1/logs');
        if (answer === 'cut') return request.socket.destroy();
        if (answer === 200 || answer === 'reset') this.#take(Buffer.concat(parts).toString());
        if (answer === 'reset') return request.socket.destroy();
        const rejected = typeof answer === 'object' ? { rejectedLogRecords: answer.rejected } : undefined;
        response.writeHead(typeof answer === 'number' ? answer : 200, { 'content-type': 'application/json' });
        return response.end(JSON.stringify({ partialSuccess: rejected }));
      });
    });
  }

  async listen(): Promise<URL> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return new URL(`http://127.0.0.1:${(this.server.address() as AddressInfo).port}`);
  }

  get positions(): number[] {
    return this.records.map(({ attributes }) => {
      const found = attributes.find(({ key }) => key === 'trialkeep.ledger.position');
      return found?.value.intValue ?? -1;
    });
  }

  #take(text: string): void {
    const { resourceLogs } = JSON.parse(text) as {
      resourceLogs: { scopeLogs: { logRecords: OtlpLog[] }[] }[];
    };
    this.records.push(
      ...resourceLogs.flatMap(({ scopeLogs }) => scopeLogs.flatMap((each) => each.logRecords)),
    );
  }
}

interface World {
  readonly log: GrowingLog;
  readonly collector: Collector;
  readonly stateFile: string;
  readonly troubles: string[];
  /** Streams until the condition holds; gives how many entries are acknowledged. */
  stream(done: (acknowledged: number) => boolean, more?: Partial<StreamOptions>): Promise<number>;
}

async function inWorld(size: number, work: (world: World) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const collector = new Collector();
    const endpoint = await collector.listen();
    const log = new GrowingLog(size);
    const stateFile = join(folder, 'state.json');
    const troubles: string[] = [];
    const stream: World['stream'] = async (done, more) => {
      const ending = new AbortController();
      return streamLedger({
        client: log,
        sink: otlpSink({ endpoint, headers: { authorization: 'Bearer secret' } }),
        stateFile,
        pollMs: 5,
        retryMs: 5,
        signal: ending.signal,
        onProgress: (acknowledged) => {
          if (done(acknowledged)) ending.abort();
        },
        onTrouble: (sentence) => void troubles.push(sentence),
        ...more,
      });
    };
    try {
      await work({ log, collector, stateFile, troubles, stream });
    } finally {
      collector.server.closeAllConnections();
      collector.server.close();
    }
  });
}

test('each entry reaches the collector once and in order, also those that come later [URS-039]', async () => {
  await inWorld(600, async ({ log, collector, stream }) => {
    let grown = false;
    const acknowledged = await stream((count) => {
      if (count === 600 && !grown) {
        grown = true;
        log.grow(77);
      }
      return count === 677;
    });
    assert.equal(acknowledged, 677);
    assert.deepEqual(
      collector.positions,
      Array.from({ length: 677 }, (_, i) => i),
    );
    const [, , , refused] = collector.records;
    assert.equal(refused?.body.stringValue, entryText(3));
    assert.deepEqual(
      [refused?.severityNumber, refused?.eventName, refused?.timeUnixNano],
      [13, 'keys.decrypt', '1700000000003000000'],
    );
    assert.equal(collector.headers['authorization'], 'Bearer secret');
  });
});

test('a collector that is away, or breaks off, gets what it missed, and no gap [URS-039]', async () => {
  await inWorld(1500, async ({ collector, stream, troubles }) => {
    collector.answers.push(200, 503, 'cut', 200, 'reset', 429);
    assert.equal(await stream((count) => count === 1500), 1500);
    assertNoGap(collector.positions);
    assert.deepEqual(new Set(collector.positions).size, 1500);
    assert.ok(collector.positions.length > 1500, 'what was taken and not acknowledged came again');
    assert.equal(troubles.length, 4);
  });
});

test('a stream that is started again goes on where it was acknowledged [URS-039]', async () => {
  await inWorld(700, async ({ log, collector, stream, stateFile }) => {
    assert.equal(await stream((count) => count >= 256), 256);
    log.grow(100);
    assert.equal(await stream((count) => count === 800), 800);
    assertNoGap(collector.positions);
    assert.equal(collector.positions.length, 800, 'nothing twice, since all was acknowledged');
    const state = JSON.parse(await readFile(stateFile, 'utf8')) as { position: number };
    assert.equal(state.position, 800);
  });
});

test('a new stream can begin behind what is there', async () => {
  await inWorld(300, async ({ log, collector, stream }) => {
    let grown = false;
    await stream(
      (count) => {
        if (!grown) log.grow(5);
        grown = true;
        return count === 305;
      },
      { from: 'end' },
    );
    assert.deepEqual(collector.positions, [300, 301, 302, 303, 304]);
  });
});

test('a rewritten or shortened history ends the stream, and nothing of it is handed on [URS-033]', async () => {
  await inWorld(300, async ({ log, collector, stream }) => {
    await stream((count) => count === 300);
    log.rewrite();
    await assert.rejects(
      stream(() => false),
      { code: 'stream.forked' },
    );
    log.grow(10);
    await assert.rejects(
      stream(() => false),
      { code: 'stream.forked' },
    );
    assert.equal(collector.positions.length, 300);
  });
});

test('a server that is away is waited for, and one that refuses is not [URS-039]', async () => {
  await inWorld(20, async ({ log, stream, troubles }) => {
    await stream((count) => count === 20);
    log.failure = sdkError('client.unreachable');
    setTimeout(() => {
      log.failure = undefined;
      log.grow(1);
    }, 20);
    await stream((count) => count === 21);
    assert.match(troubles.join(), /cannot be reached/);
    log.failure = sdkError('client.untrusted');
    await assert.rejects(
      stream(() => false),
      { code: 'client.untrusted' },
    );
  });
});

test('what the collector refuses ends the stream before it counts as taken', async () => {
  await inWorld(600, async ({ collector, stream, stateFile }) => {
    const rejected = [2, '2', 'none', '', -1, 0.5, '1e1', true, [], {}].map((each) => ({ rejected: each }));
    for (const answer of [400, 301, ...rejected]) {
      collector.answers.push(answer);
      await assert.rejects(
        stream(() => false),
        { code: 'stream.refused' },
      );
    }
    assert.deepEqual(collector.positions, []);
    assert.equal((JSON.parse(await readFile(stateFile, 'utf8')) as { position: number }).position, 0);
  });
});

test('a state file that is damaged, foreign or in use is refused with a fix', async () => {
  await inWorld(10, async ({ stream, stateFile }) => {
    await stream((count) => count === 10);
    const good = await readFile(stateFile, 'utf8');
    for (const bad of [
      '',
      '{}\n',
      good.slice(0, -1),
      good.replace('"v":1', '"v":2'),
      good.replace('{', '{ '),
    ]) {
      await writeFile(stateFile, bad);
      await assert.rejects(
        stream(() => false),
        (error: unknown) => {
          assert.ok(error instanceof TrialkeepError && error.fix !== '');
          return error.code === 'stream.state_damaged';
        },
      );
    }
    await writeFile(
      stateFile,
      good.replace('example.org/ledger/stream","pos', 'example.org/ledger/other","pos'),
    );
    await assert.rejects(
      stream(() => false),
      { code: 'stream.state_foreign' },
    );
    await writeFile(stateFile, good);
    let second: Promise<unknown> | undefined;
    await stream(() => {
      second = assert.rejects(
        stream(() => false),
        { code: 'stream.state_in_use' },
      );
      return true;
    });
    await second;
  });
});

test('the stream goes on under the keys that the log names, also when it is started again [URS-033] [URS-039]', async () => {
  await inWorld(10, async ({ log, collector, stream, stateFile }) => {
    const given = [log.verifierKey];
    const read = async () => JSON.parse(await readFile(stateFile, 'utf8')) as { learnedKeys: string[] };
    const learned: string[] = [];
    let expected = 10;
    const acknowledged = await stream(
      (count) => {
        if (count !== expected || count === 16) return count === 16;
        // Every other time the keys overlap for one entry.
        if (count % 2 === 0) learned.push(log.rotate());
        else {
          log.retire();
          log.grow(1);
        }
        expected += 1;
        return false;
      },
      { verifierKeys: given },
    );
    assert.equal(acknowledged, 16);
    assert.deepEqual((await read()).learnedKeys, learned);
    for (const keys of [{}, { verifierKeys: given }]) {
      log.grow(1);
      await stream((count) => count === log.size, keys);
    }
    assert.deepEqual(
      collector.positions,
      Array.from({ length: 18 }, (_, i) => i),
    );
    // Whoever names other keys wants those, and not what others had led to.
    await assert.rejects(
      stream(() => false, { verifierKeys: [new GrowingLog(0).verifierKey] }),
      { code: 'stream.unverified' },
    );
  });
});

test('what does not say that a key of this log begins makes none trusted [URS-033]', async () => {
  const entries: [(key: string) => string, string?][] = [
    [(key) => rotationText(key).replace('success', 'refused')],
    [(key) => rotationText(key).replace('rotate-key', 'retire-key')],
    [(key) => rotationText(key).replace('"logKeys"', '"logKey"')],
    [(key) => rotationText(key).replace('{"logKeys"', '{ "logKeys"')],
    [(key) => rotationText(key).replace(/"begins":\[.*?\]/, '"begins":7')],
    [() => rotationText('no key')],
    [rotationText, 'example.org/ledger/other'],
  ];
  for (const [entry, name] of entries) {
    await inWorld(5, async ({ log, stream, stateFile }) => {
      const verifierKeys = [log.verifierKey];
      log.rotate(entry, name);
      await stream((count) => count === 6, { verifierKeys });
      const { learnedKeys } = JSON.parse(await readFile(stateFile, 'utf8')) as { learnedKeys: string[] };
      assert.deepEqual(learnedKeys, [], entry(log.verifierKey));
    });
  }
});

test('at most 64 keys are kept of those that the log names, the newest [URS-033]', async () => {
  await inWorld(1, async ({ log, stream, stateFile }) => {
    // The signers of one note are bounded: two groups of rotations.
    const verifierKeys = [log.verifierKey];
    const learned: string[] = [];
    for (const size of [36, 71]) {
      while (log.size < size) learned.push(log.rotate());
      await stream((count) => count === size, { verifierKeys });
      log.retire();
    }
    const { learnedKeys } = JSON.parse(await readFile(stateFile, 'utf8')) as { learnedKeys: string[] };
    assert.deepEqual(learnedKeys, learned.slice(-64));
  });
});

test('a log that another key signs is not handed on [URS-033]', async () => {
  await inWorld(10, async ({ stream, collector }) => {
    const verifierKeys = [new GrowingLog(0).verifierKey];
    await assert.rejects(
      stream(() => false, { verifierKeys }),
      /key/,
    );
    await until(() => true);
    assert.deepEqual(collector.positions, []);
  });
});
