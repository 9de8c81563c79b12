import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import {
  compactKeyOfExit,
  createEscrowKey,
  decodeExitKeys,
  exitPageContext,
  firstOpened,
  maximumExitPageBytes,
  nextOpened,
  openBytes,
  openCompact,
  openEscrowKey,
  signExitReceipt,
} from '@trialkeep/crypto';
import type { EscrowKey, ExitKey, ExitPart } from '@trialkeep/crypto';
import { tellingEntries } from '../audit/index.ts';
import {
  approveAndRun,
  arrange,
  askFor,
  dayMs,
  plaintext,
  reason,
  signInAgain,
} from '../dual-control.fixture.test.ts';
import type { Arranged } from '../dual-control.fixture.test.ts';
import { makeServer, makeService, makeTenant, refusal } from '../fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';
import { idBytes } from '../platform/ids.ts';
import { reconcile } from '../reconcile.ts';
import { bringInLine } from '../recovery/index.ts';
import { recoverExit } from './recover.ts';
import { exitTables, otherTables } from './tables.ts';

const cost = { m: 19_456, t: 2 };
const passphrase = 'correct horse battery staple';

async function makePair(): Promise<{ publicFile: string; key: EscrowKey }> {
  const made = await createEscrowKey({ name: 'Sponsor', passphrase, timeMs: 1_700_000_000_000, cost });
  return { publicFile: made.publicFile, key: await openEscrowKey(made.privateFile, passphrase) };
}

/** A tenant with a study, subjects, keys of several kinds and something encrypted. */
async function arrangeLeaving(server: TestServer) {
  const arranged = await arrange(server);
  const { custodian, system } = arranged;
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-1' });
  const { alias } = await server.admit('subjects.create', custodian, { study, number: '1' });
  const { id: key } = await server.admit('keys.create', custodian, { system });
  await server.admit('keys.create', custodian, { system, algorithm: 'ED25519' });
  await server.admit('keys.create', custodian, { system, algorithm: 'HMAC_256' });
  const service = await makeService(server, custodian, system, [key]);
  const context = { study, subject: alias };
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext });
  const wrapped = await server.admit('keys.generate-data-key', service, { key, context });
  return { ...arranged, study, alias, usable: key, service, sealed: ciphertext, wrapped, context };
}
type Leaving = Awaited<ReturnType<typeof arrangeLeaving>>;

async function beginExit(
  arranged: Arranged,
  recipient: string,
  more: { uses?: 'none' } = {},
): Promise<string> {
  const { server, custodian } = arranged;
  await approveAndRun(arranged, await askFor(arranged, 'tenants.exit', { recipient, reason, ...more }));
  return (await server.admit('tenants.exit-state', custodian, {})).exit;
}

/** Takes the whole copy, and opens it. */
async function copy({ server, custodian }: Arranged, exit: string, key: EscrowKey) {
  const rows: { table: string; row: Record<string, unknown> }[] = [];
  const keys: ExitKey[] = [];
  let opened = firstOpened(idBytes(exit));
  const sealed: Buffer[] = [];
  let part = 'rows' as ExitPart;
  for (let page = 0; ; page++) {
    const answer = await server.admit('tenants.copy-exit', custodian, { exit, page });
    if (answer.page === null) {
      const manifest = Buffer.from(answer.manifest ?? assert.fail());
      return { rows, keys, opened, sealed, manifest };
    }
    const bytes = Buffer.from(answer.page, 'base64');
    sealed.push(bytes);
    const clear = await openBytes(bytes, {
      dataKeyFor: async ({ context, encryptedDataKeys: [encrypted] }) => {
        part = context['trialkeep:part'] as ExitPart;
        assert.deepEqual({ ...context }, exitPageContext({ exit, page, part }));
        return encrypted && key.identity.unwrap(encrypted, context);
      },
    });
    opened = nextOpened(opened, clear);
    if (part === 'keys') keys.push(...decodeExitKeys(idBytes(exit), clear));
    else
      rows.push(
        ...clear
          .toString('utf8')
          .trimEnd()
          .split('\n')
          .map((line) => JSON.parse(line)),
      );
  }
}

