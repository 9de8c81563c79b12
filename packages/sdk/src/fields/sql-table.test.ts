import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { databases, diary, diaryRow, onDatabase, TestKeys, withCode } from './fixture.test.ts';
import type { DiaryRow, TestDatabase } from './fixture.test.ts';
import {
  createFields,
  fieldKeyStore,
  fieldTable,
  memoryFieldKeyStore,
  pgDatabase,
  sqliteDatabase,
  sqlTable,
} from './index.ts';
import type { SdkErrorCode, SqlTable } from './index.ts';
import type { FieldKeyRow, FieldKeyStore, TableDescription } from './index.ts';

function setUp({ database }: TestDatabase, description: TableDescription = diary) {
  const fields = createFields({ keys: new TestKeys(), store: fieldKeyStore(database) });
  const table = fieldTable(fields, description);
  return { fields, table, rows: sqlTable<DiaryRow>(database, table) };
}

const stores: readonly {
  readonly name: string;
  readonly skip: string | false;
  with(work: (store: FieldKeyStore) => Promise<void>): Promise<void>;
}[] = [
  { name: 'memory', skip: false, with: (work) => work(memoryFieldKeyStore()) },
  ...databases.map((each) => ({
    name: each.name,
    skip: each.skip,
    with: (work: (store: FieldKeyStore) => Promise<void>) =>
      onDatabase(each, ({ database }) => work(fieldKeyStore(database))),
  })),
];

for (const { name, skip, with: withStore } of stores) {
  test(`a key table keeps one row for a generation of a context: ${name}`, { skip }, async () => {
    await withStore(async (store) => {
      const contextHash = randomBytes(32);
      const row = (generation: number, change: Partial<FieldKeyRow> = {}): FieldKeyRow => ({
        keyRef: randomBytes(16),
        contextHash,
        generation,
        createdAtMs: 1_700_000_000_000 + generation,
        record: randomBytes(200),
        ...change,
      });
      const plain = (found: FieldKeyRow | undefined) =>
        found && {
          ...found,
          keyRef: Buffer.from(found.keyRef),
          contextHash: Buffer.from(found.contextHash),
          record: Buffer.from(found.record),
        };
      assert.equal(await store.newest(contextHash), undefined);
      assert.deepEqual(await store.find([]), []);
      assert.deepEqual(await store.find([randomBytes(16)]), []);
      const [first, tenth] = [row(1), row(10)];
      assert.equal(await store.insert(first), true);
      assert.equal(await store.insert(tenth), true);
      assert.equal(await store.insert(row(2)), true);
      assert.equal(await store.insert(row(10)), false);
      assert.equal(await store.insert(row(11, { keyRef: first.keyRef })), false);
      assert.equal(await store.insert(row(1, { contextHash: randomBytes(32) })), true);
      assert.deepEqual(plain(await store.newest(contextHash)), tenth);
      const found = await store.find([tenth.keyRef, first.keyRef, randomBytes(16)]);
      const ordered = found.toSorted((one, other) => one.generation - other.generation);
      assert.deepEqual(ordered.map(plain), [first, tenth]);
      const many = Array.from({ length: 2500 }, () => randomBytes(16));
      assert.deepEqual((await store.find([...many, first.keyRef])).map(plain), [first]);
      const race = await Promise.all(Array.from({ length: 5 }, () => store.insert(row(12))));
      assert.equal(race.filter(Boolean).length, 1);
    });
  });
}

const otherTable: TableDescription = {
  table: 'other',
  rowId: 'id',
  contextColumns: ['study'],
  context: ({ study }) => ({ study: String(study) }),
  columns: { n: { type: 'text' } },
};

