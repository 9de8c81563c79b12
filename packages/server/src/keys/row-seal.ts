import { createHmac, createSecretKey, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { StartupError } from '../platform/errors.ts';

/**
 * A MAC over the fields of a row that holds state, under a key that the database does not hold: a row changed behind the
 * server is not believed. An older row with its older seal still verifies; that is caught against the ledger.
 */
export type SealedFields = readonly (string | number | null)[];

/** Bind the key that seals rows to its purpose; `owner` is the tenant's key or the instance's. */
export function deriveRowKey(owner: KeyObject): KeyObject {
  const derived = createHmac('sha256', owner).update('trialkeep/row/v1\0').digest();
  const key = createSecretKey(derived);
  derived.fill(0);
  return key;
}

/** HMAC-SHA-256 over the table's name and the fields as a JSON array, which keeps their number, order and types apart. */
export function sealRow(rowKey: KeyObject, table: string, fields: SealedFields): Uint8Array {
  return createHmac('sha256', rowKey)
    .update(JSON.stringify([table, ...fields]))
    .digest();
}

/** Whether the seal is the one of these fields. */
export function isSealed(rowKey: KeyObject, table: string, fields: SealedFields, seal: Uint8Array): boolean {
  const expected = sealRow(rowKey, table, fields);
  return seal.length === expected.length && timingSafeEqual(seal, expected);
}

/** Throws `database.altered` when the seal is not the one of these fields. */
export function checkRow(rowKey: KeyObject, table: string, fields: SealedFields, seal: Uint8Array): void {
  if (!isSealed(rowKey, table, fields, seal)) {
    throw new StartupError('database.altered', `Table ${table}, row ${String(fields[0])}.`);
  }
}

/** How the rows of one table are sealed, for whoever seals them anew under other keys (replacement/). */
export interface SealedTable {
  readonly table: string;
  /** The columns that name a row. */
  readonly identity: readonly [string, ...string[]];
  /** Whose a row is: its column of that name says it, or the row that it belongs to, whose id another column has. */
  readonly owner: 'instance' | 'tenant' | 'log' | { readonly column: string; readonly table: string };
  /** The forms in which a row may be sealed; the first one is what is written. */
  readonly forms: readonly ((row: never) => SealedFields)[];
}