function receiptOf(key: EscrowKey, exit: string, copied: { opened: Buffer; manifest: Buffer }) {
  const manifestHash = createHash('sha256').update(copied.manifest).digest();
  const said = { exit: idBytes(exit), manifestHash, opened: copied.opened };
  return {
    exit,
    opened: copied.opened.toString('hex'),
    signature: signExitReceipt(key.signer, said).toString('base64'),
  };
}

/** Nothing changes or is protected any more; what is there opens on. */
async function expectStill({
  server,
  custodian,
  service,
  usable: key,
  study,
  system,
  sealed,
}: Leaving): Promise<void> {
  const refused = [
    () => server.admit('keys.create', custodian, { system }),
    () => server.admit('keys.encrypt', service, { key, plaintext }),
    () => server.admit('subjects.create', custodian, { study, number: '2' }),
    () =>
      server.admit('people.invite', custodian, { name: 'New', login: 'new@example.org', roles: ['auditor'] }),
  ];
  for (const each of refused) await assert.rejects(each(), refusal('tenant.leaving'));
  assert.equal(
    (await server.admit('keys.decrypt', service, { key, ciphertext: sealed })).plaintext,
    plaintext,
  );
}

/** The copy has every key, each at its place and opening what it protected, and the rows of the tenant. */
function expectWhole(
  { usable: key, study, alias, sealed }: Leaving,
  copied: Awaited<ReturnType<typeof copy>>,
): void {
  const find = (kind: string, id: string): ExitKey =>
    copied.keys.find(({ place }) => place.kind === kind && Buffer.from(place.keyId).equals(idBytes(id))) ??
    assert.fail(`${kind} ${id}`);
  const { keyVersionId: _, ...opening } = compactKeyOfExit(find('system', key));
  const opened = openCompact({ ...opening, context: {}, ciphertext: Buffer.from(sealed, 'base64') });
  assert.equal(opened.toString('base64'), plaintext);
  assert.deepEqual(copied.keys.map(({ place }) => place.kind).toSorted(), [
    'payload',
    'study',
    'subject',
    'system',
    'system',
    'system',
    'system',
  ]);
  find('study', study);
  find('subject', alias);
  const tables = new Set(copied.rows.map(({ table }) => table));
  for (const table of [
    'tenant',
    'study',
    'subject',
    'key',
    'key_version',
    'person',
    'approval',
    'ledger_payload',
  ]) {
    assert.ok(tables.has(table), table);
  }
  const manifest = JSON.parse(copied.manifest.toString('utf8')) as { keys: number; unexportable: number };
  assert.deepEqual([manifest.keys, manifest.unexportable], [7, 0]);
}

