import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import type { RevocationScope } from '@trialkeep/contract';
import type { Entry } from '../audit/index.ts';
import { approveAndRun, arrange, askFor, stateOf } from '../dual-control.fixture.test.ts';
import { makeServer, makeService, makeTenant, refusal, shareServer } from '../fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';
import { findClosure } from '../keys/index.ts';
import { reconcile } from '../reconcile.ts';
import { recoverClosures } from './recover.ts';

const shared = shareServer();
const plaintext = Buffer.from('a value').toString('base64');
const reason = 'An alarm.';
const cause = 'vendor-exit';

/** The states of what a revocation's entries name, in order. */
async function ended(server: TestServer, tenant: string) {
  const entries = await server.entries(tenant);
  return entries.filter(
    ({ operation, outcome }) => operation === 'revocations.revoke' && outcome === 'success',
  );
}

/** A second system of the same vendor, with two keys and a service of its own. */
async function secondSystem(server: TestServer, custodian: string) {
  const named = { name: 'etmf', type: 'etmf' as const, vendor: 'vendor' };
  const { id: system } = await server.admit('systems.create', custodian, named);
  const { id: one } = await server.admit('keys.create', custodian, { system });
  const { id: two } = await server.admit('keys.create', custodian, { system });
  return { system, keys: [one, two], service: await makeService(server, custodian, system, [one, two]) };
}

test('a vendor is ended with everything of its systems, in one change with an entry for each [URS-004]', async () => {
  const server = await shared();
  const { tenant, custodian, key, service, system } = await makeTenant(server);
  const second = await secondSystem(server, custodian);
  const other = await server.admit('systems.create', custodian, {
    name: 'ctms',
    type: 'ctms',
    vendor: 'another',
  });
  const { id: spared } = await server.admit('keys.create', custodian, { system: other.id });
  const sparedService = await makeService(server, custodian, other.id, [spared]);
  await server.admit('keys.generate-data-key', service, { key });

  const scope = { vendor: 'vendor' };
  const previewed = await server.admit('revocations.preview', custodian, { scope });
  assert.deepEqual(previewed.counts, { keys: 3, credentials: 2, people: 0, sessions: 0, studies: 0 });
  assert.deepEqual(previewed.systems.map(({ id }) => id).toSorted(), [system, second.system].toSorted());
  assert.deepEqual(
    previewed.keys.map(({ id, state }) => `${id} ${state}`).toSorted(),
    [key, ...second.keys].map((id) => `${id} active`).toSorted(),
  );
  assert.deepEqual(previewed.dataKeys, { released: 1, boundSeconds: 60, complete: true });
  assert.ok(previewed.stops.some((sentence) => sentence.includes('60 s')));
  await server.admit('keys.encrypt', service, { key, plaintext });

  const asked = { scope, cause, reason, preview: previewed.hash } as const;
  const done = await server.admit('revocations.revoke', custodian, asked);
  assert.deepEqual(done.ended, previewed.counts);
  for (const [credential, of] of [[service, key], ...second.keys.map((id) => [second.service, id])]) {
    await assert.rejects(
      server.admit('keys.encrypt', String(credential), { key: String(of), plaintext }),
      refusal('auth.revoked'),
    );
  }
  await server.admit('keys.encrypt', sparedService, { key: spared, plaintext });
  const { keys } = await server.admit('keys.list', custodian, { system });
  assert.deepEqual(
    keys.map(({ state, revocation }) => [state, revocation?.cause]),
    [['deactivated', cause]],
  );
  const entries = await ended(server, tenant);
  assert.deepEqual(
    entries.map(({ key: named, credential, state, reason: code }) => [
      named === undefined ? (credential === undefined ? 'summary' : 'credential') : 'key',
      state,
      code,
    ]),
    [
      ['credential', 'revoked', cause],
      ['credential', 'revoked', cause],
      ['key', 'deactivated', cause],
      ['key', 'deactivated', cause],
      ['key', 'deactivated', cause],
      ['summary', undefined, cause],
    ],
  );
  assert.equal(entries.at(-1)?.['hash'], previewed.hash);
  assert.equal(new Set(entries.map(({ time }) => time)).size, 1);
  const summary = await server.admit('ledger.payload', custodian, {
    entry: String(entries.at(-1)?.['entry']),
  });
  assert.deepEqual((summary.payload as { input: object }).input, { scope, cause, reason });
});

