import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { awaitApproval, TrialkeepError } from '@trialkeep/sdk/client';
import type { Client, Input, Operations, Output } from '@trialkeep/sdk/client';
import { exportLedger, verifyFolder } from '@trialkeep/sdk/verify';
import { clientOf, makeFolder, newInstallation, ServerProcess } from './harness.ts';
import type { Installation } from './harness.ts';
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

const uses = ['keys.encrypt', 'keys.decrypt', 'keys.generate-data-key', 'keys.decrypt-data-key'] as const;
type Use = (typeof uses)[number];
const isUse = (operation: string): boolean => (uses as readonly string[]).includes(operation);

/** What a client asked for, when it began to (ms of this process's clock), and what became of it. */
interface Attempt {
  readonly use: Use;
  readonly begun: number;
  /** The version of the key that was used; undefined where the request was refused. */
  readonly version: number | undefined;
  readonly code: string | undefined;
}

/** What a client has, to ask for each use of the key. */
interface Material {
  readonly key: string;
  readonly ciphertext: string;
  readonly wrappedDataKey: string;
}

const context = { class: 'ecg' };
const plaintext = Buffer.from('one reading').toString('base64');

async function materialOf(client: Client, key: string): Promise<Material> {
  const { ciphertext } = await client.call('keys.encrypt', { key, context, plaintext });
  const wrapped = await client.call('keys.generate-data-key', { key, context });
  return { key, ciphertext, wrappedDataKey: wrapped.ciphertext };
}

function use(client: Client, id: Use, { key, ciphertext, wrappedDataKey }: Material, reason?: string) {
  const why = reason === undefined ? {} : { reason };
  const inputs: { [Id in Use]: Input<Operations[Id]> } = {
    'keys.encrypt': { key, context, plaintext },
    'keys.decrypt': { key, context, ciphertext, ...why },
    'keys.generate-data-key': { key, context },
    'keys.decrypt-data-key': { key, context, ciphertext: wrappedDataKey, ...why },
  };
  return client.call(id, inputs[id]) as Promise<Output<Operations['keys.decrypt']>>;
}

async function attempt(client: Client, id: Use, material: Material, reason?: string): Promise<Attempt> {
  const begun = performance.now();
  try {
    const { version } = await use(client, id, material, reason);
    return { use: id, begun, version, code: undefined };
  } catch (error) {
    if (!(error instanceof TrialkeepError)) throw error;
    return { use: id, begun, version: undefined, code: error.code };
  }
}

/** How many clients ask at once, and how often each asks before and after the change. */
const clients = 8;
const attemptsEach = 25;

/** Clients that use the key without a pause while `change` happens; gives what they saw, and when the change was acknowledged. */
async function hammer<T>(
  secret: string,
  material: Material,
  change: () => Promise<T>,
  { tried = uses, reason }: { readonly tried?: readonly Use[]; readonly reason?: string } = {},
): Promise<{ attempts: Attempt[]; acknowledged: number; changed: T }> {
  const attempts: Attempt[] = [];
  let acknowledged = Number.POSITIVE_INFINITY;
  let ready = 0;
  let allReady: () => void = () => undefined;
  const warm = new Promise<void>((resolve) => (allReady = resolve));
  const client = async (number: number): Promise<void> => {
    const connection = clientOf(server, secret);
    for (let before = 0, after = 0; after < attemptsEach;) {
      const id = tried[(number + before + after) % tried.length] ?? assert.fail();
      const made = await attempt(connection, id, material, reason);
      attempts.push(made);
      if (made.begun > acknowledged) after += 1;
      else before += 1;
      if (before === attemptsEach && (ready += 1) === clients) allReady();
    }
  };
  const working = Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  await Promise.race([warm, working]);
  // The clients end some attempts after the change, whether or not it came about.
  const changed = await change().finally(() => (acknowledged = performance.now()));
  await working;
  return { attempts, acknowledged, changed };
}

