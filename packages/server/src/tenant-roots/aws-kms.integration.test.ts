/** Tenants whose keys are under keys of AWS KMS: what a refusal there does on every node, and how soon. */
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { KMSClient } from '@aws-sdk/client-kms';
import type { OperationId, Operations, Input } from '@trialkeep/contract';
import { kmsEmulatorMissing, startKmsEmulator } from '../../../../tools/kms-emulator.ts';
import type { KmsEmulator } from '../../../../tools/kms-emulator.ts';
import {
  entriesOf,
  makeInstallation,
  openNode,
  openSecond,
  stores,
  until,
} from '../installation.fixture.test.ts';
import type { Installation, Node, Store } from '../installation.fixture.test.ts';
import { makeAccount } from './kms-account.fixture.test.ts';
import type { Account } from './kms-account.fixture.test.ts';
import { moveKey } from './own-root.fixture.test.ts';

const region = 'eu-central-1';
const plaintext = Buffer.from('a value').toString('base64');

let emulator: KmsEmulator;
let admin: KMSClient;
before(async () => {
  if (kmsEmulatorMissing !== false) return;
  Object.assign(process.env, { AWS_ACCESS_KEY_ID: 'AKIATESTTESTTEST', AWS_SECRET_ACCESS_KEY: 'a-secret' });
  emulator = await startKmsEmulator();
  admin = new KMSClient({ region, endpoint: emulator.url });
});
after(() => {
  if (kmsEmulatorMissing !== false) return;
  admin.destroy();
  emulator.stop();
});

interface House {
  readonly installation: Installation;
  readonly nodes: readonly [Node, Node];
  readonly tenant: string;
  readonly root: string;
  readonly key: string;
  readonly ciphertext: string;
  readonly other: { readonly use: (node: Node) => Promise<unknown> };
  readonly account: Account;
  encrypt(node: Node): Promise<unknown>;
  decrypt(node: Node): Promise<string>;
  custodian<Id extends OperationId>(
    node: Node,
    operation: Id,
    input: Input<Operations[Id]>,
  ): Promise<unknown>;
}

const ask = (node: Node, secret: string, operation: OperationId, input: object): Promise<unknown> =>
  node.rooms.gate.admit({
    operation,
    authorization: `Bearer ${secret}`,
    input,
    source: '192.0.2.1',
    requestId: 'request',
  });

/** A tenant that uses its keys through a service. */
async function makeUser(node: Node, administrator: string, name: string) {
  const { tenant, custodian } = (await ask(node, administrator, 'tenants.create', { name })) as {
    tenant: { id: string };
    custodian: { secret: string };
  };
  const by = (operation: OperationId, input: object) => ask(node, custodian.secret, operation, input);
  const { id: system } = (await by('systems.create', { name: 'edc', type: 'edc', vendor: 'vendor' })) as {
    id: string;
  };
  const { id: key } = (await by('keys.create', { system })) as { id: string };
  const issued = { name: 'service', role: 'service', system, keys: [key] };
  const service = (await by('credentials.issue', issued)) as { secret: string };
  return { tenant: tenant.id, custodian: custodian.secret, system, key, service: service.secret };
}

async function makeHouse(t: TestContext, store: Store, leaseSeconds: number): Promise<House> {
  const installation = await makeInstallation(t, store);
  const first = await openNode(t, installation);
  const account = await makeAccount(t, admin, emulator.url);
  const user = await makeUser(first, installation.administrator, 'sponsor');
  const neighbour = await makeUser(first, installation.administrator, 'neighbour');
  const { key, service, tenant } = user;
  const { ciphertext } = (await ask(first, service, 'keys.encrypt', { key, plaintext })) as {
    ciphertext: string;
  };
  const { folder } = first.instance.tenantRoots;
  const { id: root } = await folder.make(tenant, account.settings);
  const second = await openSecond(t, installation, first);
  if (second.instance !== first.instance)
    cpSync(folder.path, second.instance.tenantRoots.folder.path, { recursive: true });
  // What the second node knows is from before the move.
  await ask(second, service, 'keys.encrypt', { key, plaintext });
  await moveKey(first, tenant, root, leaseSeconds);
  const neighbours = { key: neighbour.key, plaintext };
  return {
    ...{ installation, nodes: [first, second], tenant, root, key, ciphertext, account },
    other: { use: (node) => ask(node, neighbour.service, 'keys.encrypt', neighbours) },
    encrypt: (node) => ask(node, service, 'keys.encrypt', { key, plaintext }),
    decrypt: async (node) =>
      ((await ask(node, service, 'keys.decrypt', { key, ciphertext })) as { plaintext: string }).plaintext,
    custodian: (node, operation, input) => ask(node, user.custodian, operation, input),
  };
}

