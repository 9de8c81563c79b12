import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { awaitApproval } from '@trialkeep/sdk/client';
import { clientOf, newInstallation, ServerProcess } from './harness.ts';
import type { Installation } from './harness.ts';
import {
  attempt,
  attemptsEach,
  clients,
  codesOf,
  divide,
  exported,
  hammer,
  isUse,
  keep,
  materialOf,
  plaintext,
  positionOf,
  successes,
  untilChanged,
  use,
} from './key-uses.ts';
import { approve, bringIn } from './people.ts';
import { newTenant } from './tenant.ts';
import type { LedgerEntry, Tenant } from './tenant.ts';

let installation: Installation;
let server: ServerProcess;
let tenants = 0;

before(async () => {
  installation = await newInstallation();
  server = await ServerProcess.start(installation.data);
});

async function anotherTenant(): Promise<Tenant> {
  tenants += 1;
  return newTenant(server, installation.administrator.secret, `Sponsor ${tenants}`);
}

/** A tenant whose service has used its key; `kept` is the checkpoint of the log as it is then. */
async function arrange() {
  const tenant = await anotherTenant();
  const { key, credentials } = tenant;
  const custodian = clientOf(server, credentials.custodian.secret);
  const material = await materialOf(clientOf(server, credentials.service.secret), key);
  return { tenant, key, credentials, custodian, material, kept: await keep(server, tenant) };
}

test('once a revocation is acknowledged no request for the key succeeds [URS-004] [URS-002]', async () => {
  const { tenant, key, credentials, custodian, material, kept } = await arrange();
  const observed = await hammer(server, credentials.service.secret, material, () =>
    custodian.call('keys.revoke', { key, cause: 'device-compromise', reason: 'The gateway was stolen.' }),
  );
  assert.equal(observed.changed.state, 'compromised');
  const { earlier, later } = divide(observed);
  assert.deepEqual(codesOf(later), new Set(['key.revoked']));
  assert.ok(earlier.every(({ code }) => code === undefined || code === 'key.revoked'));
  assert.ok(earlier.filter(({ code }) => code === undefined).length >= clients * attemptsEach);

  const entries = await exported(server, tenant, kept);
  const at = positionOf(entries, 'keys.revoke');
  assert.deepEqual(successes(entries.slice(at), key), []);
  // What the clients saw and what the ledger says is the same, to the number.
  const succeeded = observed.attempts.filter(({ code }) => code === undefined).length;
  assert.equal(successes(entries, key).length, succeeded + 2);
  const refused = entries.filter((entry) => isUse(entry.operation) && entry.code === 'key.revoked');
  assert.equal(refused.length, observed.attempts.length - succeeded);
});

test('what a revoked key protected is read for data recovery with a reason, and never used again [URS-002]', async () => {
  const { tenant, key, credentials, custodian, material, kept } = await arrange();
  const recovery = clientOf(server, credentials['data-recovery'].secret);
  await custodian.call('keys.revoke', { key, cause: 'vendor-exit', reason: 'The contract has ended.' });
  for (const id of ['keys.decrypt', 'keys.decrypt-data-key'] as const) {
    assert.equal((await attempt(recovery, id, material)).code, 'reason.required');
    assert.equal((await attempt(recovery, id, material, 'Read for the final report.')).version, 1);
  }
  for (const id of ['keys.encrypt', 'keys.generate-data-key'] as const) {
    assert.equal((await attempt(recovery, id, material, 'x')).code, 'access.denied');
  }
  const { plaintext: read } = await use(recovery, 'keys.decrypt', material, 'Read once more.');
  assert.equal(read, plaintext);

  const entries = await exported(server, tenant, kept);
  const after = successes(entries.slice(positionOf(entries, 'keys.revoke')), key);
  assert.deepEqual(new Set(after.map(({ role }) => role)), new Set(['data-recovery']));
  assert.equal(after.length, 3);
});

