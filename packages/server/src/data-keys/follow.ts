import { createHash } from 'node:crypto';
import { changeOwn, sealDraft } from '../audit/index.ts';
import { findKey, stateAt } from '../keys/index.ts';
import type { Database } from '../platform/database.ts';
import { ensure } from '../platform/jobs/index.ts';
import type { JobHandler } from '../platform/jobs/index.ts';
import { findSeal } from '../systems/index.ts';
import { followJob } from './follow-job.ts';
import type { RewrapParts } from './parts.ts';
import { beginRewrap } from './rewraps.ts';
import * as store from './store.ts';
import type { Outdated } from './store.ts';

const everyMs = 60_000;
/** Keys, and data keys, in one look. */
const keysPerLook = 100;
const removedPerLook = 1000;

/** At start: the look has its job, whatever was done to the jobs. */
export async function followRotations(database: Database): Promise<void> {
  await database.write((tx) => ensure(tx, followJob(0)));
}

/**
 * Begins a rewrap for every key with registered data keys that has rotated since the last one, by whoever's hand, and takes data
 * keys out of the registry that nobody can open any more.
 */
export function followHandler(parts: RewrapParts, wake: () => void): JobHandler {
  return async (job) => {
    const { database } = parts;
    for (let behind = '', more = true; more;) {
      const due = await database.read((snapshot) => store.outdated(snapshot, behind, keysPerLook));
      for (const each of due) await begin(parts, each);
      behind = due.at(-1)?.key ?? behind;
      more = due.length === keysPerLook;
    }
    while ((await removeUnopenable(parts)) === removedPerLook);
    await database.write((tx) => job.reschedule(tx, job.beganAt + everyMs));
    wake();
  };
}

async function begin(
  { clock, database, facts, hierarchy, ledger }: RewrapParts,
  { key, tenant, log: id }: Outdated,
): Promise<void> {
  const log = await ledger.open(id);
  const rowKey = await hierarchy.rowKey(tenant);
  const isTime = async (tx: Parameters<typeof findKey>[0], time: number) => {
    const row = await findKey(tx, rowKey, tenant, key);
    const registry = await store.findRegistry(tx, key);
    if (row === undefined || registry === undefined) return undefined;
    if ((await findSeal(tx, rowKey, tenant))?.state !== 'open') return undefined;
    return stateAt(row, time) === 'active' && registry.aimed_version < row.version ? row : undefined;
  };
  // A look without a lock first: keys that are past their dates are found by every look.
  if ((await database.read((snapshot) => isTime(snapshot, clock.now()))) === undefined) return;
  await changeOwn(
    ledger,
    facts,
    id,
    async (tx, time) => {
      const row = await isTime(tx, time);
      if (row === undefined) throw new NotNow();
      const { row: rewrap } = await beginRewrap(tx, { log: id, key, version: row.version, time });
      const { version, system } = row;
      const recorded = { key, version, system, rewrap: rewrap.id, state: rewrap.state, reason: 'policy' };
      const draft = { operation: 'rewraps.start', outcome: 'success', recorded } as const;
      const payload = { total: rewrap.total };
      return { result: undefined, draft: sealDraft(draft, log.origin, payload, log.payloadKey) };
    },
    { keepsEpoch: true },
  ).catch((error: unknown) => {
    if (!(error instanceof NotNow)) throw error;
  });
}

/** The key has changed since it was looked at. */
class NotNow extends Error {}

/** Their ciphertexts open under no key that is left; their contexts name whoever is to be forgotten. */
async function removeUnopenable({ database, facts, ledger }: RewrapParts): Promise<number> {
  const rows = await database.read((snapshot) => store.unopenable(snapshot, removedPerLook));
  for (const [key, ofKey] of Map.groupBy(rows, (row) => row.key)) {
    const log = await ledger.open(ofKey[0]?.log ?? 0);
    const references = ofKey.map(({ reference }) => reference);
    await changeOwn(
      ledger,
      facts,
      log.id,
      async (tx) => {
        const removed = await store.removeDataKeys(tx, key, references);
        await store.countOut(tx, key, removed);
        const hash = createHash('sha256').update(Buffer.concat(references)).digest('hex');
        const recorded = { key, hash, reason: 'policy' };
        const draft = { operation: 'data-keys.forget', outcome: 'success', recorded } as const;
        return { result: undefined, draft: sealDraft(draft, log.origin, { removed }, log.payloadKey) };
      },
      { keepsEpoch: true },
    );
  }
  return rows.length;
}
