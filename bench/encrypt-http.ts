/**
 * The encrypt operation over HTTP, audited and flushed before each answer: requests per second and latency from one load
 * generator on the same machine. Kept-alive connections, one request at a time on each.
 *
 *   node bench/encrypt-http.ts [--seconds 10] [--connections 1,16,64] [--folder DIR]
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startBenchServer } from './bench-server.ts';
import { machine } from './measure.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    connections: { type: 'string', default: '1,16,64' },
    folder: { type: 'string', default: tmpdir() },
  },
});
const body = JSON.stringify({
  plaintext: Buffer.alloc(256, 7).toString('base64'),
  context: { class: 'form' },
});
const warmUpMs = 1000;

const folder = mkdtempSync(join(values.folder, 'trialkeep-bench-'));
const server = await startBenchServer(join(folder, 'data'));
try {
  console.log(`256-byte plaintext, ${values.seconds} s each, ${machine()}`);
  console.log('connections  requests/s  p50 ms  p99 ms');
  for (const connections of values.connections.split(',').map(Number)) {
    await load(connections, warmUpMs);
    const latencies = await load(connections, Number(values.seconds) * 1000);
    latencies.sort((a, b) => a - b);
    const at = (share: number): string => (latencies[Math.floor(latencies.length * share)] ?? 0).toFixed(1);
    const rate = (latencies.length / Number(values.seconds)).toFixed(0);
    console.log(`${String(connections).padEnd(13)}${rate.padEnd(12)}${at(0.5).padEnd(8)}${at(0.99)}`);
  }
} finally {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
}

/** Keeps every connection busy for that long; gives the latency of each request, ms. */
async function load(connections: number, durationMs: number): Promise<number[]> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const latencies: number[] = [];
  const end = performance.now() + durationMs;
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      const start = performance.now();
      await encrypt(agent);
      latencies.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  agent.destroy();
  return latencies;
}

function encrypt(agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const url = `${server.url}/v1/keys/${server.key}/encrypt`;
    const headers = {
      authorization: `Bearer ${server.credential}`,
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      response.resume();
      response.once('end', () =>
        response.statusCode === 200 ? resolve() : reject(new Error(`Status ${response.statusCode}.`)),
      );
    });
    sent.once('error', reject);
    sent.end(body);
  });
}
