import type { KeyObject } from 'node:crypto';
import type { Insertable, Selectable } from 'kysely';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import { DatabaseError } from '../platform/database-error.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Tables } from '../platform/tables.ts';
import type { ErrorCode } from '@trialkeep/contract';

export type TenantRow = Selectable<Tables['tenant']>;
export type StudyRow = Selectable<Tables['study']>;
export type SystemRow = Selectable<Tables['system']>;
export type SubjectRow = Selectable<Tables['subject']>;
export type SealRow = Selectable<Tables['tenant_seal']>;

/** Says what a broken unique constraint means; the names are unique within their tenant. */
async function unlessTaken(insert: Promise<unknown>, code: ErrorCode, field: string): Promise<void> {
  try {
    await insert;
  } catch (error) {
    if (error instanceof DatabaseError && error.kind === 'unique') throw new OperationError(code, { field });
    throw error;
  }
}

export async function insertTenant(tx: Tx, row: Omit<TenantRow, 'wrapped_row_key'>): Promise<void> {
  await unlessTaken(tx.insertInto('tenant').values(row).execute(), 'tenant.exists', '/name');
}

/** Tenants with the origin and verifier key of their logs. */
export async function listTenants(
  tx: Tx,
): Promise<{ id: string; account: string; name: string; origin: string; verifier_key: string }[]> {
  return tx
    .selectFrom('tenant')
    .innerJoin('log', 'log.tenant', 'tenant.id')
    .innerJoin('log_key as signing', (join) =>
      join
        .onRef('signing.log', '=', 'log.id')
        .on('signing.algorithm', '=', 'ED25519')
        .on('signing.state', '=', 'active'),
    )
    .select(['tenant.id', 'tenant.account', 'tenant.name', 'log.origin', 'signing.verifier_key'])
    .orderBy('tenant.created_at')
    .orderBy('tenant.id')
    .execute();
}

export async function findAccount(tx: Tx, tenant: string): Promise<string> {
  const row = await tx
    .selectFrom('tenant')
    .select('account')
    .where('id', '=', tenant)
    .executeTakeFirstOrThrow();
  return row.account;
}

export async function insertStudy(tx: Tx, row: StudyRow): Promise<void> {
  await unlessTaken(tx.insertInto('study').values(row).execute(), 'study.exists', '/protocol');
}

export async function protocolTaken(tx: Tx, tenant: string, protocol: string): Promise<boolean> {
  const row = await tx
    .selectFrom('study')
    .select('id')
    .where('tenant', '=', tenant)
    .where('protocol', '=', protocol)
    .executeTakeFirst();
  return row !== undefined;
}

/** A study with how far its erasure is; null where it was never to be erased. */
export type StatedStudyRow = StudyRow & { readonly state: Tables['study_erasure']['state'] | null };

/** The states are for people to read: whoever goes by one reads it with its seal checked. */
export async function listStudies(tx: Tx, tenant: string): Promise<StatedStudyRow[]> {
  return tx
    .selectFrom('study')
    .leftJoin('study_erasure', 'study_erasure.study', 'study.id')
    .selectAll('study')
    .select('study_erasure.state')
    .where('study.tenant', '=', tenant)
    .orderBy('study.created_at')
    .orderBy('study.id')
    .execute();
}

export async function studyExists(tx: Tx, tenant: string, study: string): Promise<boolean> {
  const row = await tx
    .selectFrom('study')
    .select('id')
    .where('id', '=', study)
    .where('tenant', '=', tenant)
    .executeTakeFirst();
  return row !== undefined;
}

export async function insertSystem(tx: Tx, row: SystemRow): Promise<void> {
  await unlessTaken(tx.insertInto('system').values(row).execute(), 'system.exists', '/name');
}

export async function listSystems(tx: Tx, tenant: string): Promise<SystemRow[]> {
  return tx
    .selectFrom('system')
    .selectAll()
    .where('tenant', '=', tenant)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
}

