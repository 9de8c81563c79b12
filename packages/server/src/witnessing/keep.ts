import type { Tx } from '../platform/database.ts';
import type { Cosignature, SignedCheckpoint } from './checkpoint.ts';
import type { Current, InForce, WitnessingParts } from './current.ts';
import { WitnessAhead } from './witness-client.ts';
import { CosignerFault } from './faults.ts';
import type { Cosigner } from './policy.ts';
import { meets } from './policy.ts';
import * as store from './store.ts';

/** The wait after a cosigner's first failure, ms; it doubles up to the limit. */
const backoffMs = 1000;
const maxBackoffMs = 60_000;

/**
 * Stores verified cosignatures, and says in the same transaction whether they make the checkpoint one that meets the quorum. Where
 * the log has another policy meanwhile, nothing is stored. Gives whether the quorum is met.
 */
export async function keepCosignatures(
  parts: WitnessingParts,
  current: Current,
  { size }: Pick<SignedCheckpoint, 'size'>,
  cosignatures: readonly Cosignature[],
): Promise<boolean> {
  const { log, rowKey, setting } = current;
  const isMet = await parts.database.write(async (tx) => {
    const progress = await store.lockProgress(tx, rowKey, log.id);
    const policy = await store.findPolicy(tx, rowKey, log.id);
    if (progress === undefined || policy?.version !== setting.version) return false;
    for (const { cosigner, line, time } of cosignatures) {
      await store.insertCosignature(tx, { log: log.id, size, cosigner: cosigner.id, line, time });
      await noteSuccess(tx, current, { id: cosigner.id, size, time });
    }
    return settleQuorum(tx, current, progress, size);
  });
  for (const { cosigner, time } of cosignatures) {
    parts.observeClock?.(`${cosigner.kind} ${cosigner.id}`, time * 1000);
  }
  return isMet;
}

/** Moves the witnessed size on where the checkpoint over `size` entries meets the quorum. */
async function settleQuorum(
  tx: Tx,
  { log, rowKey, setting }: Current,
  progress: store.ProgressRow,
  size: number,
): Promise<boolean> {
  if (size <= progress.witnessed_size) return true;
  const present = await store.cosignaturesAt(tx, log.id, size);
  if (!meets(setting, new Set(present.map(({ cosigner }) => cosigner)))) return false;
  await store.putProgress(tx, rowKey, { ...progress, witnessed_size: size });
  await store.dropOlder(tx, log.id, size);
  return true;
}

async function noteSuccess(
  tx: Tx,
  current: Current,
  { id, size, time }: { id: string; size: number; time: number },
): Promise<void> {
  const known = (await store.cosigners(tx, current.log.id)).get(id) ?? store.newCosigner(current.log.id, id);
  const fine = { failure: null, failing_since: null, failures: 0, next_at: 0 };
  const row = { ...known, ...fine, seen_size: Math.max(known.seen_size, size) };
  await store.putCosigner(tx, size >= known.size ? { ...row, size, cosigned_at: time } : row);
}

/** Keeps why cosigners failed, and has them left alone for a while. A fault is told once, when it begins. */
export async function keepFault(
  parts: WitnessingParts,
  current: Current,
  cosigners: readonly Cosigner[],
  fault: CosignerFault,
): Promise<void> {
  const { log, time } = current;
  for (const { id, name } of cosigners) {
    const isFirst = await parts.database.write(async (tx) => {
      const known = (await store.cosigners(tx, log.id)).get(id) ?? store.newCosigner(log.id, id);
      await store.putCosigner(tx, {
        ...known,
        seen_size: fault instanceof WitnessAhead ? fault.size : known.seen_size,
        failure: fault.message,
        failing_since: known.failing_since ?? time,
        failures: known.failures + 1,
        next_at: time + Math.min(backoffMs * 2 ** known.failures, maxBackoffMs),
      });
      return known.failing_since === null;
    });
    if (isFirst) {
      const told = { log: log.origin, cosigner: name, fault: fault.code };
      parts.notes.warn(told, `No cosignature. ${fault.message}`);
    }
  }
}

/** The lines of a checkpoint's cosigners that the policy names. */
export function linesUnder(setting: InForce, rows: readonly store.CosignatureRow[]): string[] {
  const named = new Set([...setting.witnesses, ...setting.mirrorCosigners].map(({ id }) => id));
  return rows.filter(({ cosigner }) => named.has(cosigner)).map(({ line }) => line);
}
