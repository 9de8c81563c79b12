import { changeOwn, sealDraft } from '../audit/index.ts';
import type { SealedDraft } from '../audit/index.ts';
import type { NewKey } from './hierarchy.ts';
import { recordedKey } from './recorded-key.ts';
import { addVersion, cancelRotation } from './rotation.ts';
import type { RotationParts } from './rotation.ts';
import { stateAt } from './states.ts';
import * as store from './store.ts';
import type { KeyRow } from './store.ts';

type RenewParts = Pick<RotationParts, 'database' | 'hierarchy' | 'ledger' | 'facts'>;

/** Keys that get their versions in one transaction. */
const keysTogether = 50;

/** The states in which a key protects, or may again. */
const protecting: readonly string[] = ['active', 'suspended', 'pre-activation'];

/**
 * Gives every key of a tenant that protects, or may again, a version that was made at `since` or later (ms): what was made before is to be
 * taken for known, and only processes from then on. Each has its entry. Goes on where it was interrupted.
 *
 * @returns how many keys got one in this run
 */
export async function renewVersions(parts: RenewParts, tenant: string, since: number): Promise<number> {
  const rowKey = await parts.hierarchy.rowKey(tenant);
  const keys = await parts.database.read((snapshot) => store.listKeys(snapshot, rowKey, tenant));
  let renewed = 0;
  for (let first = 0; first < keys.length; first += keysTogether) {
    const part: { row: KeyRow; made: NewKey }[] = [];
    for (const row of keys.slice(first, first + keysTogether)) {
      // What stays in an HSM was never wrapped; versions of imported keys are brought by people.
      if (row.protection === 'hsm' || row.imported === 1) continue;
      if (!protecting.includes(stateAt(row, since))) continue;
      const madeAt = await parts.database.read((snapshot) => store.newestMadeAt(snapshot, row.id));
      if (madeAt >= since) continue;
      part.push({ row, made: await parts.hierarchy.newSystemKeyVersion(tenant, row.id, row) });
    }
    if (part.length > 0) await renew(parts, tenant, part);
    renewed += part.length;
  }
  return renewed;
}

async function renew(
  { ledger, facts, hierarchy }: RenewParts,
  tenant: string,
  part: readonly { readonly row: KeyRow; readonly made: NewKey }[],
): Promise<void> {
  const log = await ledger.openOfTenant(tenant);
  if (log === undefined) throw new Error(`Tenant ${tenant} has no log.`);
  const rowKey = await hierarchy.rowKey(tenant);
  await changeOwn(ledger, facts, log.id, async (tx, time) => {
    const drafts: SealedDraft[] = [];
    for (const { row: known, made } of part) {
      const row = await store.findKey(tx, rowKey, tenant, known.id);
      if (row === undefined || row.version !== known.version) throw new Error(`Key ${known.id} has changed.`);
      const old = { version: row.version };
      await addVersion(tx, rowKey, row, made, time);
      const state = stateAt(row, time);
      // What is suspended rotates when it is resumed.
      if (state === 'suspended') await cancelRotation(tx, row.id);
      await store.updateKey(tx, rowKey, row);
      const { id: key, system, version } = row;
      const recorded = { key, system, version, state, reason: 'root-compromised' };
      const draft = { operation: 'keys.rotate', outcome: 'success', recorded } as const;
      drafts.push(sealDraft(draft, log.origin, { old, inventory: recordedKey(row) }, log.payloadKey));
    }
    const [draft, ...further] = drafts;
    if (draft === undefined) throw new Error('There is nothing to renew.');
    return { result: undefined, draft, further };
  });
}