test('a tenant leaves: a copy that opens, confirmed by who can open it, and then the end of all its keys [URS-006] [URS-050]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrangeLeaving(server);
  const { custodian, service, usable: key } = arranged;
  const other = await makeTenant(server);
  const { publicFile, key: escrow } = await makePair();
  const exit = await beginExit(arranged, publicFile);
  await expectStill(arranged);
  await server.admit('keys.encrypt', other.service, { key: other.key, plaintext });

  const copied = await copy(arranged, exit, escrow);
  expectWhole(arranged, copied);

  const receipt = receiptOf(escrow, exit, copied);
  const wrong = { ...receipt, opened: '0'.repeat(64) };
  await assert.rejects(server.admit('tenants.confirm-exit', custodian, wrong), refusal('exit.receipt_wrong'));
  const stranger = receiptOf((await makePair()).key, exit, copied);
  await assert.rejects(
    server.admit('tenants.confirm-exit', custodian, stranger),
    refusal('exit.receipt_wrong'),
  );
  await assert.rejects(
    server.admit('tenants.shred', arranged.requester.session, { exit, reason }),
    refusal('exit.state'),
  );
  await server.admit('tenants.confirm-exit', custodian, receipt);
  await certify(arranged);
  const again = await signInAgain(arranged);
  await approveAndRun(again, await askFor(again, 'tenants.shred', { exit, waitingDays: 7, reason }));
  assert.equal((await server.admit('tenants.exit-state', custodian, {})).state, 'waiting');
  assert.deepEqual(await reconcile(server.instance), []);
  server.clock.time += 7 * dayMs;
  await server.runJobs();
  server.clock.time += 15_000;
  await server.runJobs();
  server.clock.time += 61_000;
  await server.runJobs();
  assert.equal((await server.admit('tenants.exit-state', custodian, {})).state, 'shredded');
  await assert.rejects(
    server.admit('keys.decrypt', service, { key, ciphertext: arranged.sealed }),
    refusal('tenant.shredded'),
  );
  await assert.rejects(server.admit('keys.list', custodian, {}), refusal('tenant.shredded'));
  await expectNothingLeft(server, arranged);
  await certify(arranged);
  // The ledger stays, and refusals go on into it.
  await server.admit('ledger.checkpoint', custodian, {});
  assert.deepEqual(await reconcile(server.instance), []);
  const people = await signInAgain(again);
  assert.equal((await server.admit('tenants.exit-state', people.one.session, {})).state, 'shredded');
  await server.admit('keys.encrypt', other.service, { key: other.key, plaintext });
});

/** The certificate can be made as it stands. */
async function certify({ server, custodian }: Arranged): Promise<void> {
  const { id } = await server.admit('evidence.make', custodian, { kind: 'tenant.exit' });
  const bytes = await server.admit('evidence.fetch', custodian, { evidence: id });
  assert.equal(Buffer.from(bytes.subarray(0, 5)).toString('latin1'), '%PDF-');
}

/** Neither database nor shred store has anything that would open what the tenant's keys protected. */
async function expectNothingLeft(server: TestServer, { tenant, study, alias }: Leaving): Promise<void> {
  const { database, shred, hierarchy } = server.instance;
  const rows = await database.read(async (tx) => ({
    tenant: await tx.selectFrom('tenant').selectAll().where('id', '=', tenant).executeTakeFirstOrThrow(),
    versions: await tx
      .selectFrom('key_version')
      .innerJoin('key', 'key.id', 'key_version.key')
      .select(['wrapped_secret', 'key.state'])
      .where('tenant', '=', tenant)
      .execute(),
  }));
  assert.equal(rows.tenant.wrapped_key.length, 0);
  assert.ok(rows.versions.length > 0);
  for (const { wrapped_secret, state } of rows.versions) {
    assert.deepEqual([wrapped_secret.length, state], [0, 'destroyed']);
  }
  for (const id of [study, alias]) assert.equal(await shred.find(id), undefined);
  await assert.rejects(hierarchy.tenantKey(tenant));
}

test('a copy begins anew after an interruption, and another page than the next is refused [URS-050]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrangeLeaving(server);
  const { custodian } = arranged;
  const { publicFile, key: escrow } = await makePair();
  const exit = await beginExit(arranged, publicFile, { uses: 'none' });
  await assert.rejects(
    server.admit('keys.decrypt', arranged.service, { key: arranged.usable, ciphertext: arranged.sealed }),
    refusal('tenant.leaving'),
  );
  await server.admit('tenants.copy-exit', custodian, { exit, page: 0 });
  await assert.rejects(server.admit('tenants.copy-exit', custodian, { exit, page: 2 }), refusal('exit.page'));
  await server.admit('tenants.copy-exit', custodian, { exit, page: 1 });
  const first = await copy(arranged, exit, escrow);
  const second = await copy(arranged, exit, escrow);
  assert.notEqual(first.opened.toString('hex'), second.opened.toString('hex'));
  await assert.rejects(
    server.admit('tenants.confirm-exit', custodian, receiptOf(escrow, exit, first)),
    refusal('exit.receipt_wrong'),
  );
  const confirmed = await server.admit('tenants.confirm-exit', custodian, receiptOf(escrow, exit, second));
  assert.equal(confirmed.state, 'confirmed');
  await assert.rejects(
    server.admit('tenants.copy-exit', custodian, { exit, page: 0 }),
    refusal('exit.state'),
  );
});

