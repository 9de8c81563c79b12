import { keyReferenceBytes } from '@trialkeep/crypto';
import { sdkError } from '../errors.ts';
import { identifier, joinSql, run, sql } from './sql.ts';
import type { SqlDatabase } from './sql.ts';

/** A row of the key table: a data key, wrapped for its recipients (docs/formats/field.md). */
export interface FieldKeyRow {
  /** 16 bytes by which fields name it. */
  readonly keyRef: Uint8Array;
  /** SHA-256 of the encoded context, 32 bytes. */
  readonly contextHash: Uint8Array;
  /** From 1; one row at most has a context's generation. */
  readonly generation: number;
  /** ms since 1970 */
  readonly createdAtMs: number;
  /** Context and encrypted data keys. */
  readonly record: Uint8Array;
}

/**
 * Where the data keys of fields lie. What it answers is taken for altered until it has been checked. A row that `insert` has answered
 * for must stay, whatever else is rolled back: values are sealed under its data key from then on.
 */
export interface FieldKeyStore {
  /** The rows that there are of these references, each of 16 bytes. */
  find(keyRefs: readonly Uint8Array[]): Promise<readonly FieldKeyRow[]>;
  /** The row of the highest generation. */
  newest(contextHash: Uint8Array): Promise<FieldKeyRow | undefined>;
  /** Whether the row was inserted: false where its reference, or its generation of the context, is there already. */
  insert(row: FieldKeyRow): Promise<boolean>;
}

const defaultTable = 'trialkeep_field_keys';
/** Bound parameters of one statement; SQLite takes 32,766. */
const maximumParameters = 1000;

/** The statement that creates the key table. */
export function fieldKeyTable(dialect: SqlDatabase['dialect'], table = defaultTable): string {
  const [bytes, integer] = dialect === 'postgres' ? ['bytea', 'bigint'] : ['blob', 'integer'];
  return `create table ${identifier(table).compile(dialect).text} (
  key_ref ${bytes} not null primary key,
  context_hash ${bytes} not null,
  generation ${integer} not null,
  created_at_ms ${integer} not null,
  record ${bytes} not null,
  unique (context_hash, generation)
)${dialect === 'sqlite' ? ' strict' : ''}`;
}

/**
 * The key table of an application's database.
 *
 * @throws TrialkeepError `fields.declaration_invalid` for a name of a table that needs escaping
 */
export function fieldKeyStore(database: SqlDatabase, table = defaultTable): FieldKeyStore {
  const name = identifier(table);
  const columns = sql`key_ref, context_hash, generation, created_at_ms, record`;
  return {
    async find(keyRefs) {
      const found: FieldKeyRow[] = [];
      for (let start = 0; start < keyRefs.length; start += maximumParameters) {
        const some = keyRefs.slice(start, start + maximumParameters).map((keyRef) => sql`${keyRef}`);
        const { rows } = await run(
          database,
          sql`select ${columns} from ${name} where key_ref in (${joinSql(some, ', ')})`,
        );
        found.push(...rows.map(rowOf));
      }
      return found;
    },
    async newest(contextHash) {
      const { rows } = await run(
        database,
        sql`select ${columns} from ${name} where context_hash = ${contextHash} order by generation desc limit 1`,
      );
      return rows[0] === undefined ? undefined : rowOf(rows[0]);
    },
    async insert({ keyRef, contextHash, generation, createdAtMs, record }) {
      if (database.inTransaction?.() === true) throw sdkError('fields.in_transaction');
      const { changed } = await run(
        database,
        sql`insert into ${name} (${columns})
          values (${keyRef}, ${contextHash}, ${generation}, ${createdAtMs}, ${record}) on conflict do nothing`,
      );
      return changed === 1;
    },
  };
}

/** A key table in memory, for tests: what was sealed is lost with it. */
export function memoryFieldKeyStore(): FieldKeyStore {
  const rows: FieldKeyRow[] = [];
  const isOf = (one: Uint8Array, other: Uint8Array): boolean => Buffer.compare(one, other) === 0;
  return {
    find: async (keyRefs) => rows.filter((row) => keyRefs.some((keyRef) => isOf(row.keyRef, keyRef))),
    newest: async (contextHash) =>
      rows
        .filter((row) => isOf(row.contextHash, contextHash))
        .sort((one, other) => one.generation - other.generation)
        .at(-1),
    async insert(row) {
      const isThere = rows.some(
        (other) =>
          isOf(row.keyRef, other.keyRef) ||
          (isOf(row.contextHash, other.contextHash) && row.generation === other.generation),
      );
      if (!isThere) rows.push(row);
      return !isThere;
    },
  };
}

/** A row as a driver gives it: bytes as some kind of Uint8Array, 64-bit integers as number or text. */
function rowOf(row: Readonly<Record<string, unknown>>): FieldKeyRow {
  const { key_ref: keyRef, context_hash: contextHash, record } = row;
  const [generation, createdAtMs] = [Number(row['generation']), Number(row['created_at_ms'])];
  const isSound =
    keyRef instanceof Uint8Array &&
    keyRef.length === keyReferenceBytes &&
    contextHash instanceof Uint8Array &&
    record instanceof Uint8Array &&
    Number.isSafeInteger(generation) &&
    Number.isSafeInteger(createdAtMs);
  if (!isSound) throw sdkError('fields.key_altered');
  return { keyRef, contextHash, generation, createdAtMs, record };
}
