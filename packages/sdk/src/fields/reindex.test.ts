import assert from 'node:assert/strict';
import { test } from 'node:test';
import { databases, diary, diaryRow, onDatabase, TestKeys, withCode } from './fixture.test.ts';
import type { DiaryRow, TestDatabase } from './fixture.test.ts';
import { createFields, fieldKeyStore, fieldTable, memoryFieldKeyStore, reindex, sqlTable } from './index.ts';
import type { IndexDescription, SqlDatabase, TableDescription } from './index.ts';

/** The diary as a process sees it that was deployed with these versions of the index. */
function deployed(on: TestDatabase, keys: TestKeys, index: Partial<IndexDescription> | undefined) {
  const name: object =
    index === undefined
      ? { type: 'text' }
      : { type: 'text', index: { ...diary.columns.name.index, ...index } };
  const description = { ...diary, columns: { ...diary.columns, name } } as TableDescription;
  const table = fieldTable(createFields({ keys, store: fieldKeyStore(on.database) }), description);
  return { table, rows: sqlTable<DiaryRow>(on.database, table) };
}

const versionsIn = async (on: TestDatabase) => {
  const stored = await on.rows('select name_index from diary where name_index is not null');
  const counts = Map.groupBy(stored, (row) => Buffer.from(row['name_index'] as Uint8Array).readUInt16BE(0));
  return Object.fromEntries([...counts].map(([version, rows]) => [version, rows.length]));
};

for (const each of databases) {
  const { name, skip } = each;

  test(`an index is rotated while rows are written and found all along: ${name}`, { skip }, async () => {
    await onDatabase(each, async (on) => {
      const keys = new TestKeys();
      const first = deployed(on, keys, { versions: [1] });
      const readsBoth = deployed(on, keys, { versions: [1, 2], writes: 1 });
      const writesNew = deployed(on, keys, { versions: [1, 2] });
      const last = deployed(on, keys, { versions: [2] });
      const isFound = async ({ rows }: typeof first, expected: number) => {
        assert.equal((await rows.find({ name: 'Ada Lovelace' })).length, expected);
      };
      await first.rows.insert(Array.from({ length: 25 }, () => diaryRow()));
      await readsBoth.rows.insert([diaryRow(), diaryRow({ name: 'Grace Hopper' }), diaryRow({ name: null })]);
      for (const deployment of [first, readsBoth, writesNew]) await isFound(deployment, 26);
      await writesNew.rows.insert([diaryRow()]);
      for (const deployment of [readsBoth, writesNew]) await isFound(deployment, 27);
      assert.deepEqual(await versionsIn(on), { 1: 27, 2: 1 });

      let statements = 0;
      const disturbed: SqlDatabase = {
        ...on.database,
        async query(...query) {
          statements += 1;
          if (statements === 8) await readsBoth.rows.insert([diaryRow({ id: 'aaa, behind the run' })]);
          return on.database.query(...query);
        },
      };
      const result = await reindex(disturbed, writesNew.table, 'name', { batchRows: 10 });
      assert.equal(result.remainingRows, 0);
      assert.deepEqual(await versionsIn(on), { 2: 29 });
      for (const deployment of [readsBoth, writesNew, last]) await isFound(deployment, 28);
      await isFound(first, 0);
      assert.equal((await last.rows.find({ name: 'Grace Hopper' })).length, 1);
      assert.deepEqual(await reindex(on.database, last.table, 'name'), { doneRows: 0, remainingRows: 0 });
    });
  });

  test(
    `a sealed column gets an index later, and what changes meanwhile keeps its own token: ${name}`,
    { skip },
    async () => {
      await onDatabase(each, async (on) => {
        const keys = new TestKeys();
        const without = deployed(on, keys, undefined);
        await without.rows.insert([diaryRow({ id: 'one' }), diaryRow({ id: 'two' })]);
        const indexed = deployed(on, keys, {});
        let isDone = false;
        const disturbed: SqlDatabase = {
          ...on.database,
          async query(text, parameters) {
            if (!isDone && text.startsWith('update')) {
              isDone = true;
              const changes = { name: 'Grace Hopper' };
              assert.ok(await indexed.rows.update({ id: 'one', study: 'TK-1', subject: 'a1' }, changes));
            }
            return on.database.query(text, parameters);
          },
        };
        await reindex(disturbed, indexed.table, 'name');
        const found = async (name: string) => (await indexed.rows.find({ name })).map(({ id }) => id);
        assert.deepEqual(await found('Grace Hopper'), ['one']);
        assert.deepEqual(await found('Ada Lovelace'), ['two']);
        await assert.rejects(
          reindex(on.database, without.table, 'name'),
          withCode('fields.query_unsupported'),
        );
      });
    },
  );
}

test('the normal form changes with the version', async () => {
  await onDatabase(databases[0], async (on) => {
    const keys = new TestKeys();
    await deployed(on, keys, { form: 'nfc' }).rows.insert([diaryRow({ name: 'Ada Lovelace' })]);
    const both = deployed(on, keys, { versions: [1, 2], form: { 1: 'nfc', 2: 'caseless' } });
    const found = async (name: string) => (await both.rows.find({ name })).length;
    assert.deepEqual([await found('Ada Lovelace'), await found('ada lovelace')], [1, 0]);
    await reindex(on.database, both.table, 'name');
    assert.deepEqual([await found('Ada Lovelace'), await found('ada lovelace')], [1, 1]);
  });
});

test('an index that would tell the values, or a description that cannot be used, is refused', () => {
  const fields = createFields({ keys: new TestKeys(), store: memoryFieldKeyStore() });
  const column = (change: object): TableDescription => ({
    ...diary,
    columns: { name: { ...diary.columns.name, ...change } },
  });
  const index = (change: object) => column({ index: { ...diary.columns.name.index, ...change } });
  const refused = [
    column({ type: 'boolean' }),
    column({ type: 'json' }),
    index({ distinctValues: 999 }),
    index({ distinctValues: Number.NaN }),
    index({ distinctValues: undefined }),
  ];
  for (const description of refused) {
    assert.throws(() => fieldTable(fields, description), withCode('fields.index_refused'));
  }
  const invalid: readonly TableDescription[] = [
    column({ type: 'varchar' }),
    column({ type: 'toString' }),
    column({ field: '' }),
    column({ field: 'x'.repeat(256) }),
    column({ padTo: 0 }),
    column({ padTo: 5000 }),
    column({ plain: { column: 'clear', writes: 'both' } }),
    index({ versions: [] }),
    index({ versions: [0] }),
    index({ versions: [2, 1] }),
    index({ versions: [1, 1] }),
    index({ versions: [1, 2, 3] }),
    index({ versions: [65_536] }),
    index({ versions: [1], writes: 2 }),
    index({ form: 'soundex' }),
    index({ form: { 1: 'soundex' } }),
    index({ context: { purpose: 'x' } }),
    index({ column: 'name' }),
    index({ column: 'subject' }),
    index({ column: 'x"; drop table diary' }),
    { ...diary, table: 'a.b.c' },
    { ...diary, rowId: 'id"' },
    { ...diary, rowId: 'name' },
    { ...diary, columns: {} },
    { ...diary, contextColumns: ['name'] },
    { ...diary, columns: { '': diary.columns.name } },
  ];
  for (const [i, description] of invalid.entries()) {
    assert.throws(() => fieldTable(fields, description), withCode('fields.declaration_invalid'), String(i));
  }
});
