import { setImmediate } from 'node:timers/promises';
import { changeOwn, sealDraft } from '../audit/index.ts';
import type { Ledger } from '../audit/index.ts';
import { underEpoch } from '../keys/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { Database } from '../platform/database.ts';
import type { FactsCache } from '../platform/facts.ts';
import type { Job, JobHandler } from '../platform/jobs/index.ts';
import type { EpochKey, Epochs } from '../roots/index.ts';
import type { ShredStore } from '../shred/index.ts';
import { scheduleCompletion } from './completion.ts';
import * as store from './store.ts';

/** The task, and the name, of the job that begins the next epoch after erasures. */
export const renewalTask = 'epochs.renew';

/** Rows of the shred store that move in one transaction. */
const rowsPerMove = 500;

export interface RenewalParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
  readonly epochs: Epochs;
  readonly shred: ShredStore;
}

/** Moves the shred store to the next epoch and destroys the old key (docs/formats/epoch-keys.md). Goes on where it was interrupted. */
export function renewalHandler(parts: RenewalParts): JobHandler {
  return async (job) => {
    const { database, epochs } = parts;
    const waiting = await database.read((snapshot) => store.open(snapshot, null));
    const isWanted = waiting.some(({ renewed_at }) => renewed_at === null);
    if (isWanted || epochs.numbers().length > 1) {
      const { moved, number } = await renewEpoch(parts);
      await markRenewed(parts, number, moved);
    }
    await endOrRepeat(database, job);
  };
}

/** Readers open rows of either epoch until the last has moved; nothing here is undone by being done twice. */
export async function renewEpoch(
  { epochs, shred }: Pick<RenewalParts, 'epochs' | 'shred'>,
  under: typeof underEpoch = underEpoch,
): Promise<{ number: number; moved: number }> {
  // A node that does not share the folder with the others must not go on from an older epoch than theirs.
  await shred.advance(await epochs.open(await shred.epoch()));
  const next = await epochs.begin();
  await shred.advance(next);
  const old = new Map<number, EpochKey>();
  let moved = 0;
  for (;;) {
    const rows = await shred.olderThan(next.number, rowsPerMove);
    if (rows.length === 0) break;
    for (const { epoch } of rows) if (!old.has(epoch)) old.set(epoch, await epochs.open(epoch));
    const changed = rows.flatMap((from) => {
      const key = old.get(from.epoch);
      return key === undefined ? [] : [{ from, to: under(from, key, next) }];
    });
    await shred.move(changed);
    moved += changed.length;
    await setImmediate();
  }
  for (const number of epochs.numbers().filter((each) => each < next.number)) await epochs.retire(number);
  return { number: next.number, moved };
}

/** The entry about the change of epoch, in the instance's log, with what now only waits for the holders. */
async function markRenewed(
  { database, facts, hierarchy, ledger }: RenewalParts,
  number: number,
  moved: number,
): Promise<void> {
  const { id, origin, payloadKey } = ledger.instanceLog;
  const tenants = new Set((await database.read((tx) => store.open(tx, null))).map(({ tenant }) => tenant));
  const rowKeys = new Map(
    await Promise.all([...tenants].map(async (each) => [each, await hierarchy.rowKey(each)] as const)),
  );
  await changeOwn(ledger, facts, id, async (tx, time) => {
    let erasures = 0;
    for (const { study, subject, tenant } of await store.open(tx, null)) {
      const rowKey = rowKeys.get(tenant);
      const row = rowKey && (await store.find(tx, rowKey, study, subject));
      if (row === undefined || rowKey === undefined) continue;
      if (row.renewed_at !== null || row.epoch >= number) continue;
      const { seal: _, ...unsealed } = row;
      await store.put(tx, rowKey, { ...unsealed, renewed_at: time });
      await scheduleCompletion(tx, row, time);
      erasures++;
    }
    const draft = { operation: renewalTask, outcome: 'success', recorded: { version: number } } as const;
    return { result: undefined, draft: sealDraft(draft, origin, { erasures, moved }, payloadKey) };
  });
}

/** What was erased while this ran is of this epoch, or not marked yet. */
async function endOrRepeat(database: Database, job: Job): Promise<void> {
  await database.write(async (tx) => {
    const left = (await store.open(tx, null)).some(({ renewed_at }) => renewed_at === null);
    if (left) await job.reschedule(tx, job.beganAt + 1000);
    else await job.complete(tx);
  });
}