test('a suspended key does nothing until it is resumed, and then everything again [URS-002]', async () => {
  const { tenant, key, credentials, custodian, material, kept } = await arrange();
  const suspending = await hammer(server, credentials.service.secret, material, () =>
    custodian.call('keys.suspend', { key, reason: 'An alarm.' }),
  );
  assert.deepEqual(codesOf(divide(suspending).later), new Set(['key.unusable']));
  assert.equal(
    (await attempt(clientOf(server, credentials['data-recovery'].secret), 'keys.decrypt', material, 'x'))
      .code,
    'key.unusable',
  );
  const resuming = await hammer(server, credentials.service.secret, material, () =>
    custodian.call('keys.resume', { key, reason: 'A false alarm.' }),
  );
  assert.deepEqual(codesOf(divide(resuming).later), new Set(['success']));

  const entries = await exported(server, tenant, kept);
  const between = entries.slice(positionOf(entries, 'keys.suspend'), positionOf(entries, 'keys.resume'));
  assert.deepEqual(successes(between, key), []);
});

/** Lifts the seal, as three people do together. */
async function liftSeal({ id, credentials }: Tenant): Promise<void> {
  const invitees = (['custodian', 'approver', 'approver'] as const).map((role, index) => ({
    name: `Person ${index}`,
    login: `person.${index}`,
    roles: [role],
  }));
  const people = await bringIn(server, credentials.custodian.secret, { tenant: id }, invitees);
  const [asking, ...deciding] = people;
  const client = clientOf(server, asking?.session ?? assert.fail());
  const { changedAt } = await client.call('tenants.seal-state', {});
  const lift = { reason: 'The alarm was false.', sealedAt: changedAt };
  const asked = await client.attempt('tenants.unseal', lift);
  assert.ok(asked.state === 'approval-needed');
  for (const person of deciding) await approve(server, person.session, person, asked.approval);
  const { state, failure } = await awaitApproval(client, asked.approval, { pollMs: 50 });
  assert.deepEqual([state, failure], ['executed', null]);
}

test('once a tenant is sealed none of its keys is used by anybody, until three people lift the seal [URS-004] [URS-010]', async () => {
  const { tenant, key, credentials, custodian, material, kept } = await arrange();
  const service = clientOf(server, credentials.service.secret);
  const recovery = clientOf(server, credentials['data-recovery'].secret);
  const sealing = await hammer(server, credentials.service.secret, material, () =>
    custodian.call('tenants.seal', { reason: 'An alarm.' }),
  );
  assert.equal(sealing.changed.state, 'sealed');
  const { earlier, later } = divide(sealing);
  assert.deepEqual(codesOf(later), new Set(['tenant.sealed']));
  assert.ok(earlier.every(({ code }) => code === undefined || code === 'tenant.sealed'));
  assert.equal((await attempt(recovery, 'keys.decrypt', material, 'x')).code, 'tenant.sealed');
  const alone = custodian.call('tenants.unseal', { reason: 'x', sealedAt: sealing.changed.changedAt });
  await assert.rejects(alone, { code: 'access.person_required' });
  assert.equal((await attempt(service, 'keys.encrypt', material)).code, 'tenant.sealed');

  const lifting = await hammer(server, credentials.service.secret, material, () => liftSeal(tenant));
  assert.deepEqual(codesOf(divide(lifting).later), new Set(['success']));
  const entries = await exported(server, tenant, kept);
  const between = entries.slice(positionOf(entries, 'tenants.seal'), positionOf(entries, 'tenants.unseal'));
  assert.deepEqual(successes(between, key), []);
  const refused = between.filter(({ operation, code }) => isUse(operation) && code === 'tenant.sealed');
  assert.ok(refused.length >= clients * attemptsEach);
});