test('revoking again is no error, adds what is new, and compromises what was only revoked [URS-004]', async () => {
  const server = await shared();
  const { tenant, custodian, key, system } = await makeTenant(server);
  const revoke = (why: 'vendor-exit' | 'breach') =>
    server.admit('revocations.revoke', custodian, { scope: { system }, cause: why, reason });
  assert.equal((await revoke('vendor-exit')).ended.keys, 1);
  const nothing = await revoke('vendor-exit');
  assert.deepEqual(nothing.ended, { keys: 0, credentials: 0, people: 0, sessions: 0, studies: 0 });
  const { id: added } = await server.admit('keys.create', custodian, { system });
  assert.equal((await revoke('vendor-exit')).ended.keys, 1);
  assert.equal((await revoke('breach')).ended.keys, 2);
  assert.equal((await revoke('breach')).ended.keys, 0);
  for (const id of [key, added]) {
    const { key: shown } = await server.admit('keys.show', custodian, { key: id });
    assert.deepEqual([shown.state, shown.revocation?.cause], ['compromised', 'vendor-exit']);
  }
  assert.equal((await ended(server, tenant)).length, 3 + 1 + 2 + 3 + 1);
});

test('where the world has moved since the preview nothing is revoked [URS-004]', async () => {
  const server = await shared();
  const { custodian, system, key, service } = await makeTenant(server);
  const scope = { system };
  const { hash } = await server.admit('revocations.preview', custodian, { scope });
  await server.admit('keys.create', custodian, { system });
  const asked = { scope, cause, reason, preview: hash } as const;
  await assert.rejects(
    server.admit('revocations.revoke', custodian, asked),
    refusal('revocation.preview_outdated'),
  );
  await server.admit('keys.encrypt', service, { key, plaintext });
  const again = await server.admit('revocations.preview', custodian, { scope });
  await server.admit('revocations.revoke', custodian, { ...asked, preview: again.hash });
  await assert.rejects(server.admit('keys.encrypt', service, { key, plaintext }), refusal('auth.revoked'));
});

test('one key, or one credential, ends without the others of its system [URS-004]', async () => {
  const server = await shared();
  const { custodian, system, key, service } = await makeTenant(server);
  const { id: second } = await server.admit('keys.create', custodian, { system });
  const both = await makeService(server, custodian, system, [key, second]);
  await server.admit('revocations.revoke', custodian, { scope: { key }, cause: 'breach', reason });
  await assert.rejects(server.admit('keys.encrypt', both, { key, plaintext }), refusal('key.revoked'));
  await server.admit('keys.encrypt', both, { key: second, plaintext });
  const { credentials } = await server.admit('credentials.list', custodian, {});
  const first = credentials.find(({ keys }) => keys.length === 1);
  assert.ok(first);
  await server.admit('revocations.revoke', custodian, {
    scope: { credential: first.id },
    cause: 'device-compromise',
    reason,
  });
  await assert.rejects(server.admit('keys.encrypt', service, { key, plaintext }), refusal('auth.revoked'));
  await server.admit('keys.encrypt', both, { key: second, plaintext });
});

test('a person ends with every session; nobody ends themselves [URS-004] [URS-028]', async () => {
  const server = await shared();
  const { custodian, requester, one, tenant } = await arrange(server);
  const scope = { person: one.id };
  const previewed = await server.admit('revocations.preview', custodian, { scope });
  assert.deepEqual([previewed.people, previewed.counts.sessions], [[one.id], previewed.sessions.length]);
  assert.ok(previewed.sessions.length > 0 && previewed.streams === 1);
  await assert.rejects(
    server.admit('revocations.revoke', requester.session, {
      scope: { person: requester.id },
      cause: 'role-change',
      reason,
    }),
    refusal('person.self'),
  );
  await server.admit('revocations.revoke', custodian, { scope, cause: 'role-change', reason });
  await assert.rejects(server.admit('keys.list', one.session, {}), refusal('auth.revoked'));
  const states = (await ended(server, tenant)).map(({ session, person, state }) => [
    session === undefined ? 'person' : 'session',
    person,
    state,
  ]);
  assert.deepEqual(states.at(-2), ['person', one.id, 'left']);
  assert.ok(states.slice(0, -2).every(([kind, , state]) => kind === 'session' && state === 'ended'));
});

