import type { Door, Permission, Role } from '@trialkeep/contract';
import { isDoor, roles } from '@trialkeep/contract';
import type { Caller, Means } from '../platform/implementation.ts';

/** What each door asks to be shown; `public` asks for nothing. */
const keyOfDoor = {
  'sign-in': 'sign-in',
  enrolment: 'invitation',
  self: 'session',
} as const satisfies Record<Exclude<Door, 'public'>, Means['type']>;

/** Deny by default: only what a role of the caller lists is granted, or what the door takes (URS-019). */
export function grants(caller: Pick<Caller, 'means' | 'roles'>, permission: Permission | Door): boolean {
  if (permission === 'public') return true;
  if (isDoor(permission)) return caller.means.type === keyOfDoor[permission];
  return grantingRole(caller, permission) !== undefined;
}

/** The first of the caller's roles that grants it: the one that the caller acts in. Doors take no role. */
export function grantingRole(
  { roles: held }: Pick<Caller, 'roles'>,
  permission: Permission | Door,
): Role | undefined {
  return held.find((role) => (roles[role] as readonly (Permission | Door)[]).includes(permission));
}