test('a rotation disturbs nobody, and from then on the new version protects [URS-003]', async () => {
  const { tenant, key, credentials, custodian, material, kept } = await arrange();
  const observed = await hammer(server, credentials.service.secret, material, () =>
    custodian.call('keys.rotate', { key }),
  );
  const { later } = divide(observed);
  assert.deepEqual(codesOf(observed.attempts), new Set(['success']));
  for (const { use: id, version } of later) {
    // What was protected before was so under the first version, which only processes now.
    assert.equal(version, id === 'keys.encrypt' || id === 'keys.generate-data-key' ? 2 : 1, id);
  }
  const entries = await exported(server, tenant, kept);
  const protecting = successes(entries.slice(positionOf(entries, 'keys.rotate')), key).filter(
    ({ operation }) => operation === 'keys.encrypt' || operation === 'keys.generate-data-key',
  );
  assert.deepEqual(new Set(protecting.map(({ version }) => version)), new Set([2]));
});

test('once the revocation of a credential is acknowledged it opens nothing [URS-004] [URS-012]', async () => {
  const { tenant, credentials, custodian, material, kept } = await arrange();
  const { id: actor, secret } = credentials.service;
  const observed = await hammer(server, secret, material, () =>
    custodian.call('credentials.revoke', { credential: actor, reason: 'It was in a log.' }),
  );
  const { earlier, later } = divide(observed);
  assert.deepEqual(codesOf(later), new Set(['auth.revoked']));
  assert.ok(earlier.every(({ code }) => code === undefined || code === 'auth.revoked'));

  // What is being counted is written when the server stops.
  assert.equal(await server.stop(), 0);
  server = await ServerProcess.start(installation.data);
  const entries = await exported(server, tenant, kept);
  const after = entries
    .slice(positionOf(entries, 'credentials.revoke'))
    .filter((entry) => entry.actor === actor);
  assert.ok(after.every(({ outcome, code }) => outcome === 'refused' && code === 'auth.revoked'));
  // The first refusals of a minute have an entry each; the others are counted, so that nobody can fill the ledger.
  let recorded = 0;
  for (const entry of after) recorded += isUse(entry.operation) ? 1 : await countedIn(tenant, entry);
  assert.equal(recorded, observed.attempts.filter(({ code }) => code === 'auth.revoked').length);
});

/** How many refusals an entry stands for. */
async function countedIn({ credentials }: Tenant, { entry, operation }: LedgerEntry): Promise<number> {
  assert.equal(operation, 'instance.authenticate');
  const { payload } = await clientOf(server, credentials.auditor.secret).call('ledger.payload', { entry });
  return (payload as { count: number }).count;
}

/** What ends what a person may do, and what they are told from then on. */
const endings = {
  'people.leave': 'auth.revoked',
  'people.reinvite': 'auth.revoked',
  'people.set-roles': 'access.denied',
  'sessions.end': 'auth.revoked',
} as const;

test('once it is acknowledged that a person may do no more, their session opens nothing [URS-004] [URS-024]', async () => {
  const { tenant, key, credentials, custodian, material, kept } = await arrange();
  // Data recovery reads what revoked keys protected, and is the one use of keys that people have.
  await custodian.call('keys.revoke', { key, cause: 'cessation', reason: 'The trial is over.' });
  const reading = { tried: ['keys.decrypt', 'keys.decrypt-data-key'], reason: 'An inspection.' } as const;
  const operations = Object.keys(endings) as (keyof typeof endings)[];
  const invitees = operations.map((operation) => ({
    name: 'Rea Cove',
    login: operation,
    roles: ['data-recovery' as const],
  }));
  const people = await bringIn(server, credentials.custodian.secret, { tenant: tenant.id }, invitees);
  for (const [index, operation] of operations.entries()) {
    const { id: person, session } = people[index] ?? assert.fail();
    const reason = 'The task is done.';
    const observed = await hammer(
      server,
      session,
      material,
      async () => {
        if (operation === 'sessions.end') await clientOf(server, session).call(operation, {});
        else if (operation !== 'people.set-roles') await custodian.call(operation, { person, reason });
        else await custodian.call(operation, { person, reason, roles: ['auditor'] });
      },
      reading,
    );
    const { earlier, later } = divide(observed);
    assert.deepEqual(codesOf(later), new Set([endings[operation]]), operation);
    const others = earlier.filter(({ code }) => code !== endings[operation]);
    assert.deepEqual(codesOf(others), new Set(['success']), operation);
  }
  const entries = await exported(server, tenant, kept);
  for (const [index, operation] of operations.entries()) {
    const mine = entries
      .slice(positionOf(entries, operation))
      .filter(({ actor }) => actor === people[index]?.id);
    assert.ok(
      mine.every((entry) => !isUse(entry.operation) || entry.outcome === 'refused'),
      operation,
    );
  }
});

