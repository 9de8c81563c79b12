/**
 * Two servers on one PostgreSQL under load, while one of them, or the database itself, dies or stands still. TRIALKEEP_LOAD_SEED
 * repeats the choices of an earlier run (the moments depend on the machine as well).
 */
import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { postgresMissing } from '../tools/postgres-cluster.ts';
import { clientOf } from './harness.ts';
import { postgresSite } from './nodes.ts';
import type { PostgresSite, ServerNode } from './nodes.ts';
import { newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';
import { Load } from './two-nodes/load.ts';

const seed = Number(process.env['TRIALKEEP_LOAD_SEED'] ?? randomInt(2 ** 31));
const skip = postgresMissing;
let site: PostgresSite;
let tenants = 0;

before(async () => {
  if (skip === false) site = await postgresSite();
});

async function anotherTenant(): Promise<Tenant> {
  tenants += 1;
  return newTenant(site.nodes[0], site.administrator.secret, `Sponsor ${tenants}`);
}

/** Loads both nodes while something happens, and then holds everything against what was acknowledged. */
async function underLoad(t: TestContext, work: (load: Load, tenant: Tenant) => Promise<void>): Promise<void> {
  const tenant = await anotherTenant();
  const load = new Load(site, tenant, seed);
  await load.start();
  await work(load, tenant);
  await load.stop();
  const checked = await load.check();
  t.diagnostic(`seed ${seed}: ${JSON.stringify({ ...checked, passed: load.passed })}`);
}

test(
  'a node that is killed takes nothing with it, and the other goes on [URS-004] [URS-032]',
  { skip },
  async (t) =>
    underLoad(t, async (load) => {
      for (const round of [0, 1, 2, 3]) {
        const [victim, other] = round % 2 === 0 ? site.nodes : ([site.nodes[1], site.nodes[0]] as const);
        await load.keepCheckpoint(victim);
        await pause(((seed >> round) & 0xff) / 2);
        await victim.kill();
        await load.progress([other]);
        await load.keepCheckpoint(other);
        await victim.start();
        await load.progress();
      }
    }),
);

test(
  'a node that stands still for a while does not hold the other up, and goes on as if nothing was [URS-004] [URS-032]',
  { skip },
  async (t) =>
    underLoad(t, async (load) => {
      for (const [stopped, other] of [site.nodes, [site.nodes[1], site.nodes[0]]] as const) {
        stopped.server.pause();
        try {
          // Longer than the database lets an idle transaction live.
          const longEnough = pause(7000);
          await load.progress([other]);
          await load.keepCheckpoint(other);
          await longEnough;
        } finally {
          stopped.server.resume();
        }
        await load.progress();
        await load.keepCheckpoint(stopped);
      }
    }),
);

test(
  'a node that stands still inside a change gives way to the other, and its change did not happen [URS-032]',
  { skip },
  async () => {
    const tenant = await anotherTenant();
    const custodian = (node: ServerNode) => clientOf(node, tenant.credentials.custodian.secret);
    const system = (name: string) => ({ name, type: 'edc', vendor: 'Example vendor' }) as const;
    let asked: Promise<string> | undefined;
    const write = { event: 'insert', table: 'system', when: `new.name = 'Slow'` } as const;
    const stopped = await site.catchAt(write, () => {
      const making = custodian(site.nodes[0]).call('systems.create', system('Slow'));
      asked = making.then(
        () => 'success',
        (error: { code: string }) => error.code,
      );
    });
    assert.equal(stopped, site.nodes[0]);
    stopped.server.pause();
    try {
      await custodian(site.nodes[1]).call('systems.create', system('Quick'));
    } finally {
      stopped.server.resume();
    }
    assert.match((await asked) ?? '', /^server\.(?:storage_failed|busy)$/);
    for (const node of site.nodes) {
      const { systems } = await custodian(node).call('systems.list', {});
      assert.deepEqual(
        systems.map(({ name }) => name),
        [`${tenant.name} EDC`, 'Quick'],
      );
    }
  },
);

test(
  'the database dies under load: the nodes come back by themselves, and nothing is lost [URS-004] [URS-032]',
  { skip },
  async (t) =>
    underLoad(t, async (load) => {
      for (const node of site.nodes) {
        await load.keepCheckpoint(node);
        await site.cluster.restart();
        await load.progress();
        await load.keepCheckpoint(node);
      }
      for (const node of site.nodes) {
        assert.equal((await clientOf(node, 'x').call('instance.status', {})).state, 'ready');
      }
    }),
);
