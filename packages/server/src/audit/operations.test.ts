import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import type { SQLInputValue } from 'node:sqlite';
import { test } from 'node:test';
import { decodeBundle } from '@trialkeep/ledger';
import { makeTenant, refusal, shareServer } from '../fixture.test.ts';
import type { Hierarchy } from '../keys/index.ts';
import { StartupError } from '../platform/errors.ts';
import { payloadKey } from './payloads.ts';
import type { TransparencyLog } from './transparency-log.ts';

const own = { own: true };
const log = { tenant: 'a tenant', payloadKey: own } as unknown as TransparencyLog;
const hierarchyWith = (shreddable: () => Promise<unknown>): Hierarchy =>
  ({ shreddable }) as unknown as Hierarchy;

test("a payload lies under its subject's key, and under the log's own where there is no subject of the tenant [URS-037]", async () => {
  const subjectKey = { subject: true };
  assert.equal(
    await payloadKey(
      hierarchyWith(async () => subjectKey),
      log,
      'alias',
    ),
    subjectKey,
  );
  assert.equal(
    await payloadKey(
      hierarchyWith(async () => undefined),
      log,
      'alias',
    ),
    own,
  );
  assert.equal(
    await payloadKey(
      hierarchyWith(() => assert.fail()),
      log,
      undefined,
    ),
    own,
  );
  const instanceLog = Object.assign(Object.create(log) as TransparencyLog, { tenant: null });
  assert.equal(
    await payloadKey(
      hierarchyWith(() => assert.fail()),
      instanceLog,
      'alias',
    ),
    own,
  );
});

test('a refusal is recorded although the key of its subject was altered [URS-032]', async () => {
  const altered = () => Promise.reject(new StartupError('database.altered'));
  assert.equal(await payloadKey(hierarchyWith(altered), log, 'alias'), own);
  const broken = () => Promise.reject(new Error('broken'));
  await assert.rejects(payloadKey(hierarchyWith(broken), log, 'alias'), /broken/);
});

const shared = shareServer();
const plaintext = Buffer.from('a value').toString('base64');

/** A tenant whose newest entry is an encryption, and a way to change the database behind the server. */
async function arrange() {
  const server = await shared();
  const made = await makeTenant(server);
  const context = { class: 'ecg', note: 'the full context' };
  await server.admit('keys.encrypt', made.service, { key: made.key, plaintext, context });
  const entries = await server.entries(made.tenant);
  const entry = String(entries.at(-1)?.['entry']);
  const before = String(entries.at(-2)?.['entry']);
  const log = server.instance.ledger.logOfTenant(made.tenant)?.id ?? assert.fail();
  const execute = (sql: string, ...values: SQLInputValue[]): void => {
    const database = new DatabaseSync(server.instance.directory.database, { timeout: 5000 });
    assert.notEqual(database.prepare(sql).run(...values).changes, 0);
    database.close();
  };
  const read = (id: string) => server.admit('ledger.payload', made.custodian, { entry: id });
  return { server, ...made, entry, before, log, position: entries.length - 1, execute, read };
}

test('a payload holds what its contract lists, never the plaintext, and reading it is an entry [URS-032] [URS-043]', async () => {
  const { server, tenant, entry, position, read } = await arrange();
  const { payload, index } = await read(entry);
  assert.equal(index, position);
  const { input, source } = payload as { input: object; source: string };
  assert.deepEqual(input, { context: { class: 'ecg', note: 'the full context' } });
  assert.equal(source, '192.0.2.1');
  assert.equal(JSON.stringify(payload).includes(plaintext), false);
  assert.equal((await server.entries(tenant)).at(-1)?.['operation'], 'ledger.payload');
});

test('a payload that is missing, altered or exchanged reads as withheld, and its entry still stands [URS-033]', async () => {
  const withheld = refusal('payload.withheld');
  for (const damage of [
    'delete from ledger_payload where log = ? and position = ?',
    'update ledger_payload set ciphertext = zeroblob(length(ciphertext)) where log = ? and position = ?',
    "update ledger_payload set ciphertext = x'01' where log = ? and position = ?",
  ]) {
    const { entry, log, position, execute, read } = await arrange();
    execute(damage, log, position);
    await assert.rejects(read(entry), withheld, damage);
  }
  const { server, tenant, entry, before, log, position, execute, read } = await arrange();
  execute(
    `update ledger_payload as p set ciphertext =
      (select ciphertext from ledger_payload as other where other.log = p.log and other.position = ?2)
      where p.log = ?1 and p.position = ?3`,
    log,
    position - 1,
    position,
  );
  await assert.rejects(read(entry), withheld);
  await read(before);
  await assert.rejects(read('00000000-0000-4000-8000-000000000000'), refusal('entry.unknown'));
  assert.equal((await server.entries(tenant))[position]?.['entry'], entry);
});

test('a question is answered page by page, completely and in order [URS-032]', async () => {
  const { server, tenant, custodian, key, service } = await arrange();
  const encrypt = (name: string) =>
    server.admit('keys.encrypt', service, { key, plaintext, context: { class: name } });
  await Promise.all(Array.from({ length: 25 }, (_, i) => encrypt(i % 2 === 0 ? 'ecg' : 'form')));
  const found: string[] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const question = { class: 'ecg', operation: 'keys.encrypt', limit: 4, ...(cursor && { cursor }) };
    const page = await server.admit('ledger.query', custodian, question);
    assert.ok(page.entries.length <= 4);
    found.push(...page.entries.map(({ entry }) => entry));
    cursor = page.next;
  }
  const expected = (await server.entries(tenant)).filter((entry) => entry['class'] === 'ecg');
  assert.equal(expected.filter(({ operation }) => operation === 'keys.encrypt').length, 14);
  assert.deepEqual(
    found.map((text) => (JSON.parse(text) as { entry: string }).entry),
    expected.filter(({ operation }) => operation === 'keys.encrypt').map(({ entry }) => entry),
  );
  for (const cursor of ['!', 'Z', '00', '-1']) {
    await assert.rejects(
      server.admit('ledger.query', custodian, { cursor }),
      refusal('request.invalid'),
      cursor,
    );
  }
});

test('tiles and bundles are what the checkpoint covers, and nothing beyond it [URS-033]', async () => {
  const { server, tenant, custodian } = await arrange();
  const note = await server.admit('ledger.checkpoint', custodian, {});
  const size = Number(note.split('\n')[1]);
  const tile = (path: string) => server.admit('ledger.tile', custodian, { path });
  const bundle = await tile(`entries/000.p/${size}`);
  const texts = [...decodeBundle(bundle, size)].map((bytes) => Buffer.from(bytes).toString('utf8'));
  const entries = await server.entries(tenant);
  assert.deepEqual(
    texts.map((text) => JSON.parse(text) as object),
    entries.slice(0, size),
  );
  assert.equal((await tile(`0/000.p/${size}`)).length, size * 32);
  for (const path of [`entries/000.p/${size + 1}`, 'entries/000', '0/001', '1/000', '0/000.p/0', '63/000']) {
    await assert.rejects(tile(path), refusal('tile.unknown'), path);
  }
  await assert.rejects(tile('../../etc'), refusal('request.invalid'));
});
