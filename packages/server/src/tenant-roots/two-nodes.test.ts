import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { makeInstallation, makeTenant, openNode, openSecond, stores } from '../installation.fixture.test.ts';
import { moveKey, setLease } from './own-root.fixture.test.ts';

const away = { code: 'tenant.root_unreachable' };
const postgres = stores.filter(({ name }) => name === 'PostgreSQL');

/** Two nodes that have read how the tenant's key is wrapped; the second one was asked nothing, and has no folder of the tenant's roots. */
async function arrange(t: TestContext, store: (typeof stores)[number]) {
  const installation = await makeInstallation(t, store);
  const first = await openNode(t, installation);
  const { tenant, system, admit } = await makeTenant(first, installation.administrator);
  const { secret } = await admit('credentials.issue', { name: 'second', role: 'custodian' });
  const second = await openSecond(t, installation, first);
  await second.instance.hierarchy.tenantKey(tenant);
  const { folder } = first.instance.tenantRoots;
  const { id: root } = await folder.make(tenant, { kind: 'passphrase' });
  return { tenant, system, secret, first, second, root };
}

for (const store of postgres) {
  const { name, skip } = store;

  test(
    `${name}: a node that was asked nothing since it started asks the root that another node moved the key to [URS-049]`,
    { skip },
    async (t) => {
      const { tenant, first, second, root, secret, system } = await arrange(t, store);
      await moveKey(first, tenant, root, 0);
      // By a request, before it has looked around.
      const request = { source: '192.0.2.1', requestId: 'request', authorization: `Bearer ${secret}` };
      const create = second.rooms.gate.admit({ operation: 'keys.create', input: { system }, ...request });
      await assert.rejects(create, away);
      await assert.rejects(second.instance.hierarchy.tenantKey(tenant), away);
    },
  );

  test(
    `${name}: a look around is enough for that, at the first one as later [URS-049]`,
    { skip },
    async (t) => {
      const { tenant, first, second, root } = await arrange(t, store);
      await moveKey(first, tenant, root, 0);
      await second.rooms.poll();
      await assert.rejects(second.instance.hierarchy.tenantKey(tenant), away);
      await moveKey(first, tenant, null, 0);
      await second.rooms.poll();
      await second.instance.hierarchy.tenantKey(tenant);
      await moveKey(first, tenant, root, 0);
      await second.rooms.poll();
      await assert.rejects(second.instance.hierarchy.tenantKey(tenant), away);
    },
  );

  test(
    `${name}: a lease ends on the other node when the key leaves the root, or gets another lease [URS-049]`,
    { skip },
    async (t) => {
      const { tenant, first, second, root } = await arrange(t, store);
      const { folder, leases } = second.instance.tenantRoots;
      const place = join(folder.path, tenant, root);
      cpSync(join(first.instance.tenantRoots.folder.path, tenant, root), place, { recursive: true });
      const hold = async (): Promise<void> => {
        await second.rooms.poll();
        await second.instance.hierarchy.tenantKey(tenant);
        assert.equal(leases.state(tenant)?.isHeld, true);
      };
      await moveKey(first, tenant, root, 86_400);
      await hold();
      await setLease(first, tenant, 3600);
      await second.rooms.poll();
      assert.equal(leases.state(tenant)?.isHeld, false);
      await hold();
      await moveKey(first, tenant, null, 0);
      await second.rooms.poll();
      assert.equal(leases.state(tenant), undefined);
    },
  );
}
