import assert from 'node:assert/strict';
import { cursorBehind, isBehind, placeOfCursor } from './cursor.ts';
import { testOnStores } from './fixture.test.ts';

const ids = ['a', 'b', 'c'].map((digit) => `00000000-0000-4000-8000-00000000000${digit}`);

testOnStores('pages of rows, some with the same time, hold each row once, in order', async (t, under) => {
  const open = await under.make(t);
  const database = await open();
  const rows = [2, 1].flatMap((time) =>
    ids.toReversed().map((id) => ({ time, id: `${time}${id.slice(1)}` })),
  );
  const wrapped = { key_version: 'v', wrapped_key: Buffer.from('w') };
  await database.write((tx) =>
    tx
      .insertInto('tenant')
      .values(rows.map(({ time, id }) => ({ id, account: id, name: id, ...wrapped, created_at: time })))
      .execute(),
  );
  const page = (cursor: string | undefined) =>
    database.read((snapshot) =>
      snapshot
        .selectFrom('tenant')
        .select(['id', 'created_at as time'])
        .where(isBehind('created_at', placeOfCursor(cursor)))
        .orderBy('created_at')
        .orderBy('id')
        .limit(2)
        .execute(),
    );
  const seen: string[][] = [];
  for (let cursor: string | null | undefined; cursor !== null;) {
    const found = await page(cursor);
    seen.push(found.map(({ id }) => id));
    cursor = cursorBehind(found, 2, (row) => row);
  }
  const sorted = rows.map(({ id }) => id).toSorted();
  assert.deepEqual(seen, [sorted.slice(0, 2), sorted.slice(2, 4), sorted.slice(4), []]);
});
