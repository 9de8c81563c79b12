import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import type { Asked, Target } from './target.ts';

export interface Load {
  readonly requestsPerSecond: number;
  /** Latency of a request, ms. */
  readonly p50: number;
  readonly p99: number;
  /** CPU time of the server's own processes for a request, ms: it says something on a busy machine too. */
  readonly cpuMs: number;
  /** Requests that a busy server turned away (503) in place of an answer, for each that it answered. */
  readonly turnedAway: number;
}

/** Of /proc/<id>/stat, in every second. */
const ticksPerSecond = 100;

const warmUpMs = 300;

/** Keeps so many connections busy for that long, one request at a time on each. */
export async function measureLoad(
  target: Target,
  asked: Asked,
  connections: number,
  durationMs: number,
): Promise<Load> {
  await run(target, asked, connections, warmUpMs);
  const started = performance.now();
  const ticks = ticksOf(target.processIds);
  const { latencies, turnedAway } = await run(target, asked, connections, durationMs);
  const seconds = (performance.now() - started) / 1000;
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
  const cpuMs = ((ticksOf(target.processIds) - ticks) / ticksPerSecond / latencies.length) * 1000;
  const answered = latencies.length;
  const share = turnedAway / answered;
  return { requestsPerSecond: answered / seconds, p50: at(0.5), p99: at(0.99), cpuMs, turnedAway: share };
}

/** User and system time of processes, their threads included. */
function ticksOf(processIds: readonly number[]): number {
  return processIds.reduce((sum, id) => {
    const fields = readFileSync(`/proc/${id}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
    return sum + Number(fields[11]) + Number(fields[12]);
  }, 0);
}

async function run(target: Target, asked: Asked, connections: number, durationMs: number) {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const latencies: number[] = [];
  let turnedAway = 0;
  const end = performance.now() + durationMs;
  const worker = async (_: unknown, number: number): Promise<void> => {
    const url = (target.urls[number % target.urls.length] ?? '') + asked.path;
    while (performance.now() < end) {
      const start = performance.now();
      if (await send(agent, url, target.headers, asked.body)) latencies.push(performance.now() - start);
      else turnedAway += 1;
    }
  };
  await Promise.all(Array.from({ length: connections }, worker));
  agent.destroy();
  return { latencies, turnedAway };
}

/** Whether the server answered; false where it was too busy to. */
function send(agent: Agent, url: string, more: Target['headers'], body: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
      ...more,
    };
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      response.resume();
      response.once('end', () => {
        if (response.statusCode === 200 || response.statusCode === 503) resolve(response.statusCode === 200);
        else reject(new Error(`${url}: ${response.statusCode}`));
      });
    });
    sent.once('error', reject);
    sent.end(body);
  });
}