test('a closed study is closed for services until people reopen it; data recovery reads on [URS-004] [URS-010]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian, system, tenant } = arranged;
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-1' });
  const { id: spared } = await server.admit('studies.create', custodian, { protocol: 'P-2' });
  const { alias: subject } = await server.admit('subjects.create', custodian, { study, number: '1001' });
  const { id: key } = await server.admit('keys.create', custodian, { system });
  const service = await makeService(server, custodian, system, [key]);
  const contexts = [{ study }, { study, subject }];
  const sealed = await Promise.all(
    contexts.map((context) => server.admit('keys.encrypt', service, { key, plaintext, context })),
  );
  const { counts } = await server.admit('revocations.preview', custodian, { scope: { study } });
  assert.equal(counts.studies, 1);
  const revoked = await server.admit('revocations.revoke', custodian, { scope: { study }, cause, reason });
  assert.equal(revoked.ended.studies, 1);
  for (const [i, context] of contexts.entries()) {
    const { ciphertext } = sealed[i] ?? assert.fail();
    const closed = refusal('study.closed');
    await assert.rejects(server.admit('keys.encrypt', service, { key, plaintext, context }), closed);
    await assert.rejects(server.admit('keys.decrypt', service, { key, ciphertext, context }), closed);
    await assert.rejects(server.admit('keys.generate-data-key', service, { key, context }), closed);
  }
  await server.admit('keys.encrypt', service, { key, plaintext, context: { study: spared } });
  await server.admit('keys.encrypt', service, { key, plaintext });
  const { closedAt } = await server.admit('revocations.preview', custodian, { scope: { study } });
  assert.ok(closedAt !== null && closedAt >= revoked.revokedAt);
  const again = { study, closedAt, reason };
  await approveAndRun(arranged, await askFor(arranged, 'revocations.reopen-study', again));
  const [first] = sealed;
  const opened = await server.admit('keys.decrypt', service, {
    key,
    ciphertext: first?.ciphertext ?? '',
    context: { study },
  });
  assert.equal(opened.plaintext, plaintext);
  await assert.rejects(
    server.admit('revocations.reopen-study', arranged.requester.session, again),
    refusal('study.not_closed'),
  );
  const states = (await server.entries(tenant)).filter(
    (entry) => entry['study'] === study && entry['state'] !== undefined,
  );
  assert.deepEqual(
    states.map(({ operation, state }) => [operation, state]),
    [
      ['revocations.revoke', 'closed'],
      ['revocations.reopen-study', 'open'],
    ],
  );
});

test('an approval reopens the closure that it was asked for, and none that was made or renewed since [URS-004] [URS-010]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian, tenant } = arranged;
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-3' });
  const close = () => server.admit('revocations.revoke', custodian, { scope: { study }, cause, reason });
  const look = () => server.admit('revocations.preview', custodian, { scope: { study } });
  const closedAt = async () => (await look()).closedAt ?? assert.fail();
  const askAbout = async (time: number) =>
    askFor(arranged, 'revocations.reopen-study', { study, closedAt: time, reason });
  await close();
  const first = await closedAt();
  const [taken, left] = [await askAbout(first), await askAbout(first)];
  await approveAndRun(arranged, taken);
  assert.equal((await look()).closedAt, null);
  await close();
  const second = await closedAt();
  assert.ok(second > first);
  await approveAndRun(arranged, left);
  assert.deepEqual([await closedAt(), (await stateOf(arranged, left)).state], [second, 'failed']);

  const pending = await askAbout(second);
  const renewed = await close();
  assert.equal(renewed.ended.studies, 0);
  const third = await closedAt();
  assert.ok(third > second);
  await approveAndRun(arranged, pending);
  assert.deepEqual([await closedAt(), (await stateOf(arranged, pending)).state], [third, 'failed']);
  await assert.rejects(askAbout(second), /study.not_closed/);
  const closures = (await ended(server, tenant)).filter((entry) => entry['state'] === 'closed');
  assert.equal(closures.filter((entry) => entry['study'] === study).length, 3);
  await approveAndRun(arranged, await askAbout(third));
  assert.equal((await look()).counts.studies, 1);
});

test('a closure that was renewed after a backup is another one when that is put back [URS-004] [URS-008]', async () => {
  const server = await shared();
  const { custodian, tenant } = await makeTenant(server);
  const { database, hierarchy } = server.instance;
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-4' });
  await server.admit('revocations.revoke', custodian, { scope: { study }, cause, reason });
  const rowKey = await hierarchy.rowKey(tenant);
  const closedAt = () =>
    database.read(async (tx) => (await findClosure(tx, rowKey, tenant, study))?.changed_at ?? 0);
  const first = await closedAt();
  const entry = { operation: 'revocations.revoke', outcome: 'success', state: 'closed', study, time: first };
  const recover = (time: number) =>
    database.write((tx) => recoverClosures(tx, { tenant, rowKey }, [{ ...entry, time } as unknown as Entry]));
  await recover(first);
  assert.equal(await closedAt(), first);
  await recover(first + 5000);
  assert.equal(await closedAt(), first + 5000);
});

