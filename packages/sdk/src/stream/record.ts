import { parseCanonicalObject, isTime } from '@trialkeep/ledger';

/** One entry on its way to a collector. */
export interface StreamRecord {
  readonly origin: string;
  /** Index in the log, from 0. */
  readonly position: number;
  /** The entry, byte for byte. */
  readonly bytes: Uint8Array;
  /** Its members; none where it is no entry of this product. */
  readonly members: Readonly<Record<string, unknown>>;
}

export function recordOf(origin: string, position: number, bytes: Uint8Array): StreamRecord {
  const members = parseCanonicalObject(Buffer.from(bytes).toString('utf8')) ?? {};
  return { origin, position, bytes, members };
}

/** A member that is text. */
export function textOf({ members }: StreamRecord, name: string): string | undefined {
  const value = members[name];
  return typeof value === 'string' ? value : undefined;
}

/** Milliseconds since 1970; 0 where the entry does not say. */
export function timeOf({ members: { time } }: StreamRecord): number {
  return isTime(time) ? (time as number) : 0;
}

/** Whether somebody should look: it was not allowed, or could not be done. */
export function isNotable(record: StreamRecord): boolean {
  const outcome = textOf(record, 'outcome');
  return outcome === 'refused' || outcome === 'failed';
}
