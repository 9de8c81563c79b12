import type { KeyObject } from 'node:crypto';
import { isBehind } from '../platform/cursor.ts';
import type { Tx } from '../platform/database.ts';
import { checkKey } from './store.ts';
import type { KeyRow } from './store.ts';

const keysPerPage = 1000;

/**
 * All keys of a tenant, oldest first, a page at a time: a tenant can have more than should be in memory together. Their seals are
 * checked.
 */
export async function* pagesOfKeys(tx: Tx, rowKey: KeyObject, tenant: string): AsyncGenerator<KeyRow[]> {
  for (let after = { time: -1, id: '' }; ;) {
    const rows = await tx
      .selectFrom('key')
      .selectAll()
      .where('tenant', '=', tenant)
      .where(isBehind('created_at', after))
      .orderBy('created_at')
      .orderBy('id')
      .limit(keysPerPage)
      .execute();
    for (const row of rows) checkKey(rowKey, row);
    yield rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < keysPerPage) return;
    after = { time: last.created_at, id: last.id };
  }
}
