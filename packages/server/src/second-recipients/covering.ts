import { parseEscrowRecipient } from '@trialkeep/crypto';
import type { FurtherRecipient, FurtherRecipients, Hierarchy } from '../keys/index.ts';
import { OperationError } from '../platform/errors.ts';
import { tenantOf } from '../platform/implementation.ts';
import { LruMap } from '../platform/lru.ts';
import * as store from './store.ts';
import type { RecipientRow } from './store.ts';

/** The class of data that stays in the hands of the investigator (EMA guideline on computerised systems, section 6.6). */
export const investigatorControlled = 'investigator-controlled';
/** Parsed public files that are kept: checking one takes longer than sealing to it. */
const maxParsed = 1000;

/** Finds who has to be able to open what is protected. */
export class SecondRecipients implements FurtherRecipients {
  readonly #hierarchy: Hierarchy;
  readonly #parsed = new LruMap<string, Promise<FurtherRecipient>>(maxParsed);

  constructor(hierarchy: Hierarchy) {
    this.#hierarchy = hierarchy;
  }

  async covering(...[{ caller, facts }, about]: Parameters<FurtherRecipients['covering']>) {
    const tenant = tenantOf(caller);
    const rowKey = await this.#hierarchy.rowKey(tenant);
    const rows = await facts.get('second recipients', async (snapshot) =>
      (await store.list(snapshot, rowKey, tenant)).filter(({ state }) => state !== 'removed'),
    );
    if (rows.length === 0) return [];
    const covering = rows.filter((row) => covers(row, about));
    if (covering.some(({ state }) => state === 'lost')) throw new OperationError('second_recipient.lost');
    return Promise.all(covering.map((row) => this.#read(row)));
  }

  #read({ id, name, file }: RecipientRow): Promise<FurtherRecipient> {
    const known = this.#parsed.get(id);
    if (known !== undefined) return known;
    const reading = parseEscrowRecipient(file).then(({ recipient }) => ({ id, name, recipient }));
    this.#parsed.set(id, reading);
    reading.catch(() => this.#parsed.delete(id));
    return reading;
  }
}

function covers(row: RecipientRow, about: Parameters<FurtherRecipients['covering']>[1]): boolean {
  if (row.study !== null && row.study !== about.study) return false;
  if (row.system !== null && row.system !== about.system) return false;
  return row.covers === 'all' || about.class === investigatorControlled;
}
