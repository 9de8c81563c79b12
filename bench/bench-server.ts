import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { createClient } from '@trialkeep/sdk/client';

/** A server on a fresh data directory, with one key and a service credential for it. */
export interface BenchServer {
  readonly url: string;
  readonly key: string;
  readonly credential: string;
  readonly custodian: string;
  readonly processId: number;
  stop(): Promise<void>;
}

const entry = fileURLToPath(import.meta.resolve('@trialkeep/server/main'));

export async function startBenchServer(dataDirectory: string): Promise<BenchServer> {
  const made = spawnSync(process.execPath, [entry, 'init', '--data', dataDirectory], { encoding: 'utf8' });
  if (made.status !== 0) throw new Error(made.stderr);
  const administrator = (JSON.parse(made.stdout) as { administrator: { secret: string } }).administrator
    .secret;
  const child = spawn(process.execPath, [entry, 'serve', '--data', dataDirectory, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  const url = (JSON.parse(line) as { listening: string }).listening;
  const instance = createClient({ url, credential: administrator });
  const custodian = (await instance.call('tenants.create', { name: 'Benchmark' })).custodian.secret;
  const client = createClient({ url, credential: custodian });
  const system = await client.call('systems.create', { name: 'EDC', type: 'edc', vendor: 'Benchmark' });
  const key = await client.call('keys.create', { system: system.id });
  const issued = await client.call('credentials.issue', {
    name: 'benchmark',
    role: 'service',
    system: system.id,
    keys: [key.id],
  });
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'exit');
  };
  return { url, key: key.id, credential: issued.secret, custodian, processId: child.pid ?? 0, stop };
}