/** The attempts that were begun before the acknowledgement, and those after it; there are enough of both. */
function divide({ attempts, acknowledged }: { attempts: Attempt[]; acknowledged: number }) {
  const { earlier = [], later = [] } = Object.groupBy(attempts, ({ begun }) =>
    begun > acknowledged ? 'later' : 'earlier',
  );
  assert.ok(earlier.length >= clients * attemptsEach && later.length === clients * attemptsEach);
  return { earlier, later };
}

const codesOf = (attempts: readonly Attempt[]): Set<string> =>
  new Set(attempts.map(({ code }) => code ?? 'success'));

/** The tenant's whole ledger, exported, verified against a checkpoint kept before, and read from the export. */
async function exported({ credentials, verifierKey }: Tenant, kept: string): Promise<LedgerEntry[]> {
  const folder = join(makeFolder(), 'ledger');
  await exportLedger(clientOf(server, credentials.auditor.secret), folder, { verifierKey });
  const entries: LedgerEntry[] = [];
  const result = await verifyFolder({
    folder,
    verifierKey,
    keptCheckpoint: Buffer.from(kept),
    onEntry: (index, bytes) =>
      void (entries[index] = JSON.parse(Buffer.from(bytes).toString()) as LedgerEntry),
  });
  assert.deepEqual([result.verdict, result.findings], ['verified', []]);
  return entries;
}

const keep = ({ credentials }: Tenant): Promise<string> =>
  clientOf(server, credentials.auditor.secret).call('ledger.checkpoint', {});

function positionOf(entries: readonly LedgerEntry[], operation: string): number {
  const position = entries.findIndex((entry) => entry.operation === operation && entry.outcome === 'success');
  assert.ok(position > 0, operation);
  return position;
}

/** Successful uses of the key, by services. */
const successes = (entries: readonly LedgerEntry[], key: string): LedgerEntry[] =>
  entries.filter((entry) => isUse(entry.operation) && entry.key === key && entry.outcome === 'success');

test('once a revocation is acknowledged no request for the key succeeds [URS-004] [URS-002]', async () => {
  const tenant = await anotherTenant();
  const { key, credentials } = tenant;
  const custodian = clientOf(server, credentials.custodian.secret);
  const material = await materialOf(clientOf(server, credentials.service.secret), key);
  const kept = await keep(tenant);
  const observed = await hammer(credentials.service.secret, material, () =>
    custodian.call('keys.revoke', { key, cause: 'device-compromise', reason: 'The gateway was stolen.' }),
  );
  assert.equal(observed.changed.state, 'compromised');
  const { earlier, later } = divide(observed);
  assert.deepEqual(codesOf(later), new Set(['key.revoked']));
  assert.ok(earlier.every(({ code }) => code === undefined || code === 'key.revoked'));
  assert.ok(earlier.filter(({ code }) => code === undefined).length >= clients * attemptsEach);

  const entries = await exported(tenant, kept);
  const at = positionOf(entries, 'keys.revoke');
  assert.deepEqual(successes(entries.slice(at), key), []);
  // What the clients saw and what the ledger says is the same, to the number.
  const succeeded = observed.attempts.filter(({ code }) => code === undefined).length;
  assert.equal(successes(entries, key).length, succeeded + 2);
  const refused = entries.filter((entry) => isUse(entry.operation) && entry.code === 'key.revoked');
  assert.equal(refused.length, observed.attempts.length - succeeded);
});

test('what a revoked key protected is read for data recovery with a reason, and never used again [URS-002]', async () => {
  const tenant = await anotherTenant();
  const { key, credentials } = tenant;
  const custodian = clientOf(server, credentials.custodian.secret);
  const recovery = clientOf(server, credentials['data-recovery'].secret);
  const material = await materialOf(clientOf(server, credentials.service.secret), key);
  const kept = await keep(tenant);
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

  const entries = await exported(tenant, kept);
  const after = successes(entries.slice(positionOf(entries, 'keys.revoke')), key);
  assert.deepEqual(new Set(after.map(({ role }) => role)), new Set(['data-recovery']));
  assert.equal(after.length, 3);
});

