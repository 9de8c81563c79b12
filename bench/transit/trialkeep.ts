import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { postgresCluster } from '../../tools/postgres-cluster.ts';
import { startBenchNode, startBenchServer } from '../bench-server.ts';
import type { BenchNode, BenchServer } from '../bench-server.ts';
import { content, once } from './target.ts';
import type { Asked, Target, Work } from './target.ts';

/** Trialkeep on SQLite, or on PostgreSQL with one node or more; every item is in the ledger before it is answered. */
export async function startTrialkeep(
  folder: string,
  store: 'SQLite' | 'PostgreSQL',
  nodes: number,
): Promise<Target> {
  const data = join(folder, `trialkeep-${store}-${nodes}`);
  const pair = store === 'PostgreSQL' ? (await postgresCluster()).newPair() : undefined;
  const env: Record<string, string> =
    pair === undefined ? {} : { TRIALKEEP_DATABASE: pair.main, TRIALKEEP_SHRED_DATABASE: pair.shred };
  const server = await startBenchServer(data, env);
  const others: BenchNode[] = [];
  for (let node = 2; node <= nodes; node++) {
    const own = `${data}-${node}`;
    mkdirSync(own, { mode: 0o700 });
    for (const part of ['trialkeep.json', 'root', 'anchor'])
      cpSync(join(data, part), join(own, part), { recursive: true });
    others.push(await startBenchNode(own, env));
  }
  const all = [server, ...others];
  const urls = all.map(({ url }) => url);
  const headers = { authorization: `Bearer ${server.credential}` };
  return {
    name: `Trialkeep, ${store}, ${nodes} node${nodes === 1 ? '' : 's'}`,
    urls,
    headers,
    processIds: all.map(({ processId }) => processId),
    asked: (work, batch) => askedOf(server, { urls, headers }, work, batch),
    stop: async () => void (await Promise.all(all.map((node) => node.stop()))),
  };
}

const context = { class: 'form' };

async function askedOf(
  server: BenchServer,
  target: Pick<Target, 'urls' | 'headers'>,
  work: Work,
  batch: number | undefined,
): Promise<Asked> {
  const path = `/v1/keys/${work === 'sign' ? server.signingKey : server.key}`;
  const encrypting = { path: `${path}/encrypt`, item: { plaintext: content, context } };
  const encrypted = async (): Promise<string> => {
    const answer = await once(target, { path: encrypting.path, body: JSON.stringify(encrypting.item) });
    return (answer as { ciphertext: string }).ciphertext;
  };
  const asked = {
    encrypt: async () => encrypting,
    decrypt: async () => ({ path: `${path}/decrypt`, item: { ciphertext: await encrypted(), context } }),
    'data key': async () => ({ path: `${path}/data-keys`, item: { context } }),
    sign: async () => ({ path: `${path}/sign`, item: { message: content } }),
  };
  const { path: single, item } = await asked[work]();
  if (batch === undefined) return { path: single, body: JSON.stringify(item) };
  const items = Array.from({ length: batch }, () => item);
  return { path: `${single}/batch`, body: JSON.stringify({ items }) };
}
