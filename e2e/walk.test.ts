import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { before, test } from 'node:test';
import { operations, roles } from '@trialkeep/contract';
import type { ErrorCode, Input, Operation, OperationId, Operations, Role } from '@trialkeep/contract';
import { ask, clientOf, errorOf, newInstallation, ServerProcess } from './harness.ts';
import type { Answer, Installation } from './harness.ts';
import { askLedger, newTenant } from './tenant.ts';
import type { LedgerEntry, Tenant, TenantRole } from './tenant.ts';

/** A tenant with ciphertexts and an entry of its ledger, so that there is something to ask every operation for. */
interface Sampled extends Tenant {
  readonly ciphertext: string;
  readonly wrappedDataKey: string;
  readonly entry: string;
}

const reason = 'A walk over all operations.';
const protect = ({ key, study, subject }: Sampled) => ({ key, context: { study, subject } });

/** An input for each operation that would succeed for whoever may; a new operation needs one here. */
const samples: { readonly [Id in OperationId]: (of: Sampled) => Input<Operations[Id]> } = {
  'instance.status': () => ({}),
  'instance.openapi': () => ({}),
  'tenants.create': () => ({ name: `Tenant ${randomUUID()}` }),
  'tenants.list': () => ({}),
  'studies.create': () => ({ protocol: `Study ${randomUUID()}` }),
  'studies.list': () => ({}),
  'systems.create': () => ({ name: `System ${randomUUID()}`, type: 'ctms', vendor: 'Example vendor' }),
  'systems.list': () => ({}),
  'subjects.create': ({ study }) => ({ study, number: '1002' }),
  'subjects.list': ({ study }) => ({ study }),
  'credentials.issue': ({ system, key }) => ({ name: 'sample', role: 'service', system, keys: [key] }),
  'credentials.list': () => ({}),
  'credentials.revoke': ({ credentials }) => ({ credential: credentials.auditor.id, reason }),
  'keys.create': ({ system }) => ({ system }),
  'keys.list': () => ({}),
  'keys.show': ({ key }) => ({ key }),
  'keys.rotate': ({ key }) => ({ key, reason }),
  'keys.suspend': ({ key }) => ({ key, reason }),
  'keys.resume': ({ key }) => ({ key, reason }),
  'keys.revoke': ({ key }) => ({ key, cause: 'cessation', reason }),
  'keys.encrypt': (of) => ({ ...protect(of), plaintext: 'c2FtcGxl' }),
  'keys.decrypt': (of) => ({ ...protect(of), ciphertext: of.ciphertext, reason }),
  'keys.generate-data-key': protect,
  'keys.decrypt-data-key': (of) => ({ ...protect(of), ciphertext: of.wrappedDataKey, reason }),
  'ledger.query': () => ({}),
  'ledger.payload': ({ entry }) => ({ entry }),
  'ledger.checkpoint': () => ({}),
  'ledger.verifier-key': () => ({}),
  'ledger.tile': () => ({ path: 'entries/000.p/1' }),
};

/**
 * What somebody of another tenant gets who names this tenant's ids. `own`: the operation takes no id of anybody and answers about the
 * caller's own tenant alone. Instance operations are granted by no role of a tenant. Public ones say nothing of any tenant.
 */
const forStrangers: { readonly [Id in OperationId]: ErrorCode | 'own' | 'public' } = {
  'instance.status': 'public',
  'instance.openapi': 'public',
  'tenants.create': 'access.denied',
  'tenants.list': 'access.denied',
  'studies.create': 'own',
  'studies.list': 'own',
  'systems.create': 'own',
  'systems.list': 'own',
  'subjects.create': 'study.unknown',
  'subjects.list': 'study.unknown',
  'credentials.issue': 'system.unknown',
  'credentials.list': 'own',
  'credentials.revoke': 'credential.unknown',
  'keys.create': 'system.unknown',
  'keys.list': 'own',
  'keys.show': 'key.unknown',
  'keys.rotate': 'key.unknown',
  'keys.suspend': 'key.unknown',
  'keys.resume': 'key.unknown',
  'keys.revoke': 'key.unknown',
  'keys.encrypt': 'key.unknown',
  'keys.decrypt': 'key.unknown',
  'keys.generate-data-key': 'key.unknown',
  'keys.decrypt-data-key': 'key.unknown',
  'ledger.query': 'own',
  'ledger.payload': 'entry.unknown',
  'ledger.checkpoint': 'own',
  'ledger.verifier-key': 'own',
  'ledger.tile': 'own',
};

