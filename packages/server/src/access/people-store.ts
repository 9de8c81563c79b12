import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import type { Permission, Role } from '@trialkeep/contract';
import { roles as allRoles } from '@trialkeep/contract';
import { checkRow, sealRow } from '../keys/index.ts';
import type { SealedTable } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Tables } from '../platform/tables.ts';

/** A person with the roles that they hold, in the order of their names. */
export type PersonRow = Omit<Tables['person'], 'roles'> & { readonly roles: readonly Role[] };
export type AuthenticatorRow = Tables['authenticator'];
export type InvitationRow = Tables['invitation'];

type Unsealed<Row> = Omit<Row, 'seal'>;

function personFields(row: Unsealed<PersonRow>): (string | number | null)[] {
  const { id, log, name, login, state, roles, password, totp, revision, created_at } = row;
  return [id, log, name, login, state, JSON.stringify(roles), password, totp, revision, created_at];
}

function authenticatorFields(row: Unsealed<AuthenticatorRow>): (string | number | null)[] {
  const secretHash = createHash('sha256').update(row.secret).digest('hex');
  return [row.id, row.person, row.type, secretHash, row.used_step, row.created_at];
}

function invitationFields(row: Unsealed<InvitationRow>): (string | number | null)[] {
  const hash = Buffer.from(row.secret_hash).toString('hex');
  return [row.id, row.log, row.person, hash, row.totp, row.state, row.created_at, row.expires_at];
}

/** The same of a row as it is stored. */
function storedPersonFields(row: Omit<Tables['person'], 'seal'>): (string | number | null)[] {
  const { id, log, name, login, state, roles, password, totp, revision, created_at } = row;
  return [id, log, name, login, state, roles, password, totp, revision, created_at];
}

function checkedPerson(rowKey: KeyObject, stored: Tables['person']): PersonRow {
  checkRow(rowKey, 'person', storedPersonFields(stored), stored.seal);
  return { ...stored, roles: JSON.parse(stored.roles) as Role[] };
}

export async function insertPerson(tx: Tx, rowKey: KeyObject, row: Unsealed<PersonRow>): Promise<void> {
  const seal = sealRow(rowKey, 'person', personFields(row));
  await tx
    .insertInto('person')
    .values({ ...row, roles: JSON.stringify(row.roles), seal })
    .execute();
}

/** A person of the log, the seal checked; undefined for those of other logs. */
export async function findPerson(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  id: string,
): Promise<PersonRow | undefined> {
  const row = await tx
    .selectFrom('person')
    .selectAll()
    .where('log', '=', log)
    .where('id', '=', id)
    .executeTakeFirst();
  return row && checkedPerson(rowKey, row);
}

export async function findPersonByLogin(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  login: string,
): Promise<PersonRow | undefined> {
  const row = await tx
    .selectFrom('person')
    .selectAll()
    .where('log', '=', log)
    .where('login', '=', login)
    .executeTakeFirst();
  return row && checkedPerson(rowKey, row);
}

/** Every person of the log, those who have left included. */
export async function listPersons(tx: Tx, rowKey: KeyObject, log: number): Promise<PersonRow[]> {
  const rows = await tx
    .selectFrom('person')
    .selectAll()
    .where('log', '=', log)
    .orderBy('created_at')
    .orderBy('id')
    .execute();
  return rows.map((row) => checkedPerson(rowKey, row));
}

/** The active people of the log with a role that grants the permission. */
export async function peopleWho(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  permission: Permission,
): Promise<PersonRow[]> {
  const permits = (role: Role): boolean => (allRoles[role] as readonly Permission[]).includes(permission);
  const people = await listPersons(tx, rowKey, log);
  return people.filter(({ state, roles }) => state === 'active' && roles.some(permits));
}

/** Changes a person, under the next revision. Gives the row as it is afterwards. */
export async function changePerson(
  tx: Tx,
  rowKey: KeyObject,
  person: PersonRow,
  change: Partial<Pick<PersonRow, 'state' | 'roles' | 'password' | 'totp'>>,
): Promise<PersonRow> {
  const changed = { ...person, ...change, revision: person.revision + 1 };
  const { state, password, totp, revision } = changed;
  const seal = sealRow(rowKey, 'person', personFields(changed));
  await tx
    .updateTable('person')
    .set({ state, roles: JSON.stringify(changed.roles), password, totp, revision, seal })
    .where('id', '=', person.id)
    .execute();
  return { ...changed, seal };
}