export async function insertSubject(tx: Tx, row: Insertable<Tables['subject']>): Promise<void> {
  await tx.insertInto('subject').values(row).execute();
}

/** A page of a study's subjects in the order of their aliases, from behind `after`. */
export async function listSubjects(
  tx: Tx,
  study: string,
  after: string,
  limit: number,
): Promise<Pick<SubjectRow, 'alias' | 'study' | 'created_at' | 'state'>[]> {
  return tx
    .selectFrom('subject')
    .select(['alias', 'study', 'created_at', 'state'])
    .where('study', '=', study)
    .where('alias', '>', after)
    .orderBy('alias')
    .limit(limit)
    .execute();
}

/** A subject of a study; undefined where the study has none of that alias. */
export async function findSubject(tx: Tx, study: string, alias: string): Promise<SubjectRow | undefined> {
  return tx
    .selectFrom('subject')
    .selectAll()
    .where('study', '=', study)
    .where('alias', '=', alias)
    .executeTakeFirst();
}

/** Marks a subject as being erased; false where it is already. */
export async function beginErasure(tx: Tx, study: string, alias: string): Promise<boolean> {
  const row = await tx
    .updateTable('subject')
    .set({ state: 'erasing' })
    .where('study', '=', study)
    .where('alias', '=', alias)
    .where('state', '=', 'active')
    .returning('alias')
    .executeTakeFirst();
  return row !== undefined;
}

/** Whether a study, system or subject of that id has its row. */
export async function isRegistered(
  tx: Tx,
  kind: 'study' | 'system' | 'subject',
  id: string,
): Promise<boolean> {
  const found =
    kind === 'subject'
      ? await tx.selectFrom('subject').select('alias').where('alias', '=', id).executeTakeFirst()
      : await tx.selectFrom(kind).select('id').where('id', '=', id).executeTakeFirst();
  return found !== undefined;
}

function sealFields({ tenant, state, changed_at }: Omit<SealRow, 'seal'>): (string | number)[] {
  return [tenant, state, changed_at];
}

/** Whether the tenant is sealed, the row's own MAC checked; undefined where it has no row. */
export async function findSeal(tx: Tx, rowKey: KeyObject, tenant: string): Promise<SealRow | undefined> {
  const row = await tx.selectFrom('tenant_seal').selectAll().where('tenant', '=', tenant).executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'tenant_seal', sealFields(row), row.seal);
  return row;
}

export async function tenantsWithoutSeal(tx: Tx): Promise<string[]> {
  const rows = await tx
    .selectFrom('tenant')
    .leftJoin('tenant_seal', 'tenant_seal.tenant', 'tenant.id')
    .select('tenant.id')
    .where('tenant_seal.tenant', 'is', null)
    .execute();
  return rows.map(({ id }) => id);
}

/** Makes the row of a tenant that has none; leaves one that is there alone. */
export async function insertSeal(tx: Tx, rowKey: KeyObject, row: Omit<SealRow, 'seal'>): Promise<void> {
  const seal = sealRow(rowKey, 'tenant_seal', sealFields(row));
  await tx
    .insertInto('tenant_seal')
    .values({ ...row, seal })
    .onConflict((conflict) => conflict.column('tenant').doNothing())
    .execute();
}

/** Writes the state of a tenant's seal. */
export async function updateSeal(tx: Tx, rowKey: KeyObject, row: Omit<SealRow, 'seal'>): Promise<void> {
  await tx
    .updateTable('tenant_seal')
    .set({ ...row, seal: sealRow(rowKey, 'tenant_seal', sealFields(row)) })
    .where('tenant', '=', row.tenant)
    .execute();
}

/** How the rows of this slice are sealed. */
export const sealedTables: readonly SealedTable[] = [
  { table: 'tenant_seal', identity: ['tenant'], owner: 'tenant', forms: [sealFields] },
];
