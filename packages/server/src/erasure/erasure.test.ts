import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { recordedStates, tellingEntries } from '../audit/index.ts';
import {
  approveAndRun,
  approveByBoth,
  arrange,
  askFor,
  plaintext,
  reason,
  signInAgain,
  stateOf,
} from '../dual-control.fixture.test.ts';
import type { Arranged } from '../dual-control.fixture.test.ts';
import { makeServer, makeService, refusal } from '../fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';
import { instancePlace } from '../instance/index.ts';
import { Hierarchy } from '../keys/index.ts';
import { openRoot } from '../roots/index.ts';
import { ShredStore } from '../shred/index.ts';
import { recoverErasures } from './recover.ts';

/** A study with subjects, each with something encrypted. */
async function makeStudy(server: TestServer, arranged: Arranged, count: number) {
  const { custodian, system } = arranged;
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-1' });
  const { id: key } = await server.admit('keys.create', custodian, { system });
  const service = await makeService(server, custodian, system, [key]);
  const sealed = new Map<
    string,
    { key: string; ciphertext: string; context: { study: string; subject: string } }
  >();
  for (let i = 0; i < count; i++) {
    const { alias } = await server.admit('subjects.create', custodian, { study, number: `${i}` });
    const context = { study, subject: alias };
    const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext, context });
    sealed.set(alias, { key, ciphertext, context });
  }
  const opens = async (alias: string): Promise<string> =>
    server.admit('keys.decrypt', service, sealed.get(alias) ?? assert.fail()).then(
      () => 'opens',
      (error: { code: string }) => error.code,
    );
  return { study, aliases: [...sealed.keys()], opens };
}

async function erase(arranged: Arranged, study: string, alias: string): Promise<void> {
  await approveAndRun(arranged, await askFor(arranged, 'subjects.erase', { study, alias, reason }));
}

async function statesOf({ server, custodian }: Arranged, study: string): Promise<Map<string, string>> {
  const { subjects } = await server.admit('subjects.list', custodian, { study });
  return new Map(subjects.map(({ alias, state }) => [alias, state]));
}

/** Lets time pass and does what is due. */
async function later(server: TestServer, ms: number): Promise<void> {
  server.clock.time += ms;
  await server.runJobs();
}

const epochFiles = ({ instance }: TestServer) =>
  readdirSync(instance.directory.root)
    .filter((name) => name.startsWith('epoch'))
    .sort();

function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-erasure-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** In the order of their first members. */
const byFirst = ([one = '']: readonly string[], [other = '']: readonly string[]): number =>
  one < other ? -1 : 1;

test('an erasure ends in a new epoch, and is complete when every holder has attested or expired [URS-006] [URS-037]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { custodian, requester, tenant } = arranged;
  const { study, aliases, opens } = await makeStudy(server, arranged, 6);
  const [gone = '', second = '', third = '', kept = ''] = aliases;
  const place = { name: 'Tape in the vault', contact: 'The operators' };
  const { id: tape } = await server.admit('holders.register', custodian, { kind: 'backup', ...place });
  const expiresAt = server.clock.time + 3_600_000;
  await server.admit('holders.register', custodian, { kind: 'export', ...place, study, expiresAt });
  const { id: other } = await server.admit('studies.create', custodian, { protocol: 'P-2' });
  await server.admit('holders.register', custodian, { kind: 'site', ...place, study: other });
  const requests = await Promise.all(
    [gone, second, third].map((alias) => askFor(arranged, 'subjects.erase', { study, alias, reason })),
  );
  for (const approval of requests) await approveByBoth(arranged, approval);
  await server.runJobs();
  await later(server, 15_000);
  // Three erasures close together share one change of the epoch.
  assert.deepEqual(epochFiles(server), ['epoch-2.json']);
  assert.deepEqual([await opens(gone), await opens(kept)], ['subject.unknown', 'opens']);
  await server.admit('subjects.create', custodian, { study, number: 'after' });
  await later(server, 61_000);
  assert.equal((await statesOf(arranged, study)).get(gone), 'erasing');
  const attest = (input: object) =>
    server.admit('holders.attest', requester.session, { holder: tape, reason: 'Shredded.', ...input });
  await attest({ study, subject: gone });
  await server.runJobs();
  // The export has it until its date.
  assert.equal((await statesOf(arranged, study)).get(gone), 'erasing');
  await later(server, 3_600_000);
  assert.deepEqual(
    [...(await statesOf(arranged, study))].filter(([, state]) => state !== 'active').toSorted(byFirst),
    [
      [gone, 'erased'],
      [second, 'erasing'],
      [third, 'erasing'],
    ].toSorted(byFirst),
  );
  const again = await signInAgain(arranged);
  const ended = await server.admit('holders.attest', again.requester.session, { holder: tape, reason });
  assert.equal(ended.state, 'ended');
  await server.runJobs();
  assert.equal((await statesOf(arranged, study)).get(third), 'erased');
  const said = (await server.entries(tenant)).filter(
    ({ operation, subject }) => operation === 'subjects.erase' && subject === gone,
  );
  assert.deepEqual(
    said.map(({ outcome, actor, state }) => [outcome, actor, state]),
    [
      ['requested', requester.id, undefined],
      ['success', requester.id, 'erasing'],
      ['success', undefined, 'erasing'],
      ['success', undefined, 'erased'],
    ],
  );
  await assert.rejects(
    server.admit('holders.attest', custodian, { holder: tape, reason }),
    refusal('access.person_required'),
  );
  assert.deepEqual([await opens(kept), await opens(gone)], ['opens', 'subject.unknown']);
});