test('what was agreed, decapsulated or made as a pair is told apart from data keys, as what has no bound [URS-004]', async () => {
  const server = await shared();
  const { custodian, system, key, service } = await makeTenant(server);
  const { clock } = server;
  const agreement = { system, algorithm: 'ECC_NIST_P256', purpose: 'agree' } as const;
  const { id: own } = await server.admit('keys.create', custodian, agreement);
  const { id: other } = await server.admit('keys.create', custodian, agreement);
  const party = await makeService(server, custodian, system, [own, other]);
  const { publicKey } = await server.admit('keys.public-key', party, { key: other });
  await server.admit('keys.derive-shared-secret', party, { key: own, publicKey });
  await server.admit('keys.generate-data-key-pair', service, { key, algorithm: 'ECC_NIST_P256' });
  await server.admit('keys.generate-data-key', service, { key });
  const scope = { system };
  const soon = await server.admit('revocations.preview', custodian, { scope });
  assert.deepEqual(soon.unbounded, { keyPairs: 1, sharedSecrets: 1, complete: true });
  assert.equal(soon.dataKeys.released, 1);
  clock.time += 3_600_000;
  const later = await server.admit('revocations.preview', custodian, { scope });
  assert.deepEqual(later.unbounded, soon.unbounded);
  assert.deepEqual(later.dataKeys, { released: 0, boundSeconds: 60, complete: true });
  assert.equal(later.stops.filter((sentence) => sentence.includes('no time')).length, 2);
});

test('what the tenant has not is unknown, and a scope is exactly one thing [URS-004]', async () => {
  const server = await shared();
  const { custodian } = await makeTenant(server);
  const other = await makeTenant(server);
  const cases: [RevocationScope, string][] = [
    [{ vendor: 'nobody' }, 'vendor.unknown'],
    [{ system: other.system }, 'system.unknown'],
    [{ key: other.key }, 'key.unknown'],
    [{ study: randomUUID() }, 'study.unknown'],
    [{ person: randomUUID() }, 'person.unknown'],
    [{ credential: randomUUID() }, 'credential.unknown'],
    [{}, 'request.invalid'],
    [{ vendor: 'vendor', key: other.key }, 'request.invalid'],
  ];
  for (const [scope, code] of cases) {
    await assert.rejects(server.admit('revocations.preview', custodian, { scope }), refusal(code));
    await assert.rejects(
      server.admit('revocations.revoke', custodian, { scope, cause, reason }),
      refusal(code),
    );
  }
  await server.admit('keys.encrypt', other.service, { key: other.key, plaintext });
});

test('the only custodian credential is not revoked [URS-004]', async () => {
  const server = await shared();
  const { custodian } = await makeTenant(server);
  const { credentials } = await server.admit('credentials.list', custodian, {});
  const credential = credentials.find(({ role }) => role === 'custodian')?.id ?? assert.fail();
  await assert.rejects(
    server.admit('revocations.revoke', custodian, { scope: { credential }, cause, reason }),
    refusal('credential.last_custodian'),
  );
});

test('rows that were put back after a revocation are noticed at the next start [URS-004] [URS-008]', async (t) => {
  const server = await makeServer(t);
  const { custodian, system } = await makeTenant(server);
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-1' });
  const { instance } = server;
  const tables = ['key', 'credential'] as const;
  const before = await instance.database.read((tx) =>
    Promise.all(tables.map((table) => tx.selectFrom(table).selectAll().execute())),
  );
  await server.admit('revocations.revoke', custodian, { scope: { system }, cause, reason });
  await server.admit('revocations.revoke', custodian, { scope: { study }, cause, reason });
  assert.deepEqual(await reconcile(instance), []);
  await instance.database.write(async (tx) => {
    await tx.deleteFrom('study_closure').execute();
    for (const [i, table] of tables.entries()) {
      for (const row of before[i] ?? []) {
        await tx
          .updateTable(table)
          .set({
            state: row.state,
            seal: row.seal,
            ...('revoked_at' in row && { revoked_at: null, revocation_cause: null }),
          } as object)
          .where('id', '=', row.id)
          .execute();
      }
    }
  });
  const found = (await reconcile(instance)).map((sentence) => sentence.split(' ', 1).join()).toSorted();
  assert.deepEqual(found, ['Credential', 'Key', 'Study']);
});

test('a closure that was put back as it was before it was renewed is noticed at the next start [URS-004] [URS-008]', async (t) => {
  const server = await makeServer(t);
  const { custodian } = await makeTenant(server);
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-1' });
  const { database } = server.instance;
  const close = () => server.admit('revocations.revoke', custodian, { scope: { study }, cause, reason });
  await close();
  const before = await database.read((tx) => tx.selectFrom('study_closure').selectAll().execute());
  await close();
  assert.deepEqual(await reconcile(server.instance), []);
  await database.write(async (tx) => {
    await tx.deleteFrom('study_closure').execute();
    await tx.insertInto('study_closure').values(before).execute();
  });
  assert.match((await reconcile(server.instance)).join(), /became closed at another time/);
});
