import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { before, test } from 'node:test';
import { operations, roles } from '@trialkeep/contract';
import type { OperationId, Role } from '@trialkeep/contract';
import { ask } from '../harness.ts';
import { askLedger } from '../tenant.ts';
import { askerFor, askersOf, byCredential, bySession, refusalOf } from './callers.ts';
import type { Asker } from './callers.ts';
import {
  askSample,
  assertRecorded,
  assertRefused,
  bearer,
  inventory,
  refusal,
  refuseAll,
  sealedAs,
} from './refusals.ts';
import {
  approved,
  forStrangers,
  guarded,
  ids,
  last,
  operationOf,
  samples,
  signed,
  tooEarly,
} from './samples.ts';
import { World } from './world.ts';
import type { Sampled } from './world.ts';

let world: World;
/** The tests share a tenant; only the last one changes what the others lean on. */
let tenant: Sampled;
/** Whoever can ask, of the tenant and of the instance. */
let everybody: Asker[];
before(async () => {
  world = await World.start();
  tenant = await world.newSampled();
  const role = 'instance-administrator';
  everybody = [
    byCredential(role, world.installation.administrator),
    bySession(role, await world.newAdministrator()),
    ...askersOf(tenant),
  ];
});

const isOfInstance = ({ role }: Asker): boolean => role === 'instance-administrator';

test('every operation has a sample and an expectation', () => {
  assert.deepEqual(Object.keys(samples).sort(), ids.toSorted());
  assert.deepEqual(Object.keys(forStrangers).sort(), ids.toSorted());
  for (const id of ids) {
    assert.equal(forStrangers[id] === 'open', !guarded.includes(id), id);
  }
});

test('a role gets what it grants and nothing else, and every refusal is recorded [URS-019] [URS-032]', async () => {
  const unchanged = await inventory(world, tenant);
  for (const asker of everybody) {
    const cases = ids.flatMap((id) => {
      const code = refusalOf(asker, id);
      return code === undefined ? [] : [[id, code] as const];
    });
    assert.ok(cases.length > 0, `${asker.shows} ${asker.role}`);
    await assertRecorded(world.reader(isOfInstance(asker) ? undefined : tenant), () =>
      refuseAll(world, tenant, asker, cases),
    );
  }
  assert.deepEqual(await inventory(world, tenant), unchanged);
});

/** One row of the matrix: the roles whose credentials, and whose people, come as far as having their input looked at. */
interface Row {
  readonly credentials: Role[];
  readonly people: Role[];
  /** Somebody who has nothing but an invitation. */
  readonly invited: boolean;
}

test('who may do what is as it was reviewed [URS-019] [URS-012]', async () => {
  const unchanged = await inventory(world, tenant);
  const rank = (role: Role): number => Object.keys(roles).indexOf(role);
  const matrix: Record<string, Row> = {};
  for (const id of ids) {
    const granted: Asker[] = [];
    for (const asker of everybody) {
      // A field that no operation has: whoever may is told of it, and nothing is done.
      const input = { ...samples[id](tenant), 'no-such-field': '1' };
      const answer = await ask(world.server, id, input, bearer(asker.secret));
      assert.ok([200, 400, 403].includes(answer.status), `${id} as ${asker.role}: ${answer.text}`);
      if (answer.status !== 403) granted.push(asker);
    }
    const rolesOf = (shows: Asker['shows']): Role[] =>
      granted
        .flatMap((asker) => (asker.shows === shows && asker.role !== undefined ? [asker.role] : []))
        .sort((one, other) => rank(one) - rank(other));
    matrix[id] = {
      credentials: rolesOf('credential'),
      people: rolesOf('session'),
      invited: granted.some(({ shows }) => shows === 'invitation'),
    };
  }
  assert.deepEqual(await inventory(world, tenant), unchanged);
  const snapshot = new URL('../role-matrix.snapshot.json', import.meta.url);
  const reviewed: unknown = JSON.parse(await readFile(snapshot, 'utf8'));
  assert.deepEqual(matrix, reviewed, 'The roles changed: review role-matrix.snapshot.json, then correct it.');
});

