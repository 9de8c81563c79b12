import type { OperationId } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import type { Implementations } from '../platform/implementation.ts';
import * as credentials from './credentials.ts';
import * as enrolment from './enrolment.ts';
import type { Passwords } from './passwords.ts';
import * as people from './people.ts';
import { listPersons } from './people-store.ts';
import * as sessions from './sessions.ts';

export type CredentialOperationId = Extract<OperationId, `credentials.${string}`>;
export type PeopleOperationId = Extract<OperationId, `${'people' | 'enrolment' | 'sessions'}.${string}`>;

/** Binds the credential operations of the contract to their behaviour. */
export function credentialImplementations(hierarchy: Hierarchy): Implementations<CredentialOperationId> {
  return {
    'credentials.issue': (context) => credentials.issue(hierarchy, context),
    'credentials.list': (context) => credentials.list(hierarchy, context),
    'credentials.revoke': (context) => credentials.revoke(hierarchy, context),
  };
}

/** Binds what people do about themselves and each other to its behaviour. */
export function peopleImplementations({
  hierarchy,
  passwords,
}: {
  readonly hierarchy: Hierarchy;
  /** Those of the process's authenticator. */
  readonly passwords: Passwords;
}): Implementations<PeopleOperationId> {
  return {
    'people.invite': (context) => people.invite(hierarchy, context),
    'people.list': async ({ caller, facts }) => {
      const rowKey = await hierarchy.rowKey(caller.log.tenant);
      const rows = await facts.read((snapshot) => listPersons(snapshot, rowKey, caller.log.id));
      return { people: rows.map(people.personView) };
    },
    'people.set-roles': (context) => people.setRoles(hierarchy, context),
    'people.reinvite': (context) => people.reinvite(hierarchy, context),
    'people.leave': (context) => people.leave(hierarchy, context),
    'enrolment.begin': (context) => enrolment.begin(hierarchy, context),
    'enrolment.finish': (context) => enrolment.finish(hierarchy, passwords, context),
    'sessions.create': (context) => sessions.create(hierarchy, context),
    'sessions.current': (context) => sessions.current(hierarchy, context),
    'sessions.end': (context) => sessions.end(hierarchy, context),
  };
}
