import assert from 'node:assert/strict';
import { roles } from '@trialkeep/contract';
import type { ErrorCode, OperationId, Role } from '@trialkeep/contract';
import { operationOf } from './samples.ts';
import type { Sampled } from './world.ts';

/** Somebody who asks, and what they show. */
export interface Asker {
  readonly shows: 'credential' | 'session' | 'invitation';
  /** Id of the credential, or of the person. */
  readonly actor: string;
  /** An invitation gives none. */
  readonly role?: Role;
  readonly secret: string;
}

type Known = { readonly id: string };

export const byCredential = (role: Role, { id, secret }: Known & { readonly secret: string }): Asker => ({
  shows: 'credential',
  actor: id,
  role,
  secret,
});
export const bySession = (role: Role, { id, session }: Known & { readonly session: string }): Asker => ({
  shows: 'session',
  actor: id,
  role,
  secret: session,
});
export const byInvitation = ({ id, invitation }: Known & { readonly invitation: string }): Asker => ({
  shows: 'invitation',
  actor: id,
  secret: invitation,
});

const entriesOf = <T extends object>(byRole: T) => Object.entries(byRole) as [keyof T & Role, T[keyof T]][];

/** A credential and a person of each role that can have one, and somebody who is invited. */
export function askersOf({ credentials, people, newcomer }: Sampled): Asker[] {
  return [
    ...entriesOf(credentials).map(([role, credential]) => byCredential(role, credential)),
    ...entriesOf(people).map(([role, person]) => bySession(role, person)),
    byInvitation(newcomer),
  ];
}

export function grants(role: Role | undefined, id: OperationId): boolean {
  return role !== undefined && (roles[role] as readonly string[]).includes(operationOf(id).permission);
}

/** Why the asker may not ask for the operation at all; undefined where they may. Derived from the contract alone. */
export function refusalOf({ shows, role }: Asker, id: OperationId): ErrorCode | undefined {
  const { permission, approval, signature, personOnly } = operationOf(id);
  switch (permission) {
    case 'public':
    case 'sign-in':
      return undefined;
    case 'enrolment':
      return shows === 'invitation' ? undefined : 'access.denied';
    case 'self':
      return shows === 'session' ? undefined : 'access.denied';
    default:
      if (!grants(role, id)) return 'access.denied';
      return (approval ?? signature ?? personOnly) !== undefined && shows === 'credential'
        ? 'access.person_required'
        : undefined;
  }
}

/** Somebody of the tenant who may ask for it; the custodian where nobody may. What is one's own is asked for by the requester. */
export function askerFor(id: OperationId, tenant: Sampled): Asker {
  if (operationOf(id).permission === 'self') return bySession('custodian', tenant.requester);
  const askers = askersOf(tenant);
  const [custodian] = askers;
  assert.ok(custodian?.role === 'custodian');
  return askers.find((asker) => refusalOf(asker, id) === undefined) ?? custodian;
}
