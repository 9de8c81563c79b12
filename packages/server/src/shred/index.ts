import { openDatabase } from '../platform/database.ts';
import type { Database, DatabaseLocation } from '../platform/database.ts';
import { StartupError } from '../platform/errors.ts';
import type { ShredTables } from '../platform/tables.ts';
import * as store from './store.ts';
import type { HeldEpoch, ShreddableKey } from './store.ts';

export type { ShreddableKey } from './store.ts';

/** An epoch by its number, and the id of its key: nodes that do not share their epoch keys have different ones under one number. */
export interface NamedEpoch {
  readonly number: number;
  readonly id: string;
}

function requireSame({ epoch, key }: HeldEpoch, { number, id }: NamedEpoch): void {
  if (epoch === number && key !== null && key !== id)
    throw new StartupError('root.epoch_other', `Epoch ${number}: the store has ${key}, this node ${id}.`);
}

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

  /**
   * Durable when it returns true. False, and nothing is stored, where rows are written under a newer epoch by now. A key whose row in
   * the main database never commits is never used.
   *
   * @param epoch what the row is wrapped under
   * @throws StartupError `root.epoch_other`
   */
  async put(key: ShreddableKey, epoch: NamedEpoch): Promise<boolean> {
    return this.#database.write(async (transaction) => {
      // The first row of an epoch that was begun says which key it is, before another node's key gets the number.
      const held = await store.advance(transaction, { epoch: epoch.number, key: epoch.id });
      requireSame(held, epoch);
      if (key.epoch < held.epoch) return false;
      await store.insert(transaction, key);
      return true;
    });
  }

  /** The epoch that rows are written under. */
  async epoch(): Promise<number> {
    return this.#database.write(async (transaction) => (await store.heldEpoch(transaction)).epoch);
  }

  /** @throws StartupError `root.epoch_other` where the store is under this epoch, with another key */
  async requireKey(epoch: NamedEpoch): Promise<void> {
    await this.#database.write(async (transaction) => requireSame(await store.heldEpoch(transaction), epoch));
  }

  /**
   * Refuses rows of epochs before this one from now on. Of the present epoch it only compares the key; of an older one it does nothing.
   *
   * @throws StartupError `root.epoch_other` where the store knows another key under the number
   */
  async advance(epoch: NamedEpoch): Promise<void> {
    await this.#database.write(async (transaction) => {
      requireSame(await store.advance(transaction, { epoch: epoch.number, key: epoch.id }), epoch);
    });
  }

  /** Up to `limit` rows of epochs before this one; none once all of them have moved and the store has been advanced. */
  async olderThan(epoch: number, limit: number): Promise<ShreddableKey[]> {
    return this.#database.read((snapshot) => store.olderThan(snapshot, epoch, limit));
  }

  /** Writes rows under a newer epoch in one transaction, but those that were removed or moved since they were read. */
  async move(moved: readonly { readonly from: ShreddableKey; readonly to: ShreddableKey }[]): Promise<void> {
    await this.#database.write(async (transaction) => {
      for (const { from, to } of moved) await store.move(transaction, from, to);
    });
  }

  async find(id: string): Promise<ShreddableKey | undefined> {
    return this.#database.read((snapshot) => store.find(snapshot, id));
  }

  /** Forgets a key, durably when it returns; nothing where there is none. Older copies of the store still hold it (erasure/). */
  async remove(tenant: string, kind: ShreddableKey['kind'], id: string): Promise<void> {
    await this.#database.write((transaction) => store.remove(transaction, { tenant, kind, id }));
  }

  /** As `remove`, of several of one kind in one transaction. */
  async removeAll(tenant: string, kind: ShreddableKey['kind'], ids: readonly string[]): Promise<void> {
    await this.#database.write(async (transaction) => {
      for (const id of ids) await store.remove(transaction, { tenant, kind, id });
    });
  }

  async close(): Promise<void> {
    await this.#database.close();
  }
}
