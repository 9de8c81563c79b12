import { openDatabase } from '../platform/database.ts';
import type { Database } from '../platform/database.ts';
import type { ShredTables } from '../platform/tables.ts';
import * as store from './store.ts';
import type { ShreddableKey } from './store.ts';

export type { ShreddableKey } from './store.ts';

/**
 * The shred store: study and subject keys, apart from the database and its backups, so that losing one of them is forgetting
 * wherever the ciphertexts lie. Rows are wrapped under the root's epoch key; a stale copy of the store does not open once the
 * epoch has moved on.
 */
export class ShredStore {
  readonly #database: Database<ShredTables>;

  private constructor(database: Database<ShredTables>) {
    this.#database = database;
  }

  static open(file: string, onDown?: (error: Error) => void): ShredStore {
    return new ShredStore(openDatabase<ShredTables>(file, 'shred', onDown));
  }

  /** Durable when it returns. A key whose row in the main database never commits is never used. */
  async put(key: ShreddableKey): Promise<void> {
    await this.#database.write((transaction) => store.insert(transaction, key));
  }

  async find(id: string): Promise<ShreddableKey | undefined> {
    return this.#database.read((snapshot) => store.find(snapshot, id));
  }

  async close(): Promise<void> {
    await this.#database.close();
  }
}
