import type { KeyObject } from 'node:crypto';
import { generateSecret, hashSecret } from '@trialkeep/crypto';
import type { Operations, Output, Role } from '@trialkeep/contract';
import { conflictOf, instancePersonRoles, tenantPersonRoles } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Apply, Context, Log } from '../platform/implementation.ts';
import { unlock } from './attempts-store.ts';
import { isGenericLogin } from './generic-logins.ts';
import * as store from './people-store.ts';
import type { PersonRow } from './people-store.ts';
import { endSessions } from './session-store.ts';

export type PersonView = Output<Operations['people.leave']>;

const invitationMs = 7 * 86_400_000;

export function personView({
  id,
  name,
  login,
  state,
  roles,
  created_at,
}: Omit<PersonRow, 'seal'>): PersonView {
  return { id, name, login, state, roles: [...roles], createdAt: created_at };
}

export async function invite(
  hierarchy: Hierarchy,
  { input, caller, record, payload }: Context<'people.invite'>,
): Promise<Apply<'people.invite'>> {
  const { log } = caller;
  const { name, login } = input;
  if (isGenericLogin(login)) throw new OperationError('person.generic_name', { field: '/login' });
  const roles = checkedRoles(log, input.roles);
  const rowKey = await hierarchy.rowKey(log.tenant);
  const id = newId();
  record.person = id;
  return async (tx, time) => {
    const known = await store.findPersonByLogin(tx, rowKey, log.id, login);
    if (known !== undefined) throw new OperationError('person.exists', { field: '/login' });
    const row = {
      id,
      log: log.id,
      name,
      login,
      state: 'invited',
      roles,
      password: null,
      totp: null,
      revision: 1,
      created_at: time,
      failures: 0,
      locked_until: 0,
    } as const;
    await store.insertPerson(tx, rowKey, row);
    payload['new'] = { state: row.state, roles };
    record.state = row.state;
    record.version = row.revision;
    return { person: personView(row), invitation: await newInvitation(tx, rowKey, row, time) };
  };
}

export async function setRoles(
  hierarchy: Hierarchy,
  context: Context<'people.set-roles'>,
): Promise<Apply<'people.set-roles'>> {
  const { input, caller } = context;
  const rowKey = await prepare(hierarchy, context);
  const roles = checkedRoles(caller.log, input.roles);
  return async (tx) => {
    const person = await findPresent(tx, rowKey, context);
    const changed = await store.changePerson(tx, rowKey, person, { roles });
    noteChange(context, person, changed);
    return personView(changed);
  };
}

/** What the person signed in with is gone for good, and so is everything that was begun with it. */
export async function reinvite(
  hierarchy: Hierarchy,
  context: Context<'people.reinvite'>,
): Promise<Apply<'people.reinvite'>> {
  const rowKey = await prepare(hierarchy, context);
  return async (tx, time) => {
    const person = await findPresent(tx, rowKey, context);
    const changed = await dropAccess(tx, rowKey, person, { state: 'invited' });
    await unlock(tx, person.id);
    noteChange(context, person, changed);
    return {
      person: personView(changed),
      invitation: await newInvitation(tx, rowKey, changed, time),
    };
  };
}

/** A person who has left holds no roles; the entry's payload says which they held. */
export async function leave(
  hierarchy: Hierarchy,
  context: Context<'people.leave'>,
): Promise<Apply<'people.leave'>> {
  const rowKey = await prepare(hierarchy, context);
  return async (tx) => {
    const person = await findKnown(tx, rowKey, context);
    const changed = await dropAccess(tx, rowKey, person, { state: 'left', roles: [] });
    noteChange(context, person, changed);
    return personView(changed);
  };
}

/** Changes of somebody, by somebody else. */
type ChangeOfPerson = Context<'people.set-roles'> | Context<'people.reinvite'> | Context<'people.leave'>;

async function prepare(hierarchy: Hierarchy, { input, caller, record }: ChangeOfPerson): Promise<KeyObject> {
  record.person = input.person;
  if (caller.actor === input.person) throw new OperationError('person.self', { field: '/person' });
  return hierarchy.rowKey(caller.log.tenant);
}

async function findKnown(tx: Tx, rowKey: KeyObject, { input, caller }: ChangeOfPerson): Promise<PersonRow> {
  const person = await store.findPerson(tx, rowKey, caller.log.id, input.person);
  if (person === undefined) throw new OperationError('person.unknown', { field: '/person' });
  return person;
}

async function findPresent(tx: Tx, rowKey: KeyObject, context: ChangeOfPerson): Promise<PersonRow> {
  const person = await findKnown(tx, rowKey, context);
  if (person.state === 'left') throw new OperationError('person.left', { field: '/person' });
  return person;
}

/** Takes from a person whatever lets them in. */
export async function dropAccess(
  tx: Tx,
  rowKey: KeyObject,
  person: PersonRow,
  change: Partial<Pick<PersonRow, 'state' | 'roles'>>,
): Promise<PersonRow> {
  await endSessions(tx, rowKey, person.id);
  await store.withdrawInvitations(tx, rowKey, person.id);
  await store.deleteAuthenticators(tx, person.id);
  return store.changePerson(tx, rowKey, person, { ...change, password: null, totp: null });
}

function noteChange({ record, payload }: ChangeOfPerson, old: PersonRow, changed: PersonRow): void {
  payload['old'] = { state: old.state, roles: old.roles };
  payload['new'] = { state: changed.state, roles: changed.roles };
  record.state = changed.state;
  record.version = changed.revision;
}

/** Only the hash of the secret is stored. */
async function newInvitation(
  tx: Tx,
  rowKey: KeyObject,
  person: Pick<PersonRow, 'id' | 'log'>,
  time: number,
): Promise<{ secret: string; expiresAt: number }> {
  const secret = generateSecret('invitation');
  const expiresAt = time + invitationMs;
  await store.insertInvitation(tx, rowKey, {
    id: newId(),
    log: person.log,
    person: person.id,
    secret_hash: hashSecret(secret),
    totp: null,
    state: 'open',
    created_at: time,
    expires_at: expiresAt,
  });
  return { secret, expiresAt };
}

/** In the order of their names, where people of this log may have them, and together (URS-020). */
function checkedRoles(log: Log, roles: readonly Role[]): Role[] {
  const held: readonly Role[] = log.tenant === null ? instancePersonRoles : tenantPersonRoles;
  const foreign = roles.findIndex((role) => !held.includes(role));
  if (foreign >= 0) throw new OperationError('roles.foreign', { field: `/roles/${foreign}` });
  const conflict = conflictOf(roles);
  if (conflict !== undefined) {
    throw new OperationError('roles.conflict', { field: '/roles', detail: `${conflict.join(' and ')}.` });
  }
  return roles.toSorted();
}