const ids = Object.keys(operations) as OperationId[];
/** Operations that need a credential. */
const guarded = ids.filter((id) => operations[id].permission !== 'public');
const allRoles = Object.keys(roles) as Role[];
const tenantRoles = allRoles.filter((role): role is TenantRole => role !== 'instance-administrator');

let installation: Installation;
let server: ServerProcess;

before(async () => {
  installation = await newInstallation();
  server = await ServerProcess.start(installation.data);
});

let tenants = 0;
async function newSampled(): Promise<Sampled> {
  tenants += 1;
  const tenant = await newTenant(server, installation.administrator.secret, `Sponsor ${tenants}`);
  const context = { study: tenant.study, subject: tenant.subject };
  const service = clientOf(server, tenant.credentials.service.secret);
  const { ciphertext } = await service.call('keys.encrypt', {
    key: tenant.key,
    context,
    plaintext: 'c2FtcGxl',
  });
  const dataKey = await service.call('keys.generate-data-key', { key: tenant.key, context });
  const [first] = await askLedger(auditorOf(tenant));
  assert.ok(first);
  return { ...tenant, ciphertext, wrappedDataKey: dataKey.ciphertext, entry: first.entry };
}

/** A tenant of which nothing exists. */
function nowhere(tenant: Sampled): Sampled {
  const credential = () => ({ id: randomUUID(), secret: '' });
  return {
    ...tenant,
    id: randomUUID(),
    study: randomUUID(),
    system: randomUUID(),
    key: randomUUID(),
    subject: randomBytes(16).toString('hex'),
    entry: randomUUID(),
    credentials: {
      custodian: credential(),
      service: credential(),
      'data-recovery': credential(),
      auditor: credential(),
    },
  };
}

const bearer = (secret: string): string => `Bearer ${secret}`;
const auditorOf = (tenant: Tenant) => clientOf(server, tenant.credentials.auditor.secret);
const instanceLog = () => clientOf(server, installation.administrator.secret);

function grants(role: Role, { permission }: Operation): boolean {
  return permission === 'public' || (roles[role] as readonly string[]).includes(permission);
}

/** A role of a tenant that grants the operation; the custodian where none does. */
function grantingRole(id: OperationId): TenantRole {
  return tenantRoles.find((role) => grants(role, operations[id])) ?? 'custodian';
}

/** A refused request: who asked for what, and why it was refused. */
type Refusal = Required<Pick<LedgerEntry, 'operation' | 'actor' | 'role' | 'code'>>;
const line = ({ operation, actor, role, code }: Partial<Refusal>): string =>
  [operation, actor, role, code].join(' ');

/** Does the work, and holds what it says was refused against the refusals that the log has gained. */
async function assertRecorded(
  reader: ReturnType<typeof clientOf>,
  work: () => Promise<readonly Refusal[]>,
): Promise<void> {
  const earlier = (await askLedger(reader, { outcome: 'refused' })).length;
  const refused = await work();
  const entries = (await askLedger(reader, { outcome: 'refused' })).slice(earlier);
  assert.deepEqual(entries.map(line), refused.map(line));
}

/** Everything of a tenant that a change could show in. */
async function inventory({ credentials, study }: Tenant): Promise<object> {
  const client = clientOf(server, credentials.custodian.secret);
  return {
    studies: await client.call('studies.list', {}),
    systems: await client.call('systems.list', {}),
    subjects: await client.call('subjects.list', { study }),
    credentials: await client.call('credentials.list', {}),
    keys: await client.call('keys.list', {}),
  };
}