test('a tenant that stays goes on as before, and can begin to leave anew [URS-050]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrangeLeaving(server);
  const { custodian, usable: key, service } = arranged;
  const { publicFile, key: escrow } = await makePair();
  const exit = await beginExit(arranged, publicFile);
  const copied = await copy(arranged, exit, escrow);
  await server.admit('tenants.confirm-exit', custodian, receiptOf(escrow, exit, copied));
  const again = await signInAgain(arranged);
  await approveAndRun(again, await askFor(again, 'tenants.shred', { exit, waitingDays: 7, reason }));
  await server.admit('tenants.cancel-exit', custodian, { exit, reason });
  server.clock.time += 30 * dayMs;
  await server.runJobs();
  await server.admit('keys.encrypt', service, { key, plaintext });
  await assert.rejects(
    server.admit('tenants.cancel-exit', custodian, { exit, reason }),
    refusal('exit.state'),
  );
  const next = await beginExit(await signInAgain(again), publicFile);
  assert.notEqual(next, exit);
  await assert.rejects(
    server.admit('tenants.copy-exit', custodian, { exit, page: 0 }),
    refusal('exit.unknown'),
  );
});

test('any hold of the tenant keeps its keys, asked for or due [URS-006] [URS-050]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrangeLeaving(server);
  const { custodian, study, usable: key, service } = arranged;
  const { publicFile, key: escrow } = await makePair();
  const exit = await beginExit(arranged, publicFile);
  await server.admit(
    'tenants.confirm-exit',
    custodian,
    receiptOf(escrow, exit, await copy(arranged, exit, escrow)),
  );
  const again = await signInAgain(arranged);
  await approveAndRun(again, await askFor(again, 'tenants.shred', { exit, waitingDays: 7, reason }));
  await server.admit('holds.place', custodian, { study, kind: 'legal', reason });
  server.clock.time += 8 * dayMs;
  await server.runJobs();
  assert.equal((await server.admit('tenants.exit-state', custodian, {})).state, 'confirmed');
  await server.admit('keys.decrypt', service, { key, ciphertext: arranged.sealed });
  const anew = await signInAgain(again);
  await assert.rejects(
    server.admit('tenants.shred', anew.requester.session, { exit, reason }),
    refusal('hold.applies'),
  );
});

test('what is no public file of an escrow key is no recipient [URS-050]', async (t) => {
  const server = await makeServer(t);
  const { requester } = await arrange(server);
  for (const recipient of ['none', '{}']) {
    await assert.rejects(
      server.admit('tenants.exit', requester.session, { recipient, reason }),
      refusal('exit.recipient_invalid'),
    );
  }
});

