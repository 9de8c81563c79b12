/**
 * Nodes of two releases on one PostgreSQL. The later release is this one with one step more: a copy of the server's package that lies beside the
 * same other packages, so that what is tested is the rule of docs/how-to/run-several-nodes.md, whatever the steps of a real release are.
 */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { TrialkeepError } from '@trialkeep/sdk/client';
import { postgresMissing } from '../tools/postgres-cluster.ts';
import { clientOf, makeFolder, ownServerMain, send } from './harness.ts';
import { postgresSite, until } from './nodes.ts';
import type { PostgresSite, ServerNode } from './nodes.ts';
import { newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';

const skip = postgresMissing;
/** Steps of the next release, and of the one after it. */
const steps = { expands: 9998, contracts: 9999 } as const;
let site: PostgresSite;
let systems = 0;

before(async () => {
  if (skip === false) site = await postgresSite({ env: { TRIALKEEP_DRAIN_SECONDS: '5' } });
});

/** A program that knows one step more; gives its entry. */
function laterRelease(step: number, sql: string): string {
  const folder = makeFolder();
  const source = dirname(ownServerMain);
  const copy = join(folder, 'packages', 'server');
  mkdirSync(copy, { recursive: true });
  cpSync(source, join(copy, 'src'), { recursive: true });
  cpSync(join(source, '..', 'package.json'), join(copy, 'package.json'));
  symlinkSync(fileURLToPath(new URL('../node_modules', import.meta.url)), join(folder, 'node_modules'));
  writeFileSync(join(copy, 'src', 'migrations', `${step}-later.main.postgres.sql`), sql);
  return join(copy, 'src', 'main.ts');
}

const marker = (): string => site.query('select version, needs from trialkeep_store');
const plaintext = Buffer.from('a reading').toString('base64');

/** What one node has protected the other opens, and what one changes holds on the other; both ways round. */
async function assertTogether(tenant: Tenant): Promise<void> {
  const [one, two] = site.nodes;
  for (const [here, there] of [
    [one, two],
    [two, one],
  ] as const) {
    const { key, credentials } = tenant;
    const [service, other] = [here, there].map((node) => clientOf(node, credentials.service.secret));
    assert.ok(service && other);
    const { ciphertext } = await service.call('keys.encrypt', { key, plaintext });
    assert.equal((await other.call('keys.decrypt', { key, ciphertext })).plaintext, plaintext);
    const custodian = clientOf(here, credentials.custodian.secret);
    const { id: system } = await custodian.call('systems.create', {
      name: `System ${(systems += 1)}`,
      type: 'edc',
      vendor: 'A',
    });
    const made = await custodian.call('keys.create', { system });
    await custodian.call('keys.revoke', { key: made.id, cause: 'cessation', reason: 'A test.' });
    await assert.rejects(
      clientOf(there, credentials['data-recovery'].secret).call('keys.encrypt', { key: made.id, plaintext }),
      (error: TrialkeepError) => error.code === 'access.denied' || error.code === 'key.revoked',
    );
    const keys = await clientOf(there, credentials.custodian.secret).call('keys.list', { system });
    assert.deepEqual(
      keys.keys.map(({ state }) => state),
      ['deactivated'],
    );
  }
}

/** Uses a key on whichever node says that it is ready, as behind a load balancer, until it is told to stop. */
async function useBehindBalancer(tenant: Tenant, signal: AbortSignal): Promise<number> {
  let used = 0;
  while (!signal.aborted) {
    // Not the nodes, which have no server once they are told to stop.
    for (const server of site.nodes.filter(({ isUp }) => isUp).map((node) => node.server)) {
      if ((await send(server, '/ready').catch(() => undefined))?.status !== 200) continue;
      const service = clientOf(server, tenant.credentials.service.secret);
      await service.call('keys.encrypt', { key: tenant.key, plaintext });
      used += 1;
    }
  }
  return used;
}

test(
  'nodes of two releases serve side by side after a step that expands, and each is taken out without a request lost [URS-037] [URS-005]',
  { skip },
  async () => {
    const [old, upgraded] = site.nodes;
    const tenant = await newTenant(old, site.administrator.secret, 'Rolling');
    const known = marker();
    const later = laterRelease(
      steps.expands,
      `-- expands: who does not know the column leaves it empty
      alter table system add column note text collate "C";
      create table later (id text collate "C" primary key);`,
    );
    const end = new AbortController();
    const using = useBehindBalancer(tenant, end.signal);
    using.catch(() => undefined);

    await drain(upgraded, tenant);
    await upgraded.start({}, later);
    assert.equal(marker(), known.replace(/^\d+/, String(steps.expands)));
    await assertTogether(tenant);
    // A node of the release before comes up again after a crash, and a release is taken back.
    await old.stop();
    await old.start();
    await assertTogether(tenant);

    await drain(old, tenant);
    await old.start({}, later);
    await assertTogether(tenant);
    end.abort();
    assert.ok((await using) > 0);
  },
);

/** Tells a node to stop: it says that it is not ready, answers on, and then ends. */
async function drain(node: ServerNode, { key, credentials }: Tenant): Promise<void> {
  const { server } = node;
  server.terminate();
  await until('it is not ready', async () => (await send(server, '/ready')).status === 503);
  await clientOf(server, credentials.service.secret).call('keys.encrypt', { key, plaintext });
  assert.equal(await node.ended(), 0, String(server.output));
}

test(
  'a node ends by itself when a step takes away what it needs, and does not start on that again [URS-037] [URS-080]',
  { skip },
  async () => {
    const [old, upgraded] = site.nodes;
    const contracts = laterRelease(steps.contracts, 'alter table system drop column if exists note;');
    await upgraded.stop();
    await upgraded.start({}, contracts);
    const { server } = old;
    assert.equal(await old.ended(), 1);
    assert.match(String(server.output), /a newer program has changed it/);
    await assert.rejects(old.start(), /database\.newer/);
    assert.equal(marker(), `${steps.contracts}|${steps.contracts}`);
    await until('the other is ready', async () => (await send(upgraded, '/ready')).status === 200);
  },
);