/** Tables that take `given` for `stored`, or make it that. */
const uuid = 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11';
const respelt = {
  postgres: [
    {
      create: 'id text primary key, study uuid',
      stored: { id: '2', study: uuid },
      given: { id: '2', study: uuid.toUpperCase() },
    },
    {
      create: 'id bigint primary key, study text',
      stored: { id: 7, study: 'a' },
      given: { id: '07', study: 'a' },
    },
    {
      create: 'id char(3) primary key, study text',
      stored: { id: 'abc', study: 'a' },
      given: { id: 'abc ', study: 'a' },
    },
  ],
  sqlite: [
    {
      create: 'id integer primary key, study text',
      stored: { id: 7, study: 'a' },
      given: { id: '07', study: 'a' },
    },
    {
      create: 'id text primary key, study integer',
      stored: { id: 'a', study: 3 },
      given: { id: 'a', study: '3.0' },
    },
  ],
} as const;

for (const each of databases) {
  const { name, skip } = each;

  test(
    `rows come back as they were, and the database holds none of it: ${name} [URS-008] [URS-047]`,
    { skip },
    async () => {
      await onDatabase(each, async (on) => {
        const { rows } = setUp(on);
        const written = [
          diaryRow(),
          diaryRow({ subject: 'a2', name: 'Grace Hopper', entry: 'well', scan: null }),
        ];
        await rows.insert(written);
        const read = await rows.find({}, { orderBy: 'id' });
        assert.deepEqual(read, written);
        const stored = JSON.stringify(await on.rows('select * from diary'));
        for (const secret of ['Ada', 'Headache', '61.5', 'pain', 'c0ffee', '192,255,238']) {
          assert.ok(!stored.includes(secret), secret);
        }
      });
    },
  );

  test(
    `rows are found by an indexed column, in any spelling that counts as one: ${name}`,
    { skip },
    async () => {
      await onDatabase(each, async (on) => {
        const { rows } = setUp(on);
        await rows.insert([
          diaryRow({ id: 'one', name: 'Ada Lovelace' }),
          diaryRow({ id: 'two', name: 'Grace Hopper', subject: 'a2' }),
          diaryRow({ id: 'three', name: 'ADA  LOVELACE', study: 'TK-2' }),
          diaryRow({ id: 'four', name: null }),
        ]);
        const found = async (conditions: Partial<DiaryRow>) =>
          (await rows.find(conditions, { orderBy: 'id' })).map(({ id }) => id);
        assert.deepEqual(await found({ name: 'ada lovelace' }), ['one', 'three']);
        assert.deepEqual(await found({ name: 'ada lovelace', study: 'TK-2' }), ['three']);
        assert.deepEqual(await found({ name: 'nobody' }), []);
        assert.deepEqual(await found({ name: null }), ['four']);
        assert.deepEqual(await found({ entry: null }), []);
        assert.equal((await rows.find({}, { orderBy: '-id', limit: 1 }))[0]?.id, 'two');
      });
    },
  );

  test(
    `a row is changed by its id and context, and only while it is as expected: ${name}`,
    { skip },
    async () => {
      await onDatabase(each, async (on) => {
        const { rows } = setUp(on);
        const row = diaryRow({ id: 'one' });
        await rows.insert([row]);
        const key = { id: 'one', study: 'TK-1', subject: 'a1' };
        assert.equal(await rows.update(key, { name: 'Ada King', entry: null, site: 5 }), true);
        const [changed] = await rows.find({ name: 'Ada King' });
        assert.deepEqual(
          { ...changed, site: Number(changed?.site) },
          { ...row, name: 'Ada King', entry: null, site: 5 },
        );
        assert.deepEqual(await rows.find({ name: 'Ada Lovelace' }), []);
        assert.equal(await rows.update({ ...key, site: 4 }, { name: 'x' }), false);
        assert.equal(await rows.update({ ...key, subject: 'a2' }, { name: 'x' }), false);
        assert.equal((await rows.find({ name: 'Ada King' })).length, 1);
        assert.equal(await rows.update(key, { name: null }), true);
        assert.deepEqual(await rows.find({ name: 'Ada King' }), []);
        assert.equal((await rows.find({ name: null })).length, 1);
        await assert.rejects(rows.update({ id: 'one' }, { name: 'x' }), withCode('fields.row_invalid'));
        await assert.rejects(rows.update(key, { subject: 'a2' }), withCode('fields.query_unsupported'));
        await assert.rejects(rows.update(key, {}), withCode('fields.row_invalid'));
      });
    },
  );

  test(
    `a row id or context that the database spells otherwise is refused, and no value is lost: ${name} [URS-046] [URS-047]`,
    { skip },
    async () => {
      await onDatabase(each, async (on) => {
        const { rows: others } = setUp(on, otherTable);
        const rows = others as unknown as SqlTable<Record<string, unknown>>;
        for (const { create, stored, given } of respelt[on.database.dialect]) {
          await on.execute(
            `drop table if exists other; create table other (${create}, note text, n ${on.database.dialect === 'postgres' ? 'bytea' : 'blob'})`,
          );
          const row = { ...stored, n: 'first', note: null };
          await assert.rejects(
            rows.insert([
              { ...stored, id: 1, n: 'kept?', note: null },
              { ...given, n: 'lost', note: null },
            ]),
            withCode('fields.row_invalid'),
          );
          assert.deepEqual(await on.rows('select * from other'), [], create);
          await rows.insert([row]);
          assert.equal(await rows.update(given, { n: 'lost' }), false, create);
          assert.equal(await rows.update(stored, { n: 'second' }), true, create);
          const [read] = await rows.find({});
          assert.equal(read?.['n'], 'second');
        }
      });
    },
  );

  test(
    `a value that was moved to another row or column, or cut off, does not open: ${name} [URS-046]`,
    { skip },
    async () => {
      await onDatabase(each, async (on) => {
        const { rows } = setUp(on);
        await rows.insert([diaryRow({ id: 'one' }), diaryRow({ id: 'two', entry: 'well' })]);
        const refused = async (statement: string, code: SdkErrorCode) => {
          await on.execute(`create table kept as select * from diary; ${statement}`);
          await assert.rejects(rows.find({}), withCode(code));
          await on.execute('delete from diary; insert into diary select * from kept; drop table kept');
          assert.equal((await rows.find({})).length, 2);
        };
        await refused(
          "update diary set entry = (select entry from kept where id = 'two') where id = 'one'",
          'fields.damaged',
        );
        await refused('update diary set entry = name', 'fields.damaged');
        await refused("update diary set id = 'three' where id = 'one'", 'fields.damaged');
        await refused("update diary set subject = 'a2' where id = 'one'", 'fields.context_mismatch');
        await refused("update diary set entry = substr(entry, 1, 57) where id = 'one'", 'fields.not_sealed');
        await refused("update diary set entry = substr(entry, 1, 60) where id = 'one'", 'fields.damaged');
        await on.execute('delete from trialkeep_field_keys');
        const restarted = setUp(on).rows;
        await assert.rejects(restarted.find({}), withCode('fields.key_unknown'));
      });
    },
  );

  test(
    `what cannot be done on sealed values is refused before anything is sent: ${name}`,
    { skip },
    async () => {
      await onDatabase(each, async (on) => {
        const { table } = setUp(on);
        const sent: string[] = [];
        const listening = {
          ...on.database,
          query: async (text: string) => {
            sent.push(text);
            return { rows: [], changed: 0 };
          },
        };
        const rows = sqlTable(listening, table);
        await assert.rejects(rows.find({ entry: 'Headache' }), withCode('fields.query_unsupported'));
        await assert.rejects(rows.find({ name_index: 'x' }), withCode('fields.query_unsupported'));
        await assert.rejects(rows.find({}, { orderBy: 'name' }), withCode('fields.query_unsupported'));
        await assert.rejects(rows.find({}, { orderBy: 'name_index' }), withCode('fields.query_unsupported'));
        await assert.rejects(rows.find({ 'name" or "name': 'x' }), withCode('fields.declaration_invalid'));
        await assert.rejects(rows.find({ name: 7 }), withCode('fields.value_invalid'));
        await assert.rejects(
          rows.insert([{ ...diaryRow(), name_index: Buffer.of(1) }]),
          withCode('fields.row_invalid'),
        );
        await assert.rejects(rows.insert([{ ...diaryRow(), entry: 7 }]), withCode('fields.value_invalid'));
        await assert.rejects(rows.insert([{ name: 'Ada' }]), withCode('fields.row_invalid'));
        await assert.rejects(rows.insert([{ ...diaryRow(), subject: null }]), withCode('fields.row_invalid'));
        await assert.rejects(
          rows.insert([diaryRow(), { ...diaryRow(), site: undefined }]),
          withCode('fields.row_invalid'),
        );
        assert.deepEqual(sent, []);
      });
    },
  );

  test(
    `many rows of many subjects go and come in a few statements: ${name} [URS-047]`,
    { skip },
    async () => {
      await onDatabase(each, async (on) => {
        const { rows, table } = setUp(on);
        const written = Array.from({ length: 3000 }, (_, i) =>
          diaryRow({ id: `many-${1000 + i}`, subject: `a${i % 30}`, entry: `entry ${i}` }),
        );
        await rows.insert(written);
        assert.deepEqual(await rows.find({}, { orderBy: 'id' }), written);
        assert.equal((await on.rows('select * from trialkeep_field_keys')).length, 31);
        const raw = await on.rows(
          "select id, study, subject, entry from diary where subject = 'a7' order by id",
        );
        const opened = await table.open<DiaryRow>(raw);
        assert.deepEqual(opened[1], { id: 'many-1037', study: 'TK-1', subject: 'a7', entry: 'entry 37' });
      });
    },
  );
}

