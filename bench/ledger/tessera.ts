/**
 * The peer: the POSIX storage of Tessera, by the two programs of its Go module. Both write every bundle, tile and state with O_SYNC and
 * flush the folder, and have the entry in the tree before they answer; both sign checkpoints with one Ed25519 key, and seal nothing.
 *
 *   posix          conformance server, POST /add: batches of 256 entries or of one second, a checkpoint a second. It answers a caller
 *                  when its batch is in the tree, so with fewer than 256 callers the second is what is measured.
 *   posix-oneshot  adds files, all of them in one batch, and ends once a published checkpoint covers them; with it are measured
 *                  its start and the reading of a file for each entry.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, get, request } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { makeFolder } from './installation.ts';
import { endChild, undoAtEnd } from './processes.ts';

const tesseraModule = 'github.com/transparency-dev/tessera';
const programs = ['posix', 'posix-oneshot'] as const;

/** The folder with both programs: that of TRIALKEEP_BENCH_TESSERA, or one of PATH. */
export function findTessera(): string | undefined {
  const named = process.env['TRIALKEEP_BENCH_TESSERA'];
  const folders = named === undefined ? (process.env['PATH'] ?? '').split(delimiter) : [named];
  return folders.find((folder) => programs.every((name) => existsSync(join(folder, name))));
}

export const tesseraMissing =
  `Tessera is not here: GOBIN=FOLDER go install ${tesseraModule}/cmd/conformance/posix@v1.0.4 and ` +
  `${tesseraModule}/cmd/examples/posix-oneshot@v1.0.4, then TRIALKEEP_BENCH_TESSERA=FOLDER.`;

/** The version of the module that a program was built from. */
export function tesseraVersion(folder: string): string {
  const { stdout } = spawnSync('go', ['version', '-m', join(folder, 'posix')], { encoding: 'utf8' });
  const built = /^\s+mod\s+(\S+)\s+(\S+)/m.exec(stdout ?? '');
  return built === null ? tesseraModule : `${built[1] ?? ''} ${built[2] ?? ''}`;
}

/** A signer key in the encoding of Go's golang.org/x/mod/sumdb/note. */
function signerKey(): string {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519');
  const [raw, seed] = [publicKey.export({ format: 'jwk' }).x, privateKey.export({ format: 'jwk' }).d].map(
    (text) => Buffer.concat([Uint8Array.of(1), Buffer.from(text ?? '', 'base64url')]),
  );
  const name = 'bench.example/tessera';
  const id = createHash('sha256')
    .update(`${name}\n`)
    .update(raw ?? '')
    .digest('hex')
    .slice(0, 8);
  return `PRIVATE+KEY+${name}+${id}+${(seed ?? Buffer.alloc(0)).toString('base64')}`;
}

/** As long as one of our entries of key use. */
const filler = 'x'.repeat(560);
export const peerEntry = (): string => `{"entry":"${randomUUID()}","v":"${filler}"}`;

export interface PeerServer {
  readonly url: string;
  end(): Promise<void>;
}

export async function startTessera(folder: string, parent?: string): Promise<PeerServer> {
  const storage = join(makeFolder(parent), 'log');
  const address = `127.0.0.1:${await freePort()}`;
  const child = spawn(join(folder, 'posix'), ['--storage_dir', storage, '--listen', address], {
    env: { ...process.env, LOG_PRIVATE_KEY: signerKey() },
    stdio: 'ignore',
  });
  undoAtEnd(() => void child.kill('SIGKILL'));
  const isUp = (): Promise<boolean> =>
    new Promise((resolve) => {
      get(`http://${address}/checkpoint`, (response) => {
        response.resume();
        resolve(response.statusCode === 200);
      }).once('error', () => resolve(false));
    });
  while (!(await isUp())) {
    if (child.exitCode !== null) throw new Error('Tessera does not start.');
    await setTimeout(20);
  }
  return { url: `http://${address}/add`, end: () => endChild(child) };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Entries a second of callers that each wait for their answer over a kept connection, and the latency, ms. */
export async function postEntries(
  url: string,
  callers: number,
  seconds: number,
): Promise<{ rate: number; p50: number; p99: number }> {
  const agent = new Agent({ keepAlive: true, maxSockets: callers });
  const latencies: number[] = [];
  const post = (body: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const headers = { 'content-length': body.length };
      const sent = request(url, { method: 'POST', agent, headers }, (response) => {
        response.resume();
        response.once('end', () =>
          response.statusCode === 200 ? resolve() : reject(new Error(`Status ${response.statusCode}.`)),
        );
      });
      sent.once('error', reject);
      sent.end(body);
    });
  const began = performance.now();
  const caller = async (): Promise<void> => {
    while (performance.now() < began + seconds * 1000) {
      const started = performance.now();
      await post(peerEntry());
      latencies.push(performance.now() - started);
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const elapsed = performance.now() - began;
  agent.destroy();
  latencies.sort((one, other) => one - other);
  const rank = (share: number): number => latencies[Math.floor(latencies.length * share)] ?? Number.NaN;
  return { rate: (latencies.length / elapsed) * 1000, p50: rank(0.5), p99: rank(0.99) };
}

/** Seconds in which `posix-oneshot` brings that many entries under a published checkpoint. */
export async function oneshot(folder: string, entries: number, parent?: string): Promise<number> {
  const place = makeFolder(parent);
  mkdirSync(join(place, 'entries'));
  for (let i = 0; i < entries; i++) writeFileSync(join(place, 'entries', String(i)), peerEntry());
  const args = ['--storage_dir', join(place, 'log'), '--entries', join(place, 'entries', '*')];
  const began = performance.now();
  const child = spawn(join(folder, 'posix-oneshot'), args, {
    env: { ...process.env, LOG_PRIVATE_KEY: signerKey() },
    stdio: 'ignore',
  });
  const code = await new Promise((resolve) => child.once('exit', resolve));
  const seconds = (performance.now() - began) / 1000;
  rmSync(place, { recursive: true });
  if (code !== 0) throw new Error(`posix-oneshot ended with status ${String(code)}.`);
  return seconds;
}