test('a suspended key does nothing until it is resumed, and then everything again [URS-002]', async () => {
  const tenant = await anotherTenant();
  const { key, credentials } = tenant;
  const custodian = clientOf(server, credentials.custodian.secret);
  const material = await materialOf(clientOf(server, credentials.service.secret), key);
  const kept = await keep(tenant);
  const suspending = await hammer(credentials.service.secret, material, () =>
    custodian.call('keys.suspend', { key, reason: 'An alarm.' }),
  );
  assert.deepEqual(codesOf(divide(suspending).later), new Set(['key.unusable']));
  assert.equal(
    (await attempt(clientOf(server, credentials['data-recovery'].secret), 'keys.decrypt', material, 'x'))
      .code,
    'key.unusable',
  );
  const resuming = await hammer(credentials.service.secret, material, () =>
    custodian.call('keys.resume', { key, reason: 'A false alarm.' }),
  );
  assert.deepEqual(codesOf(divide(resuming).later), new Set(['success']));

  const entries = await exported(tenant, kept);
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
  const tenant = await anotherTenant();
  const { key, credentials } = tenant;
  const custodian = clientOf(server, credentials.custodian.secret);
  const service = clientOf(server, credentials.service.secret);
  const recovery = clientOf(server, credentials['data-recovery'].secret);
  const material = await materialOf(service, key);
  const kept = await keep(tenant);
  const sealing = await hammer(credentials.service.secret, material, () =>
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

  const lifting = await hammer(credentials.service.secret, material, () => liftSeal(tenant));
  assert.deepEqual(codesOf(divide(lifting).later), new Set(['success']));
  const entries = await exported(tenant, kept);
  const between = entries.slice(positionOf(entries, 'tenants.seal'), positionOf(entries, 'tenants.unseal'));
  assert.deepEqual(successes(between, key), []);
  const refused = between.filter(({ operation, code }) => isUse(operation) && code === 'tenant.sealed');
  assert.ok(refused.length >= clients * attemptsEach);
});

test('a rotation disturbs nobody, and from then on the new version protects [URS-003]', async () => {
  const tenant = await anotherTenant();
  const { key, credentials } = tenant;
  const custodian = clientOf(server, credentials.custodian.secret);
  const material = await materialOf(clientOf(server, credentials.service.secret), key);
  const kept = await keep(tenant);
  const observed = await hammer(credentials.service.secret, material, () =>
    custodian.call('keys.rotate', { key }),
  );
  const { later } = divide(observed);
  assert.deepEqual(codesOf(observed.attempts), new Set(['success']));
  for (const { use: id, version } of later) {
    // What was protected before was so under the first version, which only processes now.
    assert.equal(version, id === 'keys.encrypt' || id === 'keys.generate-data-key' ? 2 : 1, id);
  }
  const entries = await exported(tenant, kept);
  const protecting = successes(entries.slice(positionOf(entries, 'keys.rotate')), key).filter(
    ({ operation }) => operation === 'keys.encrypt' || operation === 'keys.generate-data-key',
  );
  assert.deepEqual(new Set(protecting.map(({ version }) => version)), new Set([2]));
});

test('once the revocation of a credential is acknowledged it opens nothing [URS-004] [URS-012]', async () => {
  const tenant = await anotherTenant();
  const { key, credentials } = tenant;
  const custodian = clientOf(server, credentials.custodian.secret);
  const { id: actor, secret } = credentials.service;
  const material = await materialOf(clientOf(server, secret), key);
  const kept = await keep(tenant);
  const observed = await hammer(secret, material, () =>
    custodian.call('credentials.revoke', { credential: actor, reason: 'It was in a log.' }),
  );
  const { earlier, later } = divide(observed);
  assert.deepEqual(codesOf(later), new Set(['auth.revoked']));
  assert.ok(earlier.every(({ code }) => code === undefined || code === 'auth.revoked'));

  // What is being counted is written when the server stops.
  assert.equal(await server.stop(), 0);
  server = await ServerProcess.start(installation.data);
  const entries = await exported(tenant, kept);
  const after = entries
    .slice(positionOf(entries, 'credentials.revoke'))
    .filter((entry) => entry.actor === actor);
  assert.ok(after.every(({ outcome, code }) => outcome === 'refused' && code === 'auth.revoked'));
  // The first refusals of a minute have an entry each; the others are counted, so that nobody can fill the ledger.
  let recorded = 0;
  for (const entry of after) recorded += isUse(entry.operation) ? 1 : await countedIn(tenant, entry);
  assert.equal(recorded, observed.attempts.filter(({ code }) => code === 'auth.revoked').length);
});

/** What ends what a person may do, and what they are told from then on. */
const endings = {
  'people.leave': 'auth.revoked',
  'people.reinvite': 'auth.revoked',
  'people.set-roles': 'access.denied',
  'sessions.end': 'auth.revoked',
} as const;

test('once it is acknowledged that a person may do no more, their session opens nothing [URS-004] [URS-024]', async () => {
  const tenant = await anotherTenant();
  const { id, key, credentials } = tenant;
  const custodian = clientOf(server, credentials.custodian.secret);
  const material = await materialOf(clientOf(server, credentials.service.secret), key);
  // Data recovery reads what revoked keys protected, and is the one use of keys that people have.
  await custodian.call('keys.revoke', { key, cause: 'cessation', reason: 'The trial is over.' });
  const reading = { tried: ['keys.decrypt', 'keys.decrypt-data-key'], reason: 'An inspection.' } as const;
  const kept = await keep(tenant);
  const operations = Object.keys(endings) as (keyof typeof endings)[];
  const invitees = operations.map((operation) => ({
    name: 'Rea Cove',
    login: operation,
    roles: ['data-recovery' as const],
  }));
  const people = await bringIn(server, credentials.custodian.secret, { tenant: id }, invitees);
  for (const [index, operation] of operations.entries()) {
    const { id: person, session } = people[index] ?? assert.fail();
    const reason = 'The task is done.';
    const observed = await hammer(
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
  const entries = await exported(tenant, kept);
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

/** How many refusals an entry stands for. */
async function countedIn({ credentials }: Tenant, { entry, operation }: LedgerEntry): Promise<number> {
  assert.equal(operation, 'instance.authenticate');
  const { payload } = await clientOf(server, credentials.auditor.secret).call('ledger.payload', { entry });
  return (payload as { count: number }).count;
}

/** Attempts until one of another outcome than the first comes, and a few more; at most ten seconds. */
async function untilChanged(client: Client, id: Use, material: Material): Promise<Attempt[]> {
  const attempts = [await attempt(client, id, material)];
  for (let changed = 0; changed < 5;) {
    assert.ok(attempts.length < 1000, 'nothing changed within twenty seconds');
    await pause(20);
    const made = await attempt(client, id, material);
    attempts.push(made);
    if (made.code !== attempts[0]?.code) changed += 1;
  }
  return attempts;
}

test('a credential ends at its date, by the time of the entry [URS-012]', async () => {
  const tenant = await anotherTenant();
  const { key, system, credentials } = tenant;
  const custodian = clientOf(server, credentials.custodian.secret);
  const kept = await keep(tenant);
  const expiresAt = Date.now() + 5000;
  const service = { name: 'short', role: 'service' as const, system, keys: [key], expiresAt };
  const { credential, secret } = await custodian.call('credentials.issue', service);
  const client = clientOf(server, secret);
  const attempts = await untilChanged(client, 'keys.encrypt', await materialOf(client, key));
  assert.deepEqual(codesOf(attempts), new Set(['success', 'auth.expired']));
  const entries = (await exported(tenant, kept)).filter(({ actor }) => actor === credential.id);
  for (const { time, outcome } of entries) assert.equal(outcome === 'success', time < expiresAt);
});

test('a key protects from its activation to its expiry, and processes afterwards [URS-002]', async () => {
  const tenant = await anotherTenant();
  const { system, credentials } = tenant;
  const custodian = clientOf(server, credentials.custodian.secret);
  const kept = await keep(tenant);
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

  const uses = (await exported(tenant, kept)).filter((entry) => entry.key === key && isUse(entry.operation));
  for (const { operation, time, outcome } of uses) {
    const processes = operation.startsWith('keys.decrypt');
    const inTime = time >= activatesAt && (processes || time < expiresAt);
    assert.equal(outcome === 'success', inTime, `${operation} at ${time}`);
  }
});