function assertRefused(id: OperationId, answer: Answer, status: number, code: ErrorCode): void {
  const error = errorOf(answer);
  assert.deepEqual([error.status, error.code], [status, code], `${id}: ${answer.text}`);
  assert.ok(error.message.length > 10 && error.fix.length > 10, answer.text);
}

test('every operation has a sample and an expectation', () => {
  assert.deepEqual(Object.keys(samples), ids);
  assert.deepEqual(Object.keys(forStrangers), ids);
  for (const id of ids) {
    assert.equal(forStrangers[id] === 'public', operations[id].permission === 'public', id);
  }
});

test('what a sample asks for succeeds for whoever may, so that a refusal is due to the caller alone', async () => {
  const tenant = await newSampled();
  // What ends the use of something comes last.
  const last: OperationId[] = ['keys.suspend', 'keys.resume', 'keys.revoke', 'credentials.revoke'];
  for (const id of [...ids.filter((each) => !last.includes(each)), ...last]) {
    const role = allRoles.find((each) => grants(each, operations[id]));
    assert.ok(role, `no role grants ${id}`);
    const { secret } =
      role === 'instance-administrator' ? installation.administrator : tenant.credentials[role];
    // The administrator's own log has other entries than the tenant's.
    const authorization = id === 'ledger.payload' ? tenant.credentials.custodian.secret : secret;
    const answer = await ask(server, id, samples[id](tenant), bearer(authorization));
    assert.equal(answer.status, 200, `${id} as ${role}: ${answer.text}`);
  }
});

test('nobody without a credential gets in; what they try is counted by source and minute [URS-019] [URS-032]', async () => {
  const tenant = await newSampled();
  const unchanged = await inventory(tenant);
  let tried = 0;
  const strangers = [
    undefined,
    bearer(`tkc_${randomBytes(32).toString('base64url')}`),
    'Basic dTpw',
    'Bearer ?',
  ];
  for (const id of guarded) {
    for (const authorization of strangers) {
      const answer = await ask(server, id, samples[id](tenant), authorization);
      assertRefused(id, answer, 401, 'auth.required');
      tried += 1;
    }
  }
  // Public operations are for whoever asks: they show that the server is up and how to talk to it, and name no tenant.
  for (const id of ids.filter((each) => !guarded.includes(each))) {
    const answer = await ask(server, id, samples[id](tenant));
    assert.equal(answer.status, 200, id);
    assert.ok(!answer.text.includes(tenant.name) && !answer.text.includes(tenant.id));
  }
  assert.deepEqual(await inventory(tenant), unchanged);

  // What is still being counted is written when the server stops.
  assert.equal(await server.stop(), 0);
  server = await ServerProcess.start(installation.data);
  const client = instanceLog();
  const entries = await askLedger(client, { operation: 'instance.authenticate' });
  const seen = new Set<string>();
  let counted = 0;
  for (const { entry, outcome, code, actor } of entries) {
    assert.deepEqual([outcome, code, actor], ['refused', 'auth.required', undefined]);
    const { payload } = await client.call('ledger.payload', { entry });
    const {
      source,
      minute,
      count,
      operations: named,
    } = payload as {
      source: string;
      minute: number;
      count: number;
      operations: string[];
    };
    assert.equal(source, '127.0.0.1');
    assert.equal(minute % 60_000, 0);
    counted += count;
    for (const id of named) seen.add(id);
  }
  assert.equal(counted, tried);
  assert.deepEqual([...seen].sort(), [...guarded].sort());
});

