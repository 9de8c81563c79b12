import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createClient } from '@trialkeep/sdk/client';

/** A server on a fresh data directory, with one key and a service credential for it. */
export interface BenchServer extends BenchNode {
  readonly key: string;
  /** An Ed25519 key. */
  readonly signingKey: string;
  readonly credential: string;
  readonly custodian: string;
}

const entry = fileURLToPath(import.meta.resolve('@trialkeep/server/main'));

/** A server process on a data directory that exists. */
export interface BenchNode {
  readonly url: string;
  readonly processId: number;
  stop(): Promise<void>;
}

/** @param env where its databases are, where they are not files */
export async function startBenchNode(
  dataDirectory: string,
  env: Readonly<Record<string, string>> = {},
): Promise<BenchNode> {
  const child = spawn(process.execPath, [entry, 'serve', '--data', dataDirectory, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: { ...process.env, ...env },
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const url = (JSON.parse(line) as { listening: string }).listening;
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
  };
  return { url, processId: child.pid ?? 0, stop };
}

export async function startBenchServer(
  dataDirectory: string,
  env: Readonly<Record<string, string>> = {},
): Promise<BenchServer> {
  const made = spawnSync(process.execPath, [entry, 'init', '--data', dataDirectory], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  if (made.status !== 0) throw new Error(made.stderr);
  const administrator = (JSON.parse(made.stdout) as { administrator: { secret: string } }).administrator
    .secret;
  const node = await startBenchNode(dataDirectory, env);
  const { url } = node;
  const instance = createClient({ url, credential: administrator });
  const custodian = (await instance.call('tenants.create', { name: 'Benchmark' })).custodian.secret;
  const client = createClient({ url, credential: custodian });
  const system = await client.call('systems.create', { name: 'EDC', type: 'edc', vendor: 'Benchmark' });
  const key = await client.call('keys.create', { system: system.id });
  const signing = await client.call('keys.create', { system: system.id, algorithm: 'ED25519' });
  const issued = await client.call('credentials.issue', {
    name: 'benchmark',
    role: 'service',
    system: system.id,
    keys: [key.id, signing.id],
  });
  return { ...node, key: key.id, signingKey: signing.id, credential: issued.secret, custodian };
}
