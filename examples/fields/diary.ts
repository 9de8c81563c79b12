/** The diary of patients: which of its columns are sealed, and what they are bound to. */
import type { DatabaseSync } from 'node:sqlite';
import { createClient } from '@trialkeep/sdk/client';
import { createFields, fieldKeyStore, fieldTable, sqliteDatabase, sqlTable } from '@trialkeep/sdk/fields';
import type { PlainDescription, SqlTable } from '@trialkeep/sdk/fields';
import { cachedKeys, serverKeys } from '@trialkeep/sdk/seal';

/** A row as the application has it. */
export type Entry = Readonly<{
  id: string;
  study: string;
  /** The patient's alias: what keys are bound to must not name anybody. */
  subject: string;
  name_sealed: string;
  entry_sealed: string;
}>;

/** What the application needs from its environment. */
export interface Settings {
  readonly url: string;
  readonly credential: string;
  /** The id of the key that wraps the data keys. */
  readonly key: string;
}

/** Whether the columns from before are still there. */
export function isMigrating(database: DatabaseSync): boolean {
  const columns = database.prepare('pragma table_info(diary)').all();
  return columns.some((column) => column['name'] === 'entry');
}

export function openDiary(settings: Settings, database: DatabaseSync, keyDatabase: DatabaseSync) {
  const client = createClient({ url: settings.url, credential: settings.credential });
  const fields = createFields({
    keys: cachedKeys(serverKeys(client, { key: settings.key })),
    store: fieldKeyStore(sqliteDatabase(keyDatabase)),
  });
  const before = (column: string): { plain?: PlainDescription } =>
    isMigrating(database) ? { plain: { column, writes: 'sealed' } } : {};
  const table = fieldTable(fields, {
    table: 'diary',
    rowId: 'id',
    contextColumns: ['study', 'subject'],
    context: ({ study, subject }) => ({ study: String(study), subject: String(subject) }),
    columns: {
      name_sealed: {
        type: 'text',
        field: 'diary.name',
        index: { column: 'name_index', distinctValues: 20_000, form: 'caseless' },
        ...before('name'),
      },
      entry_sealed: { type: 'text', field: 'diary.entry', padTo: 256, ...before('entry') },
    },
  });
  const rows: SqlTable<Entry> = sqlTable(sqliteDatabase(database), table);
  return { table, rows };
}