test("another tenant's ids are refused as ids that do not exist [URS-019] [URS-049]", async () => {
  const [here, elsewhere] = [await newSampled(), await newSampled()];
  const unchanged = await inventory(here);
  const names = [here.id, here.name, here.study, here.system, here.key, here.subject, here.entry];
  names.push(here.verifierKey, ...Object.values(here.credentials).map(({ id }) => id));
  const credentialFor = (id: OperationId) => elsewhere.credentials[grantingRole(id)];

  for (const id of ids.filter((each) => forStrangers[each] === 'own')) {
    const answer = await ask(server, id, samples[id](here), bearer(credentialFor(id).secret));
    assert.equal(answer.status, 200, `${id}: ${answer.text}`);
    for (const name of names)
      assert.ok(!answer.text.includes(name), `${id} tells of another tenant: ${name}`);
  }
  const refused = guarded.filter((id) => forStrangers[id] !== 'own');
  const status = (code: ErrorCode): number => (code === 'access.denied' ? 403 : 404);
  await assertRecorded(auditorOf(elsewhere), async () => {
    const refusals: Refusal[] = [];
    for (const id of refused) {
      const code = forStrangers[id] as ErrorCode;
      const { id: actor, secret } = credentialFor(id);
      const answers: object[] = [];
      for (const target of [here, nowhere(here)]) {
        const answer = await ask(server, id, samples[id](target), bearer(secret));
        assertRefused(id, answer, status(code), code);
        answers.push({ ...errorOf(answer), requestId: '' });
        refusals.push({ operation: id, actor, role: grantingRole(id), code });
      }
      assert.deepEqual(answers[0], answers[1], `${id} tells that the id exists`);
    }
    return refusals;
  });
  assert.deepEqual(await inventory(here), unchanged);
  const strangers = new Set(Object.values(elsewhere.credentials).map(({ id }) => id));
  const entries = await askLedger(auditorOf(here));
  assert.ok(entries.every(({ actor }) => !strangers.has(actor ?? '')));
});

test("one's own key opens nothing of another tenant's, and takes no study or subject of it [URS-049]", async () => {
  const [here, elsewhere] = [await newSampled(), await newSampled()];
  const service = bearer(elsewhere.credentials.service.secret);
  const { key, study } = elsewhere;
  const foreign = { study: here.study, subject: here.subject };
  const cases: [OperationId, Record<string, unknown>, ErrorCode][] = [
    ['keys.decrypt', { key, ciphertext: here.ciphertext }, 'ciphertext.invalid'],
    ['keys.decrypt-data-key', { key, ciphertext: here.wrappedDataKey }, 'ciphertext.invalid'],
    ['keys.decrypt', { key, ciphertext: here.ciphertext, context: foreign }, 'study.unknown'],
    ['keys.encrypt', { key, plaintext: '', context: foreign }, 'study.unknown'],
    ['keys.encrypt', { key, plaintext: '', context: { study, subject: here.subject } }, 'subject.unknown'],
    ['keys.generate-data-key', { key, context: { study: here.study } }, 'study.unknown'],
  ];
  for (const [id, input, code] of cases) {
    const answer = await ask(server, id, input, service);
    assertRefused(id, answer, code === 'ciphertext.invalid' ? 400 : 404, code);
  }
  const custodian = bearer(elsewhere.credentials.custodian.secret);
  const issue = { name: 'x', role: 'service', system: elsewhere.system, keys: [here.key] };
  assertRefused(
    'credentials.issue',
    await ask(server, 'credentials.issue', issue, custodian),
    404,
    'key.unknown',
  );
  const filtered = await ask(server, 'keys.list', { system: here.system }, custodian);
  assert.equal(filtered.text, '{"keys":[]}');
});

test("a service sees no key but those that its credential names, of its own tenant's either [URS-012]", async () => {
  const tenant = await newSampled();
  const custodian = clientOf(server, tenant.credentials.custodian.secret);
  const { id: unnamed } = await custodian.call('keys.create', { system: tenant.system });
  const uses = ids.filter((id) => operations[id].effect === 'use');
  assert.equal(uses.length, 4);
  const { id: actor, secret } = tenant.credentials.service;
  await assertRecorded(auditorOf(tenant), async () => {
    const refusals: Refusal[] = [];
    for (const id of uses) {
      const answers: object[] = [];
      for (const key of [unnamed, randomUUID()]) {
        const answer = await ask(server, id, samples[id]({ ...tenant, key }), bearer(secret));
        assertRefused(id, answer, 404, 'key.unknown');
        answers.push({ ...errorOf(answer), requestId: '' });
        refusals.push({ operation: id, actor, role: 'service', code: 'key.unknown' });
      }
      assert.deepEqual(answers[0], answers[1]);
    }
    return refusals;
  });
});

