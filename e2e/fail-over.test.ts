/** A primary that dies, and its standby, by real streaming replication: one that has everything, and one that lags behind. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { parseCheckpoint, parseNote } from '@trialkeep/ledger';
import { TrialkeepError } from '@trialkeep/sdk/client';
import { ownPostgresCluster, postgresMissing, postgresStandby } from '../tools/postgres-cluster.ts';
import type { PostgresCluster } from '../tools/postgres-cluster.ts';
import { clientOf, makeFolder, send } from './harness.ts';
import { postgresSite, until } from './nodes.ts';
import type { PostgresSite, ServerNode } from './nodes.ts';
import { newTenant } from './tenant.ts';
import { Load } from './two-nodes/load.ts';

const skip = postgresMissing;
const seed = Number(process.env['TRIALKEEP_LOAD_SEED'] ?? 7);

/** A site whose nodes know the database by an address that leads to the primary at first. */
interface Replicated {
  readonly site: PostgresSite;
  readonly primary: PostgresCluster;
  readonly standby: PostgresCluster;
  /** The primary dies, the address leads to the standby, and that is promoted; returns when both nodes have ended by themselves. */
  failOver(): Promise<void>;
}

async function replicated(): Promise<Replicated> {
  const primary = await ownPostgresCluster();
  const standby = await postgresStandby(primary);
  const address = join(makeFolder(), 'address');
  symlinkSync(primary.host, address);
  const site = await postgresSite({ cluster: primary, hostOf: () => address });
  const failOver = async (): Promise<void> => {
    primary.kill();
    rmSync(address);
    symlinkSync(standby.host, address);
    standby.promote();
    for (const status of await Promise.all(site.nodes.map((node) => node.ended()))) assert.equal(status, 1);
  };
  return { site, primary, standby, failOver };
}

/** Replays what the primary has, as of now. */
async function caughtUp({ primary, standby }: Replicated): Promise<void> {
  const written = primary.run('select pg_current_wal_lsn()');
  await until('the standby follows', () =>
    standby.run(`select pg_last_wal_replay_lsn() >= '${written}'`).startsWith('t'),
  );
}

for (const commit of ['on', 'remote_apply'] as const) {
  test(
    `a fail-over to a synchronous standby (synchronous_commit = ${commit}) loses nothing that was acknowledged [URS-004] [URS-032]`,
    { skip },
    async (t: TestContext) => {
      const pair = await replicated();
      const { site, primary } = pair;
      await primary.configure({ synchronous_standby_names: '*', synchronous_commit: commit });
      const tenant = await newTenant(site.nodes[0], site.administrator.secret, 'Sponsor');
      const load = new Load(site, tenant, seed);
      await load.start();
      await load.keepCheckpoint(site.nodes[0]);
      await load.progress();
      await pair.failOver();
      await site.startAll();
      await load.progress();
      await load.keepCheckpoint(site.nodes[1]);
      await load.stop();
      t.diagnostic(`seed ${seed}: ${JSON.stringify({ ...(await load.check()), passed: load.passed })}`);
    },
  );
}

/** Entries of the log under the checkpoint that the node keeps outside the database. */
function anchoredSize({ data }: ServerNode, origin: string): number {
  const folder = join(data, 'anchor');
  const sizes = readdirSync(folder)
    .filter((name) => name.endsWith('.checkpoint'))
    .map((name) => parseCheckpoint(parseNote(readFileSync(join(folder, name))).text))
    .filter((checkpoint) => checkpoint.origin === origin)
    .map(({ size }) => size);
  return Math.max(0, ...sizes);
}

test(
  'after a fail-over to a standby that lags behind the nodes are in recovery, and use no key [URS-004] [URS-080]',
  { skip },
  async () => {
    const pair = await replicated();
    const { site, primary, standby } = pair;
    const tenant = await newTenant(site.nodes[0], site.administrator.secret, 'Sponsor');
    const { key, credentials } = tenant;
    const plaintext = Buffer.from('a reading').toString('base64');
    const use = (node: ServerNode): Promise<string> =>
      clientOf(node, credentials.service.secret)
        .call('keys.encrypt', { key, plaintext })
        .then(
          () => 'success',
          (error: unknown) => (error instanceof TrialkeepError ? error.code : String(error)),
        );
    for (const node of site.nodes) assert.equal(await use(node), 'success');
    await caughtUp(pair);
    // From here on the standby gets nothing.
    await standby.configure({ primary_conninfo: 'host=/nowhere' });
    await until('nothing is sent', () => primary.run('select count(*) from pg_stat_replication') === '0');
    const why = { cause: 'breach', reason: 'A test.' } as const;
    await clientOf(site.nodes[0], credentials.custodian.secret).call('keys.revoke', { key, ...why });
    for (const node of site.nodes) assert.equal(await use(node), 'key.revoked');
    const checkpoint = await clientOf(site.nodes[0], credentials.auditor.secret).call(
      'ledger.checkpoint',
      {},
    );
    const { origin, size } = parseCheckpoint(parseNote(Buffer.from(checkpoint)).text);
    await until('both nodes keep that', () => site.nodes.every((node) => anchoredSize(node, origin) >= size));

    await pair.failOver();
    for (const node of site.nodes) {
      await assert.rejects(node.start(), /in recovery/);
      assert.equal(await use(node), 'server.in_recovery');
      assert.equal((await send(node, '/ready')).status, 503);
    }
  },
);