test('the package has every row of the tenant and none of another, and no secret of sign-in [URS-049] [URS-050]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrangeLeaving(server);
  const stranger = await arrangeLeaving(server);
  const { publicFile, key: escrow } = await makePair();
  const exit = await beginExit(arranged, publicFile);
  const { rows, keys } = await copy(arranged, exit, escrow);
  const { database } = server.instance;
  for (const { table, owner } of exitTables) {
    if ('table' in owner || owner.is !== 'tenant') continue;
    const own = await database.read((tx) =>
      tx
        .selectFrom(table as 'study')
        .selectAll()
        .where(owner.column as 'tenant', '=', arranged.tenant)
        .execute(),
    );
    assert.equal(rows.filter((row) => row.table === table).length, own.length, table);
  }
  const text = JSON.stringify(rows);
  for (const foreign of [stranger.tenant, stranger.study, stranger.alias, stranger.usable, stranger.one.id]) {
    assert.ok(!text.includes(foreign), foreign);
  }
  assert.ok(keys.every(({ place }) => Buffer.from(place.tenantId).equals(idBytes(arranged.tenant))));
  const columns = new Set(
    rows.flatMap(({ table, row }) => Object.keys(row).map((name) => `${table}.${name}`)),
  );
  const secrets = [...columns].filter((name) =>
    /\.(?:seal|secret_hash|password|totp|wrapped_.*)$/.test(name),
  );
  assert.deepEqual(secrets, []);
  assert.ok(!text.includes('$argon2'));
});

test('every table is copied, or it is said why not [URS-050]', async (t) => {
  const server = await makeServer(t);
  const rows = await server.instance.database.read((tx) =>
    tx
      .selectFrom('sqlite_master' as 'study')
      .selectAll()
      .where('type' as 'id', '=', 'table')
      .execute(),
  );
  const tables = rows.map((row) => (row as unknown as { name: string }).name);
  const listed = new Set([...exitTables.map(({ table }) => table), ...Object.keys(otherTables)]);
  assert.deepEqual(
    tables.filter((table) => !listed.has(table) && !table.startsWith('sqlite_')),
    [],
  );
  assert.deepEqual(
    exitTables.filter(({ table }) => !tables.includes(table)),
    [],
  );
});

/** Confirmed, and 7 days before its keys go. */
async function untilWaiting(arranged: Leaving) {
  const { server, custodian } = arranged;
  const { publicFile, key: escrow } = await makePair();
  const exit = await beginExit(arranged, publicFile);
  const receipt = receiptOf(escrow, exit, await copy(arranged, exit, escrow));
  await server.admit('tenants.confirm-exit', custodian, receipt);
  const again = await signInAgain(arranged);
  await approveAndRun(again, await askFor(again, 'tenants.shred', { exit, waitingDays: 7, reason }));
}

async function runLater(server: TestServer, ms: number): Promise<void> {
  server.clock.time += ms;
  await server.runJobs();
}

test('while the keys of studies still go, what the database has of them is in the ledger [URS-050] [URS-083]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrangeLeaving(server);
  await untilWaiting(arranged);
  const failing = t.mock.method(server.instance.shred, 'remove', () =>
    Promise.reject(new Error('The power went.')),
  );
  await runLater(server, 7 * dayMs);
  assert.ok(failing.mock.callCount() > 0);
  const rows = await server.instance.database.read((tx) =>
    tx.selectFrom('study_erasure').select('state').execute(),
  );
  assert.deepEqual(
    rows.map(({ state }) => state),
    ['erasing'],
  );
  assert.ok(await server.instance.shred.find(arranged.study));
  assert.deepEqual(await reconcile(server.instance), []);
  failing.mock.restore();
  for (const ms of [dayMs, 15_000, 61_000]) await runLater(server, ms);
  await expectNothingLeft(server, arranged);
  assert.deepEqual(await reconcile(server.instance), []);
});

test('a page ends by its bytes: many short rows take few pages [URS-050]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrangeLeaving(server);
  const { tenant } = arranged;
  const { publicFile, key: escrow } = await makePair();
  const rows = Array.from({ length: 10_000 }, (_, i) => ({
    id: randomUUID(),
    tenant,
    name: `System ${i}`,
    type: 'EDC',
    vendor: 'Somebody',
    created_at: 0,
  }));
  await server.instance.database.write(async (tx) => {
    for (let i = 0; i < rows.length; i += 1000)
      await tx
        .insertInto('system')
        .values(rows.slice(i, i + 1000))
        .execute();
  });
  const exit = await beginExit(arranged, publicFile);
  const copied = await copy(arranged, exit, escrow);
  assert.equal(copied.rows.filter(({ table }) => table === 'system').length, rows.length + 1);
  assert.ok(copied.sealed.length <= 4, `${copied.sealed.length} pages`);
  assert.ok(copied.sealed.every(({ length }) => length < maximumExitPageBytes));
});

