import type { KeyObject } from 'node:crypto';
import type { Role } from '@trialkeep/contract';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type CredentialRow = Tables['credential'];
type Unsealed = Omit<CredentialRow, 'seal' | 'wrapped_secret'> &
  Partial<Pick<CredentialRow, 'wrapped_secret'>>;

/** A credential with the keys that it names. */
export interface NamedCredential {
  readonly row: CredentialRow;
  readonly keys: ReadonlySet<string>;
}

function sealedFields(row: Unsealed): (string | number | null)[] {
  const hash = Buffer.from(row.secret_hash).toString('hex');
  const fields = [row.id, row.log, row.role, row.system, hash, row.state, row.created_at, row.expires_at];
  // Credentials from before some could sign are sealed without it.
  const wrapped = row.wrapped_secret && Buffer.from(row.wrapped_secret).toString('hex');
  return wrapped ? [...fields, 'access-key', wrapped] : fields;
}

export async function insertCredential(
  tx: Tx,
  rowKey: KeyObject,
  row: Unsealed,
  keys: readonly string[] = [],
): Promise<void> {
  await tx
    .insertInto('credential')
    .values({
      ...row,
      wrapped_secret: row.wrapped_secret ?? null,
      seal: sealRow(rowKey, 'credential', sealedFields(row)),
    })
    .execute();
  for (const key of keys) {
    const seal = sealRow(rowKey, 'credential_key', [row.id, key]);
    await tx.insertInto('credential_key').values({ credential: row.id, key, seal }).execute();
  }
}

/** A credential of the log, its seals checked. */
export async function findCredential(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  id: string,
): Promise<NamedCredential | undefined> {
  const row = await tx
    .selectFrom('credential')
    .selectAll()
    .where('id', '=', id)
    .where('log', '=', log)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  checkRow(rowKey, 'credential', sealedFields(row), row.seal);
  return { row, keys: await keysOf(tx, rowKey, id) };
}

export async function listCredentials(tx: Tx, rowKey: KeyObject, log: number): Promise<NamedCredential[]> {
  const rows = await tx
    .selectFrom('credential')
    .selectAll()
    .where('log', '=', log)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  const credentials: NamedCredential[] = [];
  for (const row of rows) {
    checkRow(rowKey, 'credential', sealedFields(row), row.seal);
    credentials.push({ row, keys: await keysOf(tx, rowKey, row.id) });
  }
  return credentials;
}

/** The first credentials of the systems that are in force, oldest first, of those behind `after`; without their keys, their seals checked. */
export async function activeCredentials(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  which: {
    readonly systems: readonly string[];
    readonly after: Pick<CredentialRow, 'created_at' | 'id'> | undefined;
    readonly limit: number;
  },
): Promise<CredentialRow[]> {
  const { systems, after, limit } = which;
  let query = tx
    .selectFrom('credential')
    .selectAll()
    .where('log', '=', log)
    .where('system', 'in', systems)
    .where('state', '=', 'active');
  if (after !== undefined) {
    query = query.where((eb) =>
      eb.or([
        eb('created_at', '>', after.created_at),
        eb.and([eb('created_at', '=', after.created_at), eb('id', '>', after.id)]),
      ]),
    );
  }
  const rows = await query.orderBy('created_at').orderBy('id').limit(limit).execute();
  for (const row of rows) checkRow(rowKey, 'credential', sealedFields(row), row.seal);
  return rows;
}

async function keysOf(tx: Tx, rowKey: KeyObject, credential: string): Promise<ReadonlySet<string>> {
  const rows = await tx
    .selectFrom('credential_key')
    .selectAll()
    .where('credential', '=', credential)
    .execute();
  for (const row of rows) checkRow(rowKey, 'credential_key', [row.credential, row.key], row.seal);
  return new Set(rows.map(({ key }) => key));
}

export async function revokeCredential(tx: Tx, rowKey: KeyObject, row: Unsealed): Promise<void> {
  const revoked: Unsealed = { ...row, state: 'revoked' };
  await tx
    .updateTable('credential')
    .set({ state: 'revoked', seal: sealRow(rowKey, 'credential', sealedFields(revoked)) })
    .where('id', '=', row.id)
    .execute();
}

/** How many active credentials of the role the log has. */
export async function countActive(tx: Tx, log: number, role: Role): Promise<number> {
  const row = await tx
    .selectFrom('credential')
    .select((eb) => eb.fn.countAll<number>().as('count'))
    .where('log', '=', log)
    .where('role', '=', role)
    .where('state', '=', 'active')
    .executeTakeFirstOrThrow();
  return row.count;
}

/** How the rows of this slice are sealed. */
export const credentialTables: readonly SealedTable[] = [
  { table: 'credential', identity: ['id'], owner: 'log', forms: [sealedFields] },
  {
    table: 'credential_key',
    identity: ['credential', 'key'],
    owner: { column: 'credential', table: 'credential' },
    forms: [({ credential, key }: { credential: string; key: string }) => [credential, key]],
  },
];
