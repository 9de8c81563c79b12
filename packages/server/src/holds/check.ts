import type { Conditions } from '@trialkeep/contract';
import { findPlaces, progress, rangeOf } from '../audit/index.ts';
import type { Ledger, TransparencyLog } from '../audit/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import * as store from './store.ts';
import type { HoldRow } from './store.ts';

/** Reads the holds in a transaction or snapshot, and gives the id of one that applies at that time. */
export type HeldIn = (tx: Tx, time: number) => Promise<string | undefined>;

export interface HoldCheckParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
}

/** Says which hold stands against destroying or erasing something. */
export class HoldCheck {
  readonly #parts: HoldCheckParts;

  constructor(parts: HoldCheckParts) {
    this.#parts = parts;
  }

  /** A subject is kept by its own holds, its study's and the tenant's. */
  async ofSubject(tenant: string, study: string, alias: string): Promise<HeldIn> {
    return this.#in(tenant, ({ about, thing, study: of }) => {
      if (about === 'study') return thing === study;
      return about === 'tenant' || (about === 'subject' && of === study && thing === alias);
    });
  }

  /** A study is kept by its own holds, those of any subject in it, and the tenant's. */
  async ofStudy(tenant: string, study: string): Promise<HeldIn> {
    return this.#in(tenant, ({ about, thing, study: of }) => {
      if (about === 'subject') return of === study;
      return about === 'tenant' || (about === 'study' && thing === study);
    });
  }

  /** All that a tenant has is kept by any hold at all. */
  async ofTenant(tenant: string): Promise<HeldIn> {
    return this.#in(tenant, () => true);
  }

  /**
   * A key is kept by its own holds, the tenant's, and those of studies and subjects whose data it protected: what lies under a
   * study's key lies under the system's too. What it protected the ledger says; where its first entries are archived, any hold counts.
   * A key that is out of use protects nothing new, so that what was asked before the transaction holds in it.
   */
  async ofKey(tenant: string, key: string): Promise<HeldIn> {
    const { database, hierarchy, ledger } = this.#parts;
    const log = await ledger.openOfTenant(tenant);
    if (log === undefined) throw new Error(`Tenant ${tenant} has no log.`);
    const rowKey = await hierarchy.rowKey(tenant);
    const holds = await database.read((snapshot) => store.list(snapshot, rowKey, tenant));
    const free = new Set<string>();
    for (const hold of holds.filter(({ about }) => about === 'study' || about === 'subject')) {
      if (!free.has(hold.thing) && !(await this.#hasProtected(log, key, hold))) free.add(hold.thing);
    }
    return this.#in(tenant, ({ about, thing }) => (about === 'key' ? thing === key : !free.has(thing)));
  }

  async #in(tenant: string, applies: (hold: HoldRow) => boolean): Promise<HeldIn> {
    const rowKey = await this.#parts.hierarchy.rowKey(tenant);
    return async (tx, time) => {
      const inForce = await store.list(tx, rowKey, tenant, { inForceAt: time });
      return inForce.find(applies)?.id;
    };
  }

  async #hasProtected(log: TransparencyLog, key: string, hold: HoldRow): Promise<boolean> {
    const { database } = this.#parts;
    await log.integrate();
    const { size, first } = await database.read((snapshot) => progress(snapshot, log.id));
    if (first > 0) return true;
    const { about, thing, study } = hold;
    const named: Conditions = about === 'study' ? { study: thing } : { subject: thing, study: study ?? '' };
    const conditions: Conditions = { ...named, key, outcome: 'success' };
    const read: Database['read'] = (work) => database.read(work);
    const range = await rangeOf(read, log.id, conditions, { first, size });
    return (await findPlaces(read, log.id, conditions, range, 1)).length > 0;
  }
}
