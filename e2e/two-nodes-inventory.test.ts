/** The inventory of keys of two servers on one PostgreSQL: one answer, whichever is asked and whichever has used the keys. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { pagesOf } from '@trialkeep/sdk/client';
import { postgresMissing } from '../tools/postgres-cluster.ts';
import { clientOf } from './harness.ts';
import { postgresSite, until } from './nodes.ts';
import type { PostgresSite, ServerNode } from './nodes.ts';
import { newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';

const skip = postgresMissing;
let site: PostgresSite;

before(async () => {
  if (skip === false) site = await postgresSite();
});

async function keysOf(node: ServerNode, { credentials }: Tenant) {
  const auditor = clientOf(node, credentials.auditor.secret);
  const keys = [];
  // Small pages, so that several make one answer.
  for await (const page of pagesOf((at) => auditor.call('inventory.find', { ...at, limit: 3 }))) {
    keys.push(...page.keys);
  }
  return keys;
}

test(
  'both nodes give one inventory, with the last use wherever that was, also as of a past time [URS-007] [URS-001]',
  { skip },
  async () => {
    const [one, two] = site.nodes;
    const tenant = await newTenant(one, site.administrator.secret, 'Inventory');
    const { system, credentials } = tenant;
    const made: string[] = [];
    for (const node of [one, two, one, two]) {
      const custodian = clientOf(node, credentials.custodian.secret);
      made.push((await custodian.call('keys.create', { system })).id);
    }
    const service = { name: 'EDC', role: 'service' as const, system, keys: made };
    const { secret } = await clientOf(two, credentials.custodian.secret).call('credentials.issue', service);
    const use = async (node: ServerNode, key: string | undefined): Promise<void> => {
      await clientOf(node, secret).call('keys.encrypt', { key: key ?? '', plaintext: 'AAAA' });
    };
    const lastUse = async (node: ServerNode, key: string | undefined): Promise<number> => {
      const found = (await keysOf(node, tenant)).find(({ id }) => id === key) ?? assert.fail('no such key');
      return found.lastUse?.at ?? 0;
    };
    // The same key, now here and now there: the newest is the last.
    const [both, onlyOne, onlyTwo, unused] = made;
    await use(one, onlyOne);
    await use(two, onlyTwo);
    let last = 0;
    for (const [here, there] of [
      [one, two],
      [two, one],
      [one, two],
    ] as const) {
      await use(here, both);
      await until('the other node has the use', async () => (await lastUse(there, both)) > last);
      last = await lastUse(there, both);
      assert.equal(await lastUse(here, both), last);
    }
    await clientOf(two, credentials.custodian.secret).call('keys.suspend', {
      key: unused ?? '',
      reason: 'A test.',
    });

    const answers = await Promise.all(site.nodes.map((node) => keysOf(node, tenant)));
    assert.deepEqual(answers[0], answers[1]);
    const [answer = []] = answers;
    const byKey = new Map(answer.map((key) => [key.id, key]));
    assert.ok(made.every((key) => byKey.has(key)));
    for (const key of [both, onlyOne, onlyTwo]) assert.ok(byKey.get(key ?? '')?.lastUse);
    assert.deepEqual([byKey.get(unused ?? '')?.lastUse, byKey.get(unused ?? '')?.state], [null, 'suspended']);

    const asOf = byKey.get(both ?? '')?.lastUse?.at ?? assert.fail('no last use');
    const past = [];
    for (const node of site.nodes) {
      const auditor = clientOf(node, credentials.auditor.secret);
      const { keys } = await auditor.call('inventory.as-of', { asOf });
      past.push(keys.map(({ id, state, lastUse: used }) => [id, state, used?.at]));
    }
    assert.deepEqual(past[0], past[1]);
    assert.ok(past[0]?.some(([id, state]) => id === unused && state === 'active'));
  },
);