test('a copy of the store from before does not open with the present root folder [URS-037]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { instance } = server;
  const { database, directory } = instance;
  const { study, aliases } = await makeStudy(server, arranged, 3);
  const [gone = '', kept = ''] = aliases;
  const folder = makeFolder(t);
  const copy = new DatabaseSync(directory.shredStore, { readOnly: true });
  copy.exec(`vacuum into '${join(folder, 'shred.db')}'`);
  copy.close();
  cpSync(directory.root, join(folder, 'root'), { recursive: true });
  await erase(arranged, study, gone);
  await later(server, 15_000);
  const shred = ShredStore.open(join(folder, 'shred.db'));
  t.after(() => shred.close());
  const row = await database.read((tx) => tx.selectFrom('instance').selectAll().executeTakeFirstOrThrow());
  const openWith = async (rootFolder: string, alias: string) => {
    const { root, epochs } = await openRoot(rootFolder);
    const instanceKey = await root.unwrap(instancePlace(row.id), row.wrapped_key);
    const hierarchy = new Hierarchy({ epochs, instanceKey, database, shred });
    return hierarchy.shreddable(arranged.tenant, 'subject', alias);
  };
  for (const alias of [gone, kept]) {
    await assert.rejects(openWith(directory.root, alias), { code: 'root.epoch_missing' });
  }
  // With a copy of the root's folder from then it does: why such copies are holders.
  assert.ok(await openWith(join(folder, 'root'), gone));
});

test('rows move while others read and write, and a run that was interrupted is gone on with [URS-037]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { hierarchy, shred, epochs } = server.instance;
  const { tenant } = arranged;
  const aliases = Array.from({ length: 1200 }, (_, i) => i.toString(16).padStart(32, '0'));
  for (const alias of aliases) await hierarchy.createShreddable(tenant, 'subject', alias);
  const { renewEpoch } = await import('./renewal.ts');
  let moves = 0;
  const failing = Object.create(shred) as ShredStore;
  failing.move = async (moved) => {
    if (++moves === 2) throw new Error('The power went.');
    await shred.move(moved);
  };
  for (const name of ['epoch', 'advance', 'olderThan'] as const) {
    Object.assign(failing, { [name]: shred[name].bind(shred) });
  }
  await assert.rejects(renewEpoch({ epochs, shred: failing }), /The power went/);
  assert.deepEqual(epochs.numbers(), [1, 2]);
  const reads = async (): Promise<void> => {
    for (const alias of aliases.filter((_, i) => i % 40 === 0)) {
      hierarchy.releaseTenant(tenant);
      assert.ok(await hierarchy.shreddable(tenant, 'subject', alias));
    }
    assert.ok(await hierarchy.createShreddable(tenant, 'subject', 'f'.repeat(32)));
  };
  const [renewed] = await Promise.all([renewEpoch({ epochs, shred }), reads()]);
  assert.deepEqual([renewed.number, epochs.numbers()], [2, [2]]);
  await reads().catch(() => undefined);
  assert.deepEqual(await shred.olderThan(2, 10), []);
  for (const alias of [aliases[0], aliases.at(-1), 'f'.repeat(32)]) {
    hierarchy.releaseTenant(tenant);
    assert.ok(await hierarchy.shreddable(tenant, 'subject', alias ?? ''));
  }
});

test('a hold on the subject, its study or the tenant refuses an erasure, asked for or approved [URS-006] [URS-037]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { custodian, requester } = arranged;
  const { study, aliases } = await makeStudy(server, arranged, 2);
  const [alias = '', other = ''] = aliases;
  const until = server.clock.time + 1_000_000;
  const approval = await askFor(arranged, 'subjects.erase', { study, alias, reason });
  await server.admit('holds.place', custodian, { study, subject: alias, kind: 'retention', until, reason });
  await approveByBoth(arranged, approval);
  await server.runJobs();
  const { state, failure } = await stateOf(arranged, approval);
  assert.deepEqual([state, failure], ['failed', 'hold.applies']);
  await assert.rejects(
    server.admit('subjects.erase', requester.session, { study, alias, reason }),
    refusal('hold.applies'),
  );
  const free = await askFor(arranged, 'subjects.erase', { study, alias: other, reason });
  await server.admit('holds.place', custodian, { study, kind: 'retention', until, reason });
  await approveByBoth(arranged, free);
  await server.runJobs();
  assert.equal((await stateOf(arranged, free)).failure, 'hold.applies');
  server.clock.time = until;
  const again = await signInAgain(arranged);
  await erase(again, study, other);
  assert.equal((await statesOf(again, study)).get(other), 'erasing');
  await assert.rejects(
    server.admit('holds.place', custodian, { study, subject: other, kind: 'legal', reason }),
    refusal('key.unusable'),
  );
});

