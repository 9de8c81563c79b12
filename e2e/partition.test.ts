/** Two nodes of which one has lost the database while the other has not: it releases nothing, and what is ended elsewhere is ended for it. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { TrialkeepError } from '@trialkeep/sdk/client';
import { postgresCluster, postgresMissing } from '../tools/postgres-cluster.ts';
import { clientOf, send } from './harness.ts';
import { postgresSite, until } from './nodes.ts';
import type { PostgresSite, ServerNode } from './nodes.ts';
import { askLedger, newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';
import { Line } from './two-nodes/line.ts';
import { assertRevoked } from './two-nodes/load.ts';

const skip = postgresMissing;
let site: PostgresSite;
/** The line of the second node. */
let line: Line;

before(async () => {
  if (skip !== false) return;
  const cluster = await postgresCluster();
  line = new Line(cluster.host, 'line');
  site = await postgresSite({ hostOf: (name) => (name === 'node-2' ? line.host : cluster.host) });
});

const plaintext = Buffer.from('a reading').toString('base64');

async function readiness(node: ServerNode): Promise<number> {
  return (await send(node, '/ready')).status;
}

function use(node: ServerNode, { key, credentials }: Tenant): Promise<string> {
  return clientOf(node, credentials.service.secret)
    .call('keys.encrypt', { key, plaintext })
    .then(
      () => 'success',
      (error: unknown) => (error instanceof TrialkeepError ? error.code : String(error)),
    );
}

/** What a node without its database may answer: nothing was released, and it may be asked again. */
const nothing = new Set(['server.storage_failed', 'server.busy', 'client.unreachable']);

async function revoke(node: ServerNode, { key, credentials }: Tenant): Promise<void> {
  const why = { cause: 'breach', reason: 'While the other half is apart.' } as const;
  await clientOf(node, credentials.custodian.secret).call('keys.revoke', { key, ...why });
}

/** Nothing has succeeded behind the revocation, as the ledger of either node says. */
async function assertLedgers({ key, credentials }: Tenant): Promise<void> {
  for (const node of site.nodes) {
    const entries = await askLedger(clientOf(node, credentials.auditor.secret), { key });
    const inOrder = entries.toSorted((one, other) => one.time - other.time);
    assert.ok(inOrder.some(({ operation }) => operation === 'keys.revoke'));
    assertRevoked(inOrder.filter(({ outcome }) => outcome === 'success'));
  }
}

for (const how of ['cut', 'silence'] as const) {
  test(
    `a half that has lost the database (${how}) is not ready and releases nothing; a revocation on the other half holds for it [URS-004] [URS-085]`,
    { skip },
    async () => {
      const [whole, apart] = site.nodes;
      const tenant = await newTenant(whole, site.administrator.secret, `Apart by ${how}`);
      for (const node of site.nodes) assert.equal(await use(node, tenant), 'success');
      line[how]();
      try {
        await until('the half is not ready', async () => (await readiness(apart)) === 503);
        const asked = Array.from({ length: 5 }, () => use(apart, tenant));
        assert.equal(await readiness(whole), 200);
        await revoke(whole, tenant);
        for (const code of await Promise.all(asked))
          assert.ok(nothing.has(code), `${code} without a database`);
        assert.equal(await use(whole, tenant), 'key.revoked');
      } finally {
        line.heal();
      }
      await until('the half is ready again', async () => (await readiness(apart)) === 200);
      assert.equal(await use(apart, tenant), 'key.revoked');
      await assertLedgers(tenant);
    },
  );
}

test(
  'what a half had asked of the database before the revocation, and arrives behind it, is refused [URS-004]',
  { skip },
  async () => {
    const [whole, apart] = site.nodes;
    const tenant = await newTenant(whole, site.administrator.secret, 'Late');
    // The half knows all that it needs, and its next words to the database are the entry.
    for (let n = 0; n < 10; n++) assert.equal(await use(apart, tenant), 'success');
    line.silence();
    const asked = Array.from({ length: 5 }, () => use(apart, tenant));
    try {
      await revoke(whole, tenant);
    } finally {
      line.heal();
    }
    for (const code of await Promise.all(asked)) {
      assert.ok(code === 'key.revoked' || nothing.has(code), `${code} behind the revocation`);
    }
    assert.equal(await use(apart, tenant), 'key.revoked');
    await assertLedgers(tenant);
  },
);
