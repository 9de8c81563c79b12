import { openDatabase } from '../platform/database.ts';
import type { Database, DatabaseLocation } from '../platform/database.ts';
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

  static open(file: string, onDown?: (error: Error) => void): ShredStore;
  static open(location: DatabaseLocation, onDown?: (error: Error) => void): ShredStore | Promise<ShredStore>;
  static open(location: DatabaseLocation, onDown?: (error: Error) => void): ShredStore | Promise<ShredStore> {
    const opened = openDatabase<ShredTables>(location, 'shred', onDown);
    return opened instanceof Promise
      ? opened.then((database) => new ShredStore(database))
      : new ShredStore(opened);
  }

  /** Durable when it returns. A key whose row in the main database never commits is never used. */
  async put(key: ShreddableKey): Promise<void> {
    await this.#database.single((transaction) => store.insert(transaction, key));
  }

  async find(id: string): Promise<ShreddableKey | undefined> {
    return this.#database.read((snapshot) => store.find(snapshot, id));
  }

  /** Forgets a key, durably when it returns; nothing where there is none. Older copies of the store still hold it. */
  async remove(tenant: string, kind: ShreddableKey['kind'], id: string): Promise<void> {
    await this.#database.write((transaction) => store.remove(transaction, { tenant, kind, id }));
  }

  async close(): Promise<void> {
    await this.#database.close();
  }
}