test('what is asked of holds and holders wrongly is refused, each with its own error [URS-006]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { custodian, key } = arranged;
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P' });
  const place = { kind: 'legal', reason } as const;
  const nobody = '0'.repeat(32);
  const cases: [() => Promise<unknown>, string][] = [
    [() => server.admit('holds.place', custodian, { ...place, kind: 'retention' }), 'hold.until'],
    [() => server.admit('holds.place', custodian, { ...place, until: 5 }), 'date.past'],
    [() => server.admit('holds.place', custodian, { ...place, key, study }), 'hold.several_things'],
    [() => server.admit('holds.place', custodian, { ...place, subject: nobody }), 'hold.several_things'],
    [() => server.admit('holds.place', custodian, { ...place, study, subject: nobody }), 'subject.unknown'],
    [() => server.admit('holds.place', custodian, { ...place, key: study }), 'key.unknown'],
    [
      () => server.admit('holds.release', arranged.requester.session, { hold: study, reason }),
      'access.denied',
    ],
    [
      () =>
        server.admit('holders.register', server.administrator, {
          kind: 'site',
          name: 'x',
          contact: 'y',
          key,
        }),
      'key.unknown',
    ],
    [
      () => server.admit('holders.attest', arranged.requester.session, { holder: study, reason }),
      'holder.unknown',
    ],
  ];
  for (const [asked, code] of cases) await assert.rejects(asked(), refusal(code), code);
  // One person holds no roles that together destroy and release.
  const invited = server.admit('people.invite', custodian, {
    name: 'Both',
    login: 'both@example.org',
    roles: ['custodian', 'records-manager'],
  });
  await assert.rejects(invited, /./);
});

test('a restore forgets neither holds, holders nor erasures: the ledger has what they are [URS-006] [URS-080]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrange(server);
  const { custodian, requester, tenant } = arranged;
  const { database, hierarchy, ledger, shred } = server.instance;
  const { study, aliases } = await makeStudy(server, arranged, 2);
  const [gone = '', kept = ''] = aliases;
  await erase(arranged, study, gone);
  const { id: hold } = await server.admit('holds.place', custodian, {
    study,
    subject: kept,
    kind: 'legal',
    reason,
  });
  const place = { kind: 'escrow', name: 'Notary', contact: 'The notary' } as const;
  const { id: holder } = await server.admit('holders.register', custodian, place);
  await server.admit('holders.attest', requester.session, { holder, study, subject: gone, reason });
  const log = ledger.logOfTenant(tenant) ?? assert.fail();
  const before = await database.read(async (tx) => ({
    holds: await tx.selectFrom('hold').selectAll().execute(),
    attestations: await tx.selectFrom('holder_attestation').selectAll().execute(),
  }));
  await database.write(async (tx) => {
    for (const table of ['holder_attestation', 'holder', 'hold', 'erasure'] as const)
      await tx.deleteFrom(table).execute();
    await tx.updateTable('subject').set({ state: 'active' }).execute();
  });
  const { recoverHolds } = await import('../holds/index.ts');
  const { recoverHolders } = await import('../holders/index.ts');
  const rowKey = await hierarchy.rowKey(tenant);
  const entries = await tellingEntries(database, log.id);
  const erasures = await recoverErasures(shred, tenant, entries);
  assert.deepEqual(erasures.unerased, []);
  for (let times = 0; times < 2; times++) {
    await database.write(async (tx) => {
      await recoverHolds(tx, { tenant, rowKey }, entries);
      await recoverHolders(tx, { log: log.id, rowKey }, entries);
      await erasures.apply(tx, rowKey, server.clock.time);
    });
  }
  const after = await database.read(async (tx) => ({
    holds: await tx.selectFrom('hold').selectAll().execute(),
    attestations: await tx.selectFrom('holder_attestation').selectAll().execute(),
  }));
  assert.deepEqual(after, before);
  assert.equal((await database.read((tx) => recordedStates(tx, log.id))).hold.get(hold)?.state, 'placed');
  const { holders } = await server.admit('holders.list', custodian, {});
  assert.deepEqual(
    holders.map(({ id, kind, state }) => [id, kind, state]),
    [[holder, 'escrow', 'registered']],
  );
  // The key is there again: it is removed anew.
  await hierarchy.createShreddable(tenant, 'subject', gone);
  assert.deepEqual((await recoverErasures(shred, tenant, entries)).unerased, [
    { tenant, study, subject: gone },
  ]);
});
