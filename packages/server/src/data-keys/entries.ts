import { sealDraft } from '../audit/index.ts';
import type { SealedDraft, TransparencyLog } from '../audit/index.ts';
import { sumOf } from './rewraps.ts';
import type { PartRow, RewrapRow } from './store.ts';
import type { BatchResult } from './wrap-anew.ts';

/** What the entries of a rewrap are about. */
export interface About {
  readonly rewrap: RewrapRow;
  readonly log: TransparencyLog;
  readonly system: string;
}

/** Data keys that could not be wrapped and that the entry of a batch names: all of them. */
const hex = (bytes: Uint8Array | undefined): string | undefined =>
  bytes && Buffer.from(bytes).toString('hex');

function recordedOf({ rewrap: { id, key, version }, system }: About) {
  return { key, version, system, rewrap: id };
}

/** The entry of one batch. The payload names each data key that was left as it was. */
export function batchEntry(
  about: About,
  part: number,
  rows: readonly { readonly reference: Uint8Array }[],
  { rewrapped, failed, lost, hash }: BatchResult,
): SealedDraft {
  const { log } = about;
  const recorded = { ...recordedOf(about), hash: Buffer.from(hash).toString('hex') };
  const payload = {
    part,
    first: hex(rows[0]?.reference),
    last: hex(rows.at(-1)?.reference),
    rewrapped: rewrapped.length,
    passed: rows.length - rewrapped.length - failed.length - lost.length,
    failed: failed.map(hex),
    lost: lost.map(hex),
  };
  const outcome = failed.length + lost.length === 0 ? ('success' as const) : ('failed' as const);
  return sealDraft({ operation: 'data-keys.rewrap', outcome, recorded }, log.origin, payload, log.payloadKey);
}

/** The entry of an end that came by itself: `hash` is over the hashes of all batches, share by share. */
export function endEntry(
  about: About,
  ended: RewrapRow,
  parts: readonly PartRow[],
  operation: 'rewraps.finish' | 'rewraps.stop',
): SealedDraft {
  const { log } = about;
  const { counts, hash } = sumOf(parts);
  const recorded = { ...recordedOf(about), state: ended.state, hash };
  const payload = {
    ...counts,
    total: ended.total,
    cause: ended.cause,
    begunAt: ended.begun_at,
    workedMs: ended.worked_ms,
  };
  return sealDraft({ operation, outcome: 'success' as const, recorded }, log.origin, payload, log.payloadKey);
}
