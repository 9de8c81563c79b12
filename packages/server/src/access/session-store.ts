import type { KeyObject } from 'node:crypto';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';
import { findAuthenticator, findPerson } from './people-store.ts';
import type { PersonRow } from './people-store.ts';

export type SessionRow = Tables['session'];
type Unsealed = Omit<SessionRow, 'seal'>;

/** A session and whose it is. */
export interface PersonalSession {
  readonly session: SessionRow;
  readonly person: PersonRow;
  /** Whether neither it nor what it was begun with has ended; its time apart. */
  readonly inForce: boolean;
}

function sealedFields(row: Unsealed): (string | number | null)[] {
  const hash = Buffer.from(row.secret_hash).toString('hex');
  return [row.id, row.log, row.person, hash, row.level, row.state, row.created_at, row.expires_at];
}

export async function insertSession(tx: Tx, rowKey: KeyObject, row: Unsealed): Promise<void> {
  const seal = sealRow(rowKey, 'session', sealedFields(row));
  await tx
    .insertInto('session')
    .values({ ...row, seal })
    .execute();
}

/**
 * A session of the log, all seals checked. One that is older than the person's password was begun with another: it is over even
 * if its row were put back.
 */
export async function findSession(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  id: string,
): Promise<PersonalSession | undefined> {
  const session = await tx
    .selectFrom('session')
    .selectAll()
    .where('id', '=', id)
    .where('log', '=', log)
    .executeTakeFirst();
  if (session === undefined) return undefined;
  checkRow(rowKey, 'session', sealedFields(session), session.seal);
  const person = await findPerson(tx, rowKey, log, session.person);
  if (person === undefined) return undefined;
  const password = await findAuthenticator(tx, rowKey, person.id, person.password);
  const isOfPassword = password !== undefined && session.created_at >= password.created_at;
  const inForce = session.state === 'active' && person.state === 'active' && isOfPassword;
  return { session, person, inForce };
}

/** The sessions of the log that nobody has ended, whether or not their time is over. */
export async function listSessions(tx: Tx, rowKey: KeyObject, log: number): Promise<SessionRow[]> {
  const rows = await tx
    .selectFrom('session')
    .selectAll()
    .where('log', '=', log)
    .where('state', '=', 'active')
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  for (const row of rows) checkRow(rowKey, 'session', sealedFields(row), row.seal);
  return rows;
}

export async function endSession(tx: Tx, rowKey: KeyObject, row: SessionRow): Promise<void> {
  const seal = sealRow(rowKey, 'session', sealedFields({ ...row, state: 'ended' }));
  await tx.updateTable('session').set({ state: 'ended', seal }).where('id', '=', row.id).execute();
}

/** Ends every session of a person. */
export async function endSessions(tx: Tx, rowKey: KeyObject, person: string): Promise<void> {
  const rows = await tx
    .selectFrom('session')
    .selectAll()
    .where('person', '=', person)
    .where('state', '=', 'active')
    .execute();
  // Taking away needs no trust in the row: one that somebody altered ends as well.
  for (const row of rows) await endSession(tx, rowKey, row);
}

/** How the rows of this slice are sealed. */
export const sessionTables: readonly SealedTable[] = [
  { table: 'session', identity: ['id'], owner: 'log', forms: [sealedFields] },
];