test('a backup from before the shredding does not bring the keys back [URS-050] [URS-080]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrangeLeaving(server);
  const { custodian, tenant, study, alias } = arranged;
  const { database, hierarchy, ledger } = server.instance;
  const tables = ['tenant', 'key', 'key_version', 'log', 'authenticator', 'tenant_exit'] as const;
  const { id: lost } = await server.admit('studies.create', custodian, { protocol: 'P-2' });
  await untilWaiting(arranged);
  const before = await database.read(async (tx) => {
    const rows: Record<string, object[]> = {};
    for (const table of tables)
      rows[table] = await tx
        .selectFrom(table as 'key')
        .selectAll()
        .execute();
    return rows;
  });
  for (const ms of [7 * dayMs, 15_000, 61_000]) await runLater(server, ms);
  await database.write(async (tx) => {
    for (const table of tables) {
      for (const row of before[table] ?? []) {
        const { id, tenant: of } = row as { id: string; tenant: string };
        const column = table === 'tenant_exit' ? 'tenant' : 'id';
        await tx
          .updateTable(table as 'key')
          .set(row)
          .where(column as 'id', '=', column === 'id' ? id : of)
          .execute();
      }
    }
  });
  await database.write(async (tx) => {
    await tx.deleteFrom('study_erasure').execute();
    await tx.deleteFrom('erasure').execute();
    await tx.updateTable('subject').set({ state: 'active' }).execute();
    // It was made after the backup.
    await tx.deleteFrom('study').where('id', '=', lost).execute();
  });
  hierarchy.forgetTenantKey(tenant);
  // The shred store came from the same backup.
  await hierarchy.createShreddable(tenant, 'study', study);
  await hierarchy.createShreddable(tenant, 'subject', alias);
  assert.ok((await reconcile(server.instance)).length > 0);
  const log = ledger.logOfTenant(tenant) ?? assert.fail();
  await ledger.renewPayloadKey(log.id);
  // In recovery no job runs: it has to be in line at once.
  for (let times = 0; times < 2; times++) {
    await bringInLine(server.instance, log, {});
    assert.deepEqual(await reconcile(server.instance), []);
  }
  assert.equal(
    (await database.read((tx) => tx.selectFrom('tenant_exit').select('state').execute()))[0]?.state,
    'shredding',
  );
  for (const ms of [0, 15_000, 61_000]) await runLater(server, ms);
  await expectNothingLeft(server, arranged);
  const ended = await database.read((tx) => tx.selectFrom('study_erasure').select('state').execute());
  assert.deepEqual(
    ended.map(({ state }) => state),
    ['erased'],
  );
  assert.deepEqual(await reconcile(server.instance), []);
});

test('a shredding that a database was put back into takes the studies that nothing has begun to erase [URS-050] [URS-080]', async (t) => {
  const server = await makeServer(t);
  const arranged = await arrangeLeaving(server);
  const { tenant, study } = arranged;
  await untilWaiting(arranged);
  const { database, hierarchy, ledger } = server.instance;
  const log = ledger.logOfTenant(tenant) ?? assert.fail();
  const [said = assert.fail()] = (await tellingEntries(database, log.id)).filter(
    ({ operation, outcome }) => operation === 'tenants.shred' && outcome === 'success',
  );
  const of = { tenant, rowKey: await hierarchy.rowKey(tenant), log: log.id, time: server.clock.time };
  const entries = [{ ...said, state: 'shredded' }];
  const recovered = await database.write((tx) => recoverExit(tx, of, entries));
  assert.deepEqual(recovered, { cancelled: false, shreddingAgain: true, erasing: [study] });
});
