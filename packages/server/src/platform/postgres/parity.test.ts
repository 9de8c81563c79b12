import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { postgresCluster, postgresMissing } from '../../../../../tools/postgres-cluster.ts';
import { createDatabase } from '../database.ts';
import { newLocation } from './fixture.test.ts';

/** A schema as lines, in order, so that a difference reads well. */
type Schema = string[];

const sqliteQueries = [
  // Strict tables have these types only.
  `select 'column ' || t.name || '.' || c.name || ' ' || lower(c.type) || iif(c."notnull" or c.pk, ' not null', '')
     || iif(c.dflt_value is null, '', ' default ' || c.dflt_value)
   from sqlite_schema t, pragma_table_info(t.name) c where t.type = 'table'`,
  `select 'primary key ' || t.name || ' ' || (select group_concat(name, ', ') from
     (select name from pragma_table_info(t.name) where pk > 0 order by pk))
   from sqlite_schema t where t.type = 'table'`,
  `select iif(i."unique", 'unique ', 'index ') || t.name || ' ' ||
     (select group_concat(name, ', ') from (select name from pragma_index_info(i.name) order by seqno)) ||
     iif(i.partial, ' where ' || substr(x.sql, instr(x.sql, ' where ') + 7), '') || iif(i.origin = 'c', ' as ' || i.name, '')
   from sqlite_schema t, pragma_index_list(t.name) i left join sqlite_schema x on x.name = i.name
   where t.type = 'table' and i.origin <> 'pk'`,
  `select 'foreign key ' || t.name || ' ' || group_concat(f."from", ', ') || ' to ' || f."table" || ' ' || group_concat(f."to", ', ')
     || ' ' || lower(f.on_delete)
   from sqlite_schema t, pragma_foreign_key_list(t.name) f where t.type = 'table' group by t.name, f.id`,
];

const ours = `c.relnamespace = 'public'::regnamespace and c.relkind = 'r' and c.relname <> 'trialkeep_store'`;
const postgresQueries = [
  `select 'column ' || c.relname || '.' || a.attname || ' '
     || case format_type(a.atttypid, a.atttypmod) when 'bigint' then 'integer' when 'bytea' then 'blob' else format_type(a.atttypid, a.atttypmod) end
     || case when a.attnotnull then ' not null' else '' end
     || coalesce(' default ' || replace(pg_get_expr(d.adbin, d.adrelid), '::text', ''), '')
   from pg_class c join pg_attribute a on a.attrelid = c.oid left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
   where ${ours} and a.attnum > 0 and not a.attisdropped`,
  `select 'primary key ' || c.relname || ' ' || (select string_agg(a.attname, ', ' order by k.at) from
     unnest(i.indkey) with ordinality as k (attnum, at) join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum)
   from pg_class c join pg_index i on i.indrelid = c.oid where ${ours} and i.indisprimary`,
  `select case when i.indisunique then 'unique ' else 'index ' end || c.relname || ' ' || (select string_agg(a.attname, ', ' order by k.at) from
     unnest(i.indkey) with ordinality as k (attnum, at) join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum)
     || coalesce(' where ' || replace(translate(pg_get_expr(i.indpred, i.indrelid), '()', ''), '::text', ''), '')
     || case when exists (select from pg_constraint where conindid = i.indexrelid) then '' else ' as ' || i.indexrelid::regclass::text end
   from pg_class c join pg_index i on i.indrelid = c.oid where ${ours} and not i.indisprimary`,
  `select 'foreign key ' || c.relname || ' '
     || (select string_agg(a.attname, ', ' order by k.at) from unnest(f.conkey) with ordinality as k (attnum, at) join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.attnum)
     || ' to ' || f.confrelid::regclass::text || ' '
     || (select string_agg(a.attname, ', ' order by k.at) from unnest(f.confkey) with ordinality as k (attnum, at) join pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.attnum)
     || ' ' || case f.confdeltype when 'a' then 'no action' when 'r' then 'restrict' when 'c' then 'cascade' when 'n' then 'set null' else 'set default' end
   from pg_class c join pg_constraint f on f.conrelid = c.oid where ${ours} and f.contype = 'f'`,
];

/** Predicates are compared by their words: PostgreSQL writes them in its own form. */
function plain(line: string): string {
  return line.replaceAll('"', '').toLowerCase();
}

function sqliteSchema(store: 'main' | 'shred'): Schema {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-parity-'));
  try {
    const file = join(folder, 'test.db');
    createDatabase(file, store);
    const database = new DatabaseSync(file, { readOnly: true });
    const rows = sqliteQueries.flatMap((sql) => database.prepare(sql).all());
    database.close();
    return rows.map((row) => plain(String(Object.values(row)[0]))).sort();
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function postgresSchema(store: 'main' | 'shred'): Promise<Schema> {
  const cluster = await postgresCluster();
  const location = await newLocation();
  await createDatabase(location, store, 'installation');
  const lines = postgresQueries.flatMap((sql) => cluster.run(sql, location.database).split('\n'));
  return lines
    .filter((line) => line !== '')
    .map(plain)
    .sort();
}

for (const store of ['main', 'shred'] as const) {
  test(
    `the ${store} database has the same tables on SQLite and PostgreSQL`,
    { skip: postgresMissing },
    async () => {
      const schema = sqliteSchema(store);
      assert.deepEqual(await postgresSchema(store), schema);
      const found = (kind: string) => schema.filter((line) => line.startsWith(kind)).length;
      const kinds =
        store === 'main'
          ? ['column', 'primary key', 'unique', 'index', 'foreign key']
          : ['column', 'primary key'];
      for (const kind of kinds) assert.ok(found(kind) > 0, kind);
    },
  );

  test(
    `text of the ${store} database is compared by its bytes on PostgreSQL`,
    { skip: postgresMissing },
    async () => {
      const cluster = await postgresCluster();
      const location = await newLocation();
      await createDatabase(location, store, 'installation');
      const others = `select count(*) from information_schema.columns where table_schema = 'public' and data_type = 'text'
      and collation_name is distinct from 'C'`;
      assert.equal(cluster.run(others, location.database), '0');
    },
  );
}
