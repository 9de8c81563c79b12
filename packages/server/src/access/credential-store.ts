import type { KeyObject } from 'node:crypto';
import type { Role } from '@trialkeep/contract';
import { checkRow, sealRow } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

export type CredentialRow = Tables['credential'];
type Unsealed = Omit<CredentialRow, 'seal'>;

/** A credential with the keys that it names. */
export interface NamedCredential {
  readonly row: CredentialRow;
  readonly keys: ReadonlySet<string>;
}

function sealedFields(row: Unsealed): (string | number | null)[] {
  const hash = Buffer.from(row.secret_hash).toString('hex');
  return [row.id, row.log, row.role, row.system, hash, row.state, row.created_at, row.expires_at];
}

export async function insertCredential(
  tx: Tx,
  rowKey: KeyObject,
  row: Unsealed,
  keys: readonly string[] = [],
): Promise<void> {
  await tx
    .insertInto('credential')
    .values({ ...row, seal: sealRow(rowKey, 'credential', sealedFields(row)) })
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
