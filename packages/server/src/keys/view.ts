import type { Operations, Output } from '@trialkeep/contract';
import { stateAt } from './states.ts';
import type { KeyRow } from './store.ts';

export type KeyView = Output<Operations['keys.show']>['key'];

/** The account part of a tenant's key names. */
export interface KeyNaming {
  readonly region: string;
  readonly account: string;
}

/** `arn:aws:kms:<region>:<account>:key/<uuid>`: a name that clients of the AWS protocol accept (design section 6). */
export function keyArn({ region, account }: KeyNaming, key: string): string {
  return `arn:aws:kms:${region}:${account}:key/${key}`;
}

/** The inventory's view of a key at a moment. */
export function keyView(row: KeyRow | Omit<KeyRow, 'seal'>, naming: KeyNaming, time: number): KeyView {
  return {
    id: row.id,
    arn: keyArn(naming, row.id),
    system: row.system,
    description: row.description,
    algorithm: row.algorithm as KeyView['algorithm'],
    purpose: row.purpose as KeyView['purpose'],
    state: stateAt(row, time),
    version: row.version,
    createdAt: row.created_at,
    activatesAt: row.activates_at,
    expiresAt: row.expires_at,
    rotationPeriodDays: row.rotation_period_days,
    rotationDueAt: row.rotation_due_at,
    recipientPeriodDays: row.recipient_period_days,
    useLogged: row.use_logged === 1,
    origin: row.imported === 1 ? 'imported' : 'generated',
    exportable: row.exportable === 1,
    protection: row.protection,
    destructionDueAt: row.destruction_due_at,
    revocation:
      row.revoked_at === null
        ? null
        : {
            cause: row.revocation_cause as NonNullable<KeyView['revocation']>['cause'],
            at: row.revoked_at,
          },
  };
}