test('what a collation finds in other letters is not changed [URS-047]', async () => {
  await onDatabase(databases[0], async (on) => {
    await on.execute('create table other (id text collate nocase primary key, study text, n blob)');
    const { rows: others } = setUp(on, otherTable);
    const rows = others as unknown as SqlTable<Record<string, unknown>>;
    await rows.insert([{ id: 'a0ee', study: 's', n: 'first' }]);
    assert.equal(await rows.update({ id: 'A0EE', study: 's' }, { n: 'lost' }), false);
    assert.deepEqual(
      (await rows.find({ id: 'A0EE' })).map(({ n }) => n),
      ['first'],
    );
  });
});

test('a key is not kept within a transaction that could yet be rolled back [URS-046]', async () => {
  const [sqlite] = databases;
  await onDatabase(sqlite, async (on) => {
    const { fields, rows } = setUp(on);
    await on.execute('begin');
    await assert.rejects(rows.insert([diaryRow()]), withCode('fields.in_transaction'));
    await on.execute('rollback');
    await fields.prepare({ study: 'TK-1', subject: 'a1' });
    await fields.indexTokens(
      { field: 'diary.name', type: 'text', form: 'caseless', versions: [1], context: {} },
      [],
    );
    await rows.insert([diaryRow()]);
    await on.execute('begin');
    await rows.insert([diaryRow({ id: 'within' })]);
    await on.execute('commit');
    assert.equal((await rows.find({ id: 'within' })).length, 1);
  });
});

test('a date is never bound as nothing, and a client of pg is no pool', async () => {
  await onDatabase(databases[0], async ({ database }) => {
    await assert.rejects(database.query('select ?', [new Date()]), withCode('fields.value_invalid'));
    const { rows } = await database.query('select ? as yes, ? as no', [true, false]);
    assert.deepEqual({ ...rows[0] }, { yes: 1, no: 0 });
  });
  assert.throws(
    () => pgDatabase({ query: async () => ({ rows: [], rowCount: 0 }) } as never),
    withCode('fields.declaration_invalid'),
  );
  assert.equal(typeof sqliteDatabase, 'function');
});
