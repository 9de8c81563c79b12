import type { KeyObject } from 'node:crypto';
import type { HolderKind } from '@trialkeep/contract';
import type { Configuration } from '../platform/config.ts';
import type { Tx } from '../platform/database.ts';
import * as store from './store.ts';
import type { HolderRow } from './store.ts';

/** A place that may still have a key that was destroyed. */
export interface Remaining {
  readonly kind: HolderKind;
  readonly name: string;
  /** When what it has is gone by itself, ms; null: when somebody attests it. */
  readonly expiresAt: number | null;
}

/** The key that was destroyed: of a subject, of a study with all of its subjects, one of a system, or all of a tenant. */
export interface Destroyed {
  readonly about: 'subject' | 'study' | 'key' | 'tenant';
  readonly thing: string;
  /** Of a subject. */
  readonly study: string | null;
  /** ms. */
  readonly destroyedAt: number;
}

/** How long a node may use what it has unwrapped, and a client a data key unless the configuration lets it do so longer. */
const leastReleasedSeconds = 60;

/** How long keys that left the hierarchy may be in use, ms (the first of the five promises). */
export function releasedKeysMs({
  clientDataKeySeconds = 0,
}: Pick<Configuration, 'clientDataKeySeconds'>): number {
  return Math.max(leastReleasedSeconds, clientDataKeySeconds) * 1000;
}

/** The logs whose registries count for a tenant: its own, and the instance's. */
export interface Registries {
  /** How long clients and nodes count by themselves, ms. */
  readonly releasedKeysMs: number;
  readonly of: readonly { readonly log: number; readonly rowKey: KeyObject }[];
}

/**
 * The registered places that may have the key at that time. What the server registered by itself later than the key was destroyed was made
 * without it; what people register may be a copy from before.
 */
export async function remainingHolders(
  tx: Tx,
  { of, releasedKeysMs }: Registries,
  destroyed: Destroyed,
  time: number,
): Promise<Remaining[]> {
  const remaining: Remaining[] = [];
  const until = destroyed.destroyedAt + releasedKeysMs;
  if (time < until) {
    const name = 'Data keys that were released to clients, and the memory of nodes';
    remaining.push({ kind: 'client-cache', name, expiresAt: until });
  }
  for (const { log, rowKey } of of) {
    const attested = await store.attestedFor(tx, rowKey, log, destroyed, destroyed.destroyedAt);
    for (const row of await store.list(tx, rowKey, log)) {
      if (!mayHave(row, destroyed, time) || attested.has(row.id)) continue;
      remaining.push({ kind: row.kind, name: row.name, expiresAt: row.expires_at });
    }
  }
  return remaining;
}

function mayHave(row: HolderRow, { about, thing, study, destroyedAt }: Destroyed, time: number): boolean {
  if (row.state === 'ended' || (row.expires_at !== null && row.expires_at <= time)) return false;
  if (row.registered_by === null && row.registered_at > destroyedAt) return false;
  if (row.about === 'all' || about === 'tenant') return true;
  if (about === 'study') return (row.about === 'study' ? row.thing : row.study) === thing;
  if (row.about === 'study') return about === 'subject' && row.thing === study;
  return row.about === about && row.thing === thing && (about === 'key' || row.study === study);
}
