import { createSecretKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import pg from 'pg';
import { rawAes } from '@trialkeep/crypto';
import { recipientKeys } from '../seal/recipient-keys.ts';
import {
  createFields,
  fieldKeyStore,
  fieldTable,
  migrateToSealed,
  pgDatabase,
  sqliteDatabase,
} from './index.ts';
import type { SqlDatabase } from './index.ts';
import { patients } from './patients.fixture.ts';

/** A process that migrates a table, in batches of four rows, until the statement before which it halts to be killed. */

const [dialect = '', location = '', haltAt = ''] = process.argv.slice(2);
const key = createSecretKey(readFileSync(0, 'utf8'), 'hex');
const connect = (): SqlDatabase =>
  dialect === 'sqlite'
    ? sqliteDatabase(new DatabaseSync(location))
    : pgDatabase(new pg.Pool({ connectionString: location, max: 4 }));

const own = rawAes({ namespace: 'test', name: 'own', key });
const keys = recipientKeys({ recipients: [own], identities: [own] });
const fields = createFields({ keys, store: fieldKeyStore(connect()) });
const database = connect();
let statements = 0;
const halting: SqlDatabase = {
  ...database,
  async query(...query) {
    statements += 1;
    if (statements === Number(haltAt)) {
      process.stdout.write('halted\n');
      // Stops here until the parent has sent SIGKILL.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    }
    return database.query(...query);
  },
};
await migrateToSealed(halting, fieldTable(fields, patients(database.dialect, 'sealed')), { batchRows: 4 });
process.stdout.write('done\n');
process.exitCode = 1;
