import type { KeyFacts } from '@trialkeep/contract';
import type { KeyRow } from './store.ts';

/**
 * What every change of a key tells of it in its payload, beside what the entry itself says, so that the inventory of any past day
 * follows from the ledger (docs/formats/ledger-entry.md).
 */
export function recordedKey(row: Omit<KeyRow, 'seal'>): KeyFacts {
  return {
    description: row.description,
    algorithm: row.algorithm,
    purpose: row.purpose,
    activatesAt: row.activates_at,
    expiresAt: row.expires_at,
    rotationPeriodDays: row.rotation_period_days,
    rotationDueAt: row.rotation_due_at,
    recipientPeriodDays: row.recipient_period_days,
    destructionDueAt: row.destruction_due_at,
    ...(row.exportable === 1 && { exportable: true as const }),
    ...(row.protection === 'hsm' && { protection: row.protection }),
  };
}