test('a credential ends at its date, by the time of the entry [URS-012]', async () => {
  const tenant = await anotherTenant();
  const { key, system, credentials } = tenant;
  const custodian = clientOf(server, credentials.custodian.secret);
  const kept = await keep(server, tenant);
  const expiresAt = Date.now() + 5000;
  const service = { name: 'short', role: 'service' as const, system, keys: [key], expiresAt };
  const { credential, secret } = await custodian.call('credentials.issue', service);
  const client = clientOf(server, secret);
  const attempts = await untilChanged(client, 'keys.encrypt', await materialOf(client, key));
  assert.deepEqual(codesOf(attempts), new Set(['success', 'auth.expired']));
  const entries = (await exported(server, tenant, kept)).filter(({ actor }) => actor === credential.id);
  for (const { time, outcome } of entries) assert.equal(outcome === 'success', time < expiresAt);
});

test('a key protects from its activation to its expiry, and processes afterwards [URS-002]', async () => {
  const tenant = await anotherTenant();
  const { system, credentials } = tenant;
  const custodian = clientOf(server, credentials.custodian.secret);
  const kept = await keep(server, tenant);
  // Far enough apart for a machine that does much else meanwhile.
  const activatesAt = Date.now() + 5000;
  const expiresAt = activatesAt + 10_000;
  const { id: key, state } = await custodian.call('keys.create', { system, activatesAt, expiresAt });
  assert.equal(state, 'pre-activation');
  const service = { name: 'dated', role: 'service' as const, system, keys: [key] };
  const client = clientOf(server, (await custodian.call('credentials.issue', service)).secret);
  const nothingYet = { key, ciphertext: '', wrappedDataKey: '' };
  const early = await untilChanged(client, 'keys.encrypt', nothingYet);
  assert.deepEqual([...codesOf(early)], ['key.unusable', 'success']);
  const material = await materialOf(client, key);
  const late = await untilChanged(client, 'keys.generate-data-key', material);
  assert.deepEqual([...codesOf(late)], ['success', 'key.unusable']);
  for (const id of ['keys.decrypt', 'keys.decrypt-data-key'] as const) {
    assert.equal((await attempt(client, id, material)).version, 1);
  }
  assert.equal((await custodian.call('keys.show', { key })).key.state, 'deactivated');

  const uses = (await exported(server, tenant, kept)).filter(
    (entry) => entry.key === key && isUse(entry.operation),
  );
  const isInTime = ({ operation, time }: LedgerEntry): boolean =>
    time >= activatesAt && (operation.startsWith('keys.decrypt') || time < expiresAt);
  const isSuccess = ({ outcome }: LedgerEntry): boolean => outcome === 'success';
  // A refusal gets its time after it was decided: the one request that was under way when the key became active.
  const [firstInTime] = uses.filter(({ time }) => time >= activatesAt);
  for (const use of uses) {
    const isUnderWay = use === firstInTime && !isSuccess(use);
    if (!isUnderWay) assert.equal(isSuccess(use), isInTime(use), `${use.operation} at ${use.time}`);
  }
});
