import type { Hierarchy } from '../keys/index.ts';
import { OperationError } from '../platform/errors.ts';
import type { Facts } from '../platform/facts.ts';
import * as store from './store.ts';

/** A drill that has ended, for the document that leaves for an inspector. */
export interface EndedDrill {
  /** Canonical JSON, whose hash is on the last entry. */
  readonly record: string;
  /** The system that was made up for it; null where it did not come so far. */
  readonly system: string | null;
  /** Milliseconds since 1970. */
  readonly begunAt: number;
  readonly endedAt: number;
}

/** @throws OperationError `drill.unknown`, `drill.running` */
export async function endedDrill(
  { hierarchy }: { readonly hierarchy: Hierarchy },
  asked: { readonly facts: Facts; readonly tenant: string; readonly log: number; readonly drill: string },
): Promise<EndedDrill> {
  const rowKey = await hierarchy.rowKey(asked.tenant);
  const row = await asked.facts.read((snapshot) => store.findDrill(snapshot, rowKey, asked.log, asked.drill));
  if (row === undefined) throw new OperationError('drill.unknown', { field: '/drill' });
  const { record, system, begun_at: begunAt, ended_at: endedAt } = row;
  if (record === null || endedAt === null) throw new OperationError('drill.running', { field: '/drill' });
  return { record: Buffer.from(record).toString('utf8'), system, begunAt, endedAt };
}