export async function insertAuthenticator(
  tx: Tx,
  rowKey: KeyObject,
  row: Unsealed<AuthenticatorRow>,
): Promise<void> {
  const seal = sealRow(rowKey, 'authenticator', authenticatorFields(row));
  await tx
    .insertInto('authenticator')
    .values({ ...row, seal })
    .execute();
}

/** An authenticator of the person, the seal checked. */
export async function findAuthenticator(
  tx: Tx,
  rowKey: KeyObject,
  person: string,
  id: string | null,
): Promise<AuthenticatorRow | undefined> {
  if (id === null) return undefined;
  const row = await tx
    .selectFrom('authenticator')
    .selectAll()
    .where('id', '=', id)
    .where('person', '=', person)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'authenticator', authenticatorFields(row), row.seal);
  return row;
}

/** Says that the code of that time step has been taken; false where another one was taken since the row was read. */
export async function takeStep(
  tx: Tx,
  rowKey: KeyObject,
  row: AuthenticatorRow,
  step: number,
): Promise<boolean> {
  const seal = sealRow(rowKey, 'authenticator', authenticatorFields({ ...row, used_step: step }));
  const taken = await tx
    .updateTable('authenticator')
    .set({ used_step: step, seal })
    .where('id', '=', row.id)
    .where('used_step', '=', row.used_step)
    .returning('id')
    .executeTakeFirst();
  return taken !== undefined;
}

/** Wraps the secrets of the one-time-code generators of a log's people anew, each as `rewrap` says. */
export async function rewrapAuthenticators(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  rewrap: (row: AuthenticatorRow) => Uint8Array,
): Promise<void> {
  const rows = await tx
    .selectFrom('authenticator')
    .innerJoin('person', 'person.id', 'authenticator.person')
    .selectAll('authenticator')
    .where('person.log', '=', log)
    .where('authenticator.type', '=', 'totp')
    .execute();
  for (const row of rows) {
    checkRow(rowKey, 'authenticator', authenticatorFields(row), row.seal);
    const secret = rewrap(row);
    const seal = sealRow(rowKey, 'authenticator', authenticatorFields({ ...row, secret }));
    await tx.updateTable('authenticator').set({ secret, seal }).where('id', '=', row.id).execute();
  }
}

export async function deleteAuthenticator(tx: Tx, id: string): Promise<void> {
  await tx.deleteFrom('authenticator').where('id', '=', id).execute();
}

export async function deleteAuthenticators(tx: Tx, person: string): Promise<void> {
  await tx.deleteFrom('authenticator').where('person', '=', person).execute();
}

export async function insertInvitation(
  tx: Tx,
  rowKey: KeyObject,
  row: Unsealed<InvitationRow>,
): Promise<void> {
  const seal = sealRow(rowKey, 'invitation', invitationFields(row));
  await tx
    .insertInto('invitation')
    .values({ ...row, seal })
    .execute();
}

/** An invitation of the log, the seal checked. */
export async function findInvitation(
  tx: Tx,
  rowKey: KeyObject,
  log: number,
  id: string,
): Promise<InvitationRow | undefined> {
  const row = await tx
    .selectFrom('invitation')
    .selectAll()
    .where('id', '=', id)
    .where('log', '=', log)
    .executeTakeFirst();
  if (row !== undefined) checkRow(rowKey, 'invitation', invitationFields(row), row.seal);
  return row;
}

export async function changeInvitation(
  tx: Tx,
  rowKey: KeyObject,
  row: InvitationRow,
  change: Pick<InvitationRow, 'state' | 'totp'>,
): Promise<void> {
  const seal = sealRow(rowKey, 'invitation', invitationFields({ ...row, ...change }));
  await tx
    .updateTable('invitation')
    .set({ ...change, seal })
    .where('id', '=', row.id)
    .execute();
}

/** Withdraws what invitations a person has not used. */
export async function withdrawInvitations(tx: Tx, rowKey: KeyObject, person: string): Promise<void> {
  const rows = await tx
    .selectFrom('invitation')
    .selectAll()
    .where('person', '=', person)
    .where('state', '=', 'open')
    .execute();
  // Taking away needs no trust in the row: one that somebody altered is withdrawn as well.
  for (const row of rows) {
    await changeInvitation(tx, rowKey, row, { state: 'withdrawn', totp: null });
  }
}

/** How the rows of this slice are sealed. */
export const peopleTables: readonly SealedTable[] = [
  { table: 'person', identity: ['id'], owner: 'log', forms: [storedPersonFields] },
  {
    table: 'authenticator',
    identity: ['id'],
    owner: { column: 'person', table: 'person' },
    forms: [authenticatorFields],
  },
  { table: 'invitation', identity: ['id'], owner: 'log', forms: [invitationFields] },
];
