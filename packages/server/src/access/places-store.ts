import type { SecretKind } from '@trialkeep/crypto';
import type { Tx } from '../platform/database.ts';

/** Secrets that let somebody in. */
export type WayIn = Exclude<SecretKind, 'import'>;

/** The row that a secret is of, and the log that it belongs to. */
export interface Place {
  readonly kind: WayIn;
  readonly id: string;
  readonly log: number;
}

/** Where a secret belongs, without trusting the row yet. */
export async function findPlace(tx: Tx, kind: WayIn, secretHash: Uint8Array): Promise<Place | undefined> {
  const row = await tx
    .selectFrom(kind)
    .select(['id', 'log'])
    .where('secret_hash', '=', secretHash)
    .executeTakeFirst();
  return row && { kind, ...row };
}

/** Where a credential that signs its requests belongs; that it is known says nothing of who asks. */
export async function findSigningPlace(tx: Tx, id: string): Promise<Place | undefined> {
  const row = await tx
    .selectFrom('credential')
    .select(['id', 'log'])
    .where('id', '=', id)
    .where('wrapped_secret', 'is not', null)
    .executeTakeFirst();
  return row && { kind: 'credential', ...row };
}

/** The log of a tenant, or with null the instance's. */
export async function findLog(tx: Tx, tenant: string | null): Promise<number | undefined> {
  const logs = tx.selectFrom('log').select('id');
  const row = await (
    tenant === null ? logs.where('tenant', 'is', null) : logs.where('tenant', '=', tenant)
  ).executeTakeFirst();
  return row?.id;
}