test('a role gets what it grants and nothing else, and every refusal is recorded [URS-019] [URS-032]', async () => {
  const tenant = await newSampled();
  const unchanged = await inventory(tenant);
  for (const role of allRoles) {
    const isInstance = role === 'instance-administrator';
    const { id: actor, secret } = isInstance ? installation.administrator : tenant.credentials[role];
    await assertRecorded(isInstance ? instanceLog() : auditorOf(tenant), async () => {
      const refusals: Refusal[] = [];
      for (const id of ids.filter((each) => !grants(role, operations[each]))) {
        assertRefused(id, await ask(server, id, samples[id](tenant), bearer(secret)), 403, 'access.denied');
        refusals.push({ operation: id, actor, role, code: 'access.denied' });
      }
      return refusals;
    });
  }
  assert.deepEqual(await inventory(tenant), unchanged);
});

test('who may do what is as it was reviewed [URS-019] [URS-012]', async () => {
  const tenant = await newSampled();
  const matrix: Record<string, Role[]> = {};
  for (const id of ids) {
    const granted: Role[] = [];
    for (const role of allRoles) {
      const { secret } =
        role === 'instance-administrator' ? installation.administrator : tenant.credentials[role];
      // A field that no operation has: whoever may is told of it, and nothing is done.
      const input = { ...samples[id](tenant), 'no-such-field': '1' };
      const answer = await ask(server, id, input, bearer(secret));
      assert.ok([200, 400, 403].includes(answer.status), `${id} as ${role}: ${answer.text}`);
      if (answer.status !== 403) granted.push(role);
    }
    matrix[id] = granted;
  }
  const reviewed: unknown = JSON.parse(
    await readFile(new URL('role-matrix.snapshot.json', import.meta.url), 'utf8'),
  );
  assert.deepEqual(matrix, reviewed, 'The roles changed: review role-matrix.snapshot.json, then correct it.');
});

test('a revoked credential gets nothing, and what it tries is recorded under its name [URS-019] [URS-032]', async () => {
  const tenant = await newSampled();
  const custodian = clientOf(server, tenant.credentials.custodian.secret);
  const reader = await custodian.call('credentials.issue', { name: 'reader', role: 'auditor' });
  const second = await custodian.call('credentials.issue', { name: 'second custodian', role: 'custodian' });
  const revoker = clientOf(server, second.secret);
  for (const role of tenantRoles) {
    await revoker.call('credentials.revoke', { credential: tenant.credentials[role].id, reason });
  }
  await assertRecorded(clientOf(server, reader.secret), async () => {
    const refusals: Refusal[] = [];
    for (const id of guarded) {
      const role = grantingRole(id);
      const revoked = tenant.credentials[role];
      assertRefused(
        id,
        await ask(server, id, samples[id](tenant), bearer(revoked.secret)),
        401,
        'auth.revoked',
      );
      refusals.push({ operation: id, actor: revoked.id, role, code: 'auth.revoked' });
    }
    return refusals;
  });
});

test('reading the log itself fills no log; being refused it does [URS-032]', async () => {
  const tenant = await newSampled();
  const unlogged = guarded.filter((id) => operations[id].record === 'access-log');
  assert.deepEqual(unlogged, ['ledger.checkpoint', 'ledger.verifier-key', 'ledger.tile']);
  for (const id of unlogged) {
    const { auditor, service } = tenant.credentials;
    const read = await ask(server, id, samples[id](tenant), bearer(auditor.secret));
    assert.equal(read.status, 200, `${id}: ${read.text}`);
    assert.deepEqual(await askLedger(auditorOf(tenant), { operation: id }), []);
    const denied = await ask(server, id, samples[id](tenant), bearer(service.secret));
    assertRefused(id, denied, 403, 'access.denied');
    const entries = await askLedger(auditorOf(tenant), { operation: id });
    assert.deepEqual(
      entries.map(({ actor, outcome }) => [actor, outcome]),
      [[service.id, 'refused']],
    );
  }
});
