/**
 * A patient diary in SQLite whose names and entries are sealed: see README.md beside it.
 *
 *   node examples/fields/main.ts old|expand|add|find|migrate
 */
import { randomUUID } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { text } from 'node:stream/consumers';
import { fieldKeyTable, migrateToSealed, sqliteDatabase } from '@trialkeep/sdk/fields';
import { isMigrating, openDiary } from './diary.ts';

const [command] = process.argv.slice(2);
const path = required('DIARY_DATABASE');
const database = new DatabaseSync(path);
database.exec('pragma journal_mode = wal');

switch (command) {
  case 'old': {
    // What the application did before: nothing here knows of keys.
    database.exec(`create table if not exists diary
      (id text primary key, study text not null, subject text not null, name text, entry text) strict`);
    const { name, entry } = await input();
    database
      .prepare('insert into diary values (?, ?, ?, ?, ?)')
      .run(randomUUID(), required('DIARY_STUDY'), required('DIARY_SUBJECT'), name, entry);
    break;
  }
  case 'expand': {
    database.exec(`
      alter table diary add column name_sealed blob check (substr(name_sealed, 1, 1) = x'01');
      alter table diary add column name_index blob;
      alter table diary add column entry_sealed blob check (substr(entry_sealed, 1, 1) = x'01');
      create index diary_name on diary (name_index);
      ${fieldKeyTable('sqlite')};`);
    break;
  }
  case 'add': {
    const { name, entry } = await input();
    const id = randomUUID();
    const [study, subject] = [required('DIARY_STUDY'), required('DIARY_SUBJECT')];
    await diary().rows.insert([{ id, study, subject, name_sealed: name, entry_sealed: entry }]);
    console.log(id);
    break;
  }
  case 'find': {
    const { name } = await input();
    const found = await diary().rows.find({ name_sealed: name }, { orderBy: 'id' });
    for (const row of found) console.log(`${row.name_sealed}: ${row.entry_sealed}`);
    break;
  }
  case 'migrate': {
    const { remainingRows } = await migrateToSealed(sqliteDatabase(database), diary().table, {
      onProgress: ({ doneRows, totalRows, remainingMs = 0 }) =>
        console.log(`${doneRows} of ${totalRows} rows, ${Math.ceil(remainingMs / 1000)} s left`),
    });
    if (remainingRows > 0 || !isMigrating(database)) break;
    // Nothing is in clear any more, and nobody writes it so. Without vacuum the old bytes would stay in free pages of the file.
    database.exec('alter table diary drop column name; alter table diary drop column entry; vacuum');
    database.exec('pragma wal_checkpoint(truncate)');
    break;
  }
  default:
    console.error('old, expand, add, find or migrate');
    process.exitCode = 2;
}

function diary() {
  const settings = {
    url: required('TRIALKEEP_URL'),
    credential: required('TRIALKEEP_CREDENTIAL'),
    key: required('TRIALKEEP_KEY'),
  };
  // A connection of its own for the key table, so that no transaction of the application can take a key back.
  return openDiary(settings, database, new DatabaseSync(path));
}

/** The patient's name in the first line, the entry in the others: never on the command line, where other users see it. */
async function input(): Promise<{ name: string; entry: string }> {
  const [name = '', ...lines] = (await text(process.stdin)).trimEnd().split('\n');
  return { name, entry: lines.join('\n') };
}

function required(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set.`);
  return value;
}