test('people never get together what nobody may hold together [URS-020]', async () => {
  const { custodian, auditor } = tenant.people;
  const asker = bySession('custodian', custodian);
  const held = ['custodian', 'data-recovery'];
  const cases = [
    ['people.invite', { name: 'Jo Sample', login: 'jo.sample', roles: held }, 'roles.conflict'],
    ['people.set-roles', { person: auditor.id, roles: held, reason: 'x' }, 'roles.conflict'],
    [
      'people.set-roles',
      { person: auditor.id, roles: ['instance-administrator'], reason: 'x' },
      'roles.foreign',
    ],
    ['people.set-roles', { person: custodian.id, roles: ['auditor'], reason: 'x' }, 'person.self'],
    ['people.reinvite', { person: custodian.id, reason: 'x' }, 'person.self'],
    ['people.leave', { person: custodian.id, reason: 'x' }, 'person.self'],
  ] as const;
  const unchanged = await inventory(world, tenant);
  await assertRecorded(world.reader(tenant), async () => {
    for (const [id, input, code] of cases) {
      assertRefused(id, await ask(world.server, id, input, bearer(asker.secret)), code);
    }
    return cases.map(([id, , code]) => refusal(id, asker, code));
  });
  assert.deepEqual(await inventory(world, tenant), unchanged);
});

test('reading the log, or who one is, fills no log; being refused it does [URS-032]', async () => {
  const unlogged = guarded.filter((id) => operationOf(id).record === 'access-log');
  assert.deepEqual(unlogged, [
    'keys.identify',
    'ledger.checkpoint',
    'ledger.verifier-key',
    'ledger.tile',
    'ledger.proof',
    'ledger.consistency',
    'ledger.bounds',
    'sessions.current',
    'timestamps.list',
  ]);
  const service = byCredential('service', tenant.credentials.service);
  const auditor = bySession('auditor', tenant.people.auditor);
  for (const id of unlogged) {
    const [reader, refused] = id === 'keys.identify' ? [service, auditor] : [auditor, service];
    const read = await askSample(world, id, tenant, reader.secret);
    assert.equal(read.status, 200, `${id}: ${read.text}`);
    assert.deepEqual(await askLedger(world.reader(tenant), { operation: id, outcome: 'success' }), []);
    await assertRecorded(world.reader(tenant), () =>
      refuseAll(world, tenant, refused, [[id, 'access.denied']]),
    );
  }
  assert.ok(ids.filter((id) => !guarded.includes(id) && operations[id].record === 'access-log').length > 0);
});

test('other roles count from the answer on, in a session that began under the old ones [URS-004] [URS-019]', async () => {
  const manager = world.client(tenant.people.custodian.session);
  const [changed] = await world.bringIn(tenant, ['custodian']);
  assert.ok(changed);
  const { id: person, session } = changed;
  assert.equal((await askSample(world, 'keys.create', tenant, session)).status, 200);
  await manager.call('people.set-roles', { person, roles: ['auditor'], reason: 'Another task.' });
  const asker = bySession('auditor', changed);
  const cases = ids.flatMap((id) => {
    const code = refusalOf(asker, id);
    return code === undefined ? [] : [[id, code] as const];
  });
  await assertRecorded(world.reader(tenant), () => refuseAll(world, tenant, asker, cases));
  assert.equal((await askSample(world, 'keys.list', tenant, session)).status, 200);
});

test('what a sample asks for succeeds for whoever may, so that a refusal is due to the caller alone', async () => {
  // What takes proofs of a person has been asked for with the right ones, to make the people of the tenant.
  const proving: OperationId[] = ['sessions.create', 'enrolment.finish'];
  const first = ids.filter((id) => !last.includes(id) && !proving.includes(id));
  const ofInstance: OperationId[] = [
    'tenants.create',
    'tenants.list',
    'roots.permit-change',
    'roots.list-permits',
  ];
  const administrator = await world.newAdministrator();
  // Two more, who could approve what the first asks for.
  for (let more = 0; more < 2; more += 1) await world.newAdministrator();
  for (const id of [...first, ...last]) {
    const asker = ofInstance.includes(id)
      ? bySession('instance-administrator', administrator)
      : askerFor(id, tenant);
    const answer = await askSample(world, id, tenant, asker.secret);
    if (id === 'tenants.seal') tenant = sealedAs(tenant, answer);
    const early = tooEarly[id];
    if (early !== undefined) {
      assertRefused(id, answer, early);
      continue;
    }
    const status = approved.includes(id) ? 202 : signed.includes(id) ? 428 : 200;
    assert.equal(answer.status, status, `${id} as ${asker.shows} ${asker.role}: ${answer.text}`);
  }
});
