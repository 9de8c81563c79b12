/** What tests share who need people: somebody is invited, enrols, and signs in. */
import { createHmac } from 'node:crypto';
import type { Input, OperationId, Operations, Output, Role } from '@trialkeep/contract';
import type { Log } from './platform/implementation.ts';

export const password = 'correct horse battery staple';
export const minuteMs = 60_000;

/** What an authenticator app shows (RFC 6238 with RFC 4226), from the text that a person scans or types. */
export function codeOf(base32: string, timeMs: number): string {
  const bits = Array.from(base32, (letter) =>
    'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.indexOf(letter).toString(2).padStart(5, '0'),
  );
  const bytes = (bits.join('').match(/.{8}/g) ?? []).map((octet) => Number.parseInt(octet, 2));
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(Math.floor(timeMs / 30_000)));
  const mac = createHmac('sha1', Buffer.from(bytes)).update(counter).digest();
  const offset = mac.readUInt8(19) & 15;
  return String((mac.readUInt32BE(offset) & 0x7fffffff) % 1_000_000).padStart(6, '0');
}

/** A wrong code at that time. */
export function wrongCode(base32: string, timeMs: number): string {
  const near = [-1, 0, 1].map((step) => codeOf(base32, timeMs + step * 30_000));
  return ['000000', '111111', '222222', '333333'].find((code) => !near.includes(code)) ?? '';
}

export type PeopleOperation = Extract<OperationId, `${'people' | 'enrolment' | 'sessions'}.${string}`>;
type LogName = 'one' | 'two' | 'instance';

/** Where people come and go: the slice alone, or behind the whole gate. */
export interface House {
  readonly clock: { time: number; now(): number };
  /** A custodian's credential in either tenant, and an administrator's. */
  readonly managers: Readonly<Record<LogName, string>>;
  readonly logs: Readonly<Record<LogName, Pick<Log, 'tenant'>>>;
  admit<Id extends PeopleOperation>(
    operation: Id,
    secret: string,
    input: Input<Operations[Id]>,
  ): Promise<Output<Operations[Id]>>;
}

/** Somebody who has been invited. */
export function invite(house: House, login: string, roles: Role[] = ['approver'], log: LogName = 'one') {
  const input = { name: 'Anna Meyer', login, roles } as Input<Operations['people.invite']>;
  return house.admit('people.invite', house.managers[log], input);
}

/** Somebody who has an invitation enrols; a minute later the next code is there. */
export async function enrol(house: House, invitation: string): Promise<string> {
  const { totp } = await house.admit('enrolment.begin', invitation, {});
  const code = codeOf(totp.secret, house.clock.time);
  await house.admit('enrolment.finish', invitation, { password, code });
  house.clock.time += minuteMs;
  return totp.secret;
}

/** Somebody who can sign in. */
export async function makePerson(house: House, login: string, roles?: Role[], log: LogName = 'one') {
  const { person, invitation } = await invite(house, login, roles, log);
  const secret = await enrol(house, invitation.secret);
  return { id: person.id, login, secret, log };
}

export type TestPerson = Awaited<ReturnType<typeof makePerson>>;

/** Signs in with the present code, and lets a minute pass. */
export async function signIn(house: House, { login, secret, log }: TestPerson, change: object = {}) {
  const { tenant } = house.logs[log];
  const code = codeOf(secret, house.clock.time);
  const where = tenant === null ? {} : { tenant };
  const signedIn = await house.admit('sessions.create', '', { ...where, login, password, code, ...change });
  house.clock.time += minuteMs;
  return signedIn;
}
