import { spawn } from 'node:child_process';
import { once as happened } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { content, once } from './target.ts';
import type { Asked, Target, Work } from './target.ts';

/** How long it may take to start, ms. */
const startLimitMs = 60_000;

/** OpenBao's transit engine over its file storage; `audited` with a file audit device, which writes a line before and after. */
export async function startOpenBao(folder: string, audited: boolean): Promise<Target> {
  const home = join(folder, `openbao-${audited}`);
  mkdirSync(home);
  const port = await freePort();
  const audit = `audit "file" "file" {\n  options {\n    file_path = "${join(home, 'audit.log')}"\n  }\n}\n`;
  const configuration = `ui = false
disable_mlock = true
api_addr = "http://127.0.0.1:${port}"
listener "tcp" {
  address = "127.0.0.1:${port}"
  tls_disable = true
}
storage "file" {
  path = "${join(home, 'data')}"
}
${audited ? audit : ''}`;
  writeFileSync(join(home, 'bao.hcl'), configuration);
  const child = spawn('bao', ['server', `-config=${join(home, 'bao.hcl')}`], { stdio: 'ignore' });
  const url = `http://127.0.0.1:${port}`;
  const token = await initialise(url);
  const headers = { 'x-vault-token': token };
  const target = { urls: [url], headers };
  await once(target, { path: '/v1/sys/mounts/transit', body: '{"type":"transit"}' });
  await once(target, { path: '/v1/transit/keys/key', body: '{}' });
  await once(target, { path: '/v1/transit/keys/signing', body: '{"type":"ed25519"}' });
  return {
    name: `OpenBao transit, ${audited ? 'file audit' : 'no audit'}`,
    ...target,
    processIds: child.pid === undefined ? [] : [child.pid],
    asked: (work, batch) => askedOf(target, work, batch),
    stop: async () => {
      child.kill('SIGTERM');
      if (child.exitCode === null) await happened(child, 'exit');
    },
  };
}

/** Initialises with one share and unseals; gives the root token. */
async function initialise(url: string): Promise<string> {
  const put = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const response = await fetch(url + path, { method: 'PUT', body: JSON.stringify(body) });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return (await response.json()) as Record<string, unknown>;
  };
  const end = performance.now() + startLimitMs;
  while (!(await fetch(`${url}/v1/sys/health`).then(Boolean, () => false))) {
    if (performance.now() > end) throw new Error('OpenBao did not start.');
    await setTimeout(100);
  }
  const made = await put('/v1/sys/init', { secret_shares: 1, secret_threshold: 1 });
  await put('/v1/sys/unseal', { key: (made['keys'] as string[])[0] });
  while ((await fetch(`${url}/v1/sys/health`)).status !== 200) {
    if (performance.now() > end) throw new Error('OpenBao did not unseal.');
    await setTimeout(100);
  }
  return made['root_token'] as string;
}

async function askedOf(
  target: Pick<Target, 'urls' | 'headers'>,
  work: Work,
  batch: number | undefined,
): Promise<Asked | undefined> {
  const encrypting = { path: '/v1/transit/encrypt/key', item: { plaintext: content } };
  const encrypted = async (): Promise<string> => {
    const answer = await once(target, { path: encrypting.path, body: JSON.stringify(encrypting.item) });
    return (answer as { data: { ciphertext: string } }).data.ciphertext;
  };
  const asked = {
    encrypt: async () => encrypting,
    decrypt: async () => ({ path: '/v1/transit/decrypt/key', item: { ciphertext: await encrypted() } }),
    'data key': async () => ({ path: '/v1/transit/datakey/plaintext/key', item: {} }),
    sign: async () => ({ path: '/v1/transit/sign/signing', item: { input: content } }),
  };
  const { path, item } = await asked[work]();
  if (batch === undefined) return { path, body: JSON.stringify(item) };
  // Its data keys come one at a time.
  if (work === 'data key') return undefined;
  return { path, body: JSON.stringify({ batch_input: Array.from({ length: batch }, () => item) }) };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await happened(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