const rootEntries = async ({ nodes: [{ instance }], tenant }: House) =>
  (await entriesOf(instance, tenant)).filter(({ operation }) =>
    /^tenant-root\.(refuse|return)$/.test(String(operation)),
  );

for (const store of stores) {
  const skip = kmsEmulatorMissing || store.skip;

  test(
    `${store.name}: without a lease the next use asks the root, on every node; refusal and return are entries [URS-049]`,
    { skip },
    async (t) => {
      const house = await makeHouse(t, store, 0);
      const { nodes, account } = house;
      for (const node of nodes) assert.equal(await house.decrypt(node), plaintext);
      await account.disable();
      for (const node of nodes) await assert.rejects(house.decrypt(node), { code: 'tenant.root_refused' });
      for (const node of nodes) await assert.rejects(house.encrypt(node), { code: 'tenant.root_refused' });
      await house.other.use(nodes[0]);
      await account.enable();
      for (const node of nodes)
        await until(() =>
          house.decrypt(node).then(
            () => true,
            () => false,
          ),
        );
      await until(async () =>
        (await rootEntries(house)).some(({ operation }) => operation === 'tenant-root.return'),
      );
      const entries = await rootEntries(house);
      const refusals = entries.filter(({ operation }) => operation === 'tenant-root.refuse');
      // One for each node that was refused, however many uses were.
      assert.equal(refusals.length, nodes[0].instance === nodes[1].instance ? 1 : 2);
      for (const { root, leaseSeconds, reason } of refusals) {
        assert.deepEqual(
          { root, leaseSeconds, reason },
          { root: house.root, leaseSeconds: 0, reason: 'refused' },
        );
      }
    },
  );

  test(
    `${store.name}: with a lease a refusal bites on every node when it has run out, and takes away rights as before [URS-049]`,
    { skip },
    async (t) => {
      const house = await makeHouse(t, store, 1);
      const { nodes, account } = house;
      for (const node of nodes) assert.equal(await house.decrypt(node), plaintext);
      await account.disable();
      for (const node of nodes) {
        await until(() =>
          house.decrypt(node).then(
            () => false,
            ({ code }) => code === 'tenant.root_refused',
          ),
        );
        await assert.rejects(house.encrypt(node), { code: 'tenant.root_refused' });
      }
      for (const { instance } of nodes) assert.equal(instance.hierarchy.unwrappedKeys, 0);
      for (const node of nodes) await house.other.use(node);
      // Whoever holds the root keeps nobody from revoking.
      await house.custodian(nodes[1], 'keys.revoke', {
        key: house.key,
        cause: 'breach',
        reason: 'A device is gone.',
      });
      await account.enable();
      await until(() =>
        house.encrypt(nodes[0]).then(
          () => assert.fail('It was revoked.'),
          ({ code }) => code === 'key.revoked',
        ),
      );
    },
  );

  test(
    `${store.name}: a server starts while the root of a tenant is away, and that tenant alone is closed [URS-049]`,
    { skip },
    async (t) => {
      const house = await makeHouse(t, store, 3600);
      const { installation, account, nodes } = house;
      for (const node of new Set(nodes)) await node.close();
      account.isAway = true;
      const again = await openNode(t, installation);
      await assert.rejects(house.decrypt(again), { code: 'tenant.root_unreachable' });
      await house.other.use(again);
      const shown = (await house.custodian(again, 'tenant-root.show', {})) as {
        answer: string;
        leaseSeconds: number;
      };
      assert.deepEqual([shown.answer, shown.leaseSeconds], ['unreachable', 3600]);
      account.isAway = false;
      await until(() =>
        house.decrypt(again).then(
          () => true,
          () => false,
        ),
      );
      assert.equal(await house.decrypt(again), plaintext);
      // Asked once, and not for each use.
      const requests = account.requests();
      for (let use = 0; use < 20; use++) await house.encrypt(again);
      assert.equal(account.requests(), requests);
    },
  );
}
