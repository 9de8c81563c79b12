import assert from 'node:assert/strict';
import { createHash, createHmac, randomBytes } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { createClient } from '@trialkeep/sdk/client';
import type { Input, Operations, Output } from '@trialkeep/sdk/client';
import { clientOf } from './harness.ts';
import type { ServerProcess } from './harness.ts';

type Server = Pick<ServerProcess, 'url'>;
export type PersonRole = Input<Operations['people.invite']>['roles'][number];
export type ApprovalView = Output<Operations['approvals.approve']>;

/** Seconds that one code of a generator is for (RFC 6238 section 4.1). */
const stepMs = 30_000;
/** How long a request may take to the check of its code, ms. */
const slowestCheckMs = 5000;

/** The bytes of base 32 without padding (RFC 4648 section 6). */
export function decodeBase32(text: string): Buffer {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  const bits = Array.from(text, (character) => {
    const value = alphabet.indexOf(character);
    assert.ok(value >= 0, `no base 32: ${text}`);
    return value.toString(2).padStart(5, '0');
  }).join('');
  const bytes = bits.match(/[01]{8}/g) ?? [];
  return Buffer.from(bytes.map((byte) => Number.parseInt(byte, 2)));
}

/** The code of six digits that a generator shows in a time step: RFC 6238 with HMAC-SHA-1, by the steps of RFC 4226 section 5.3. */
export function oneTimeCode(secretBase32: string, step: number): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(step));
  const mac = createHmac('sha1', decodeBase32(secretBase32)).update(counter).digest();
  const offset = (mac.at(-1) ?? 0) % 16;
  const truncated = mac.readUInt32BE(offset) % 2 ** 31;
  return String(truncated % 1_000_000).padStart(6, '0');
}

/** The time step of a moment, ms since 1970. */
const stepOf = (timeMs: number): number => Math.floor(timeMs / stepMs);

/**
 * A person's generator, and which of its codes they have given. A server takes each step once, in rising order, and none but the
 * present one and its neighbours: the fourth code within half a minute has to wait.
 */
export class CodeClock {
  /** Every code so far. */
  readonly given: string[] = [];
  readonly #secret: string;
  #last = 0;

  constructor(secretBase32: string) {
    this.#secret = secretBase32;
  }

  /** The earliest code that was not given before and is taken now; waits for it where there is none. */
  async next(): Promise<string> {
    // Taken before the wait, so that two who ask at once get two codes.
    const step = Math.max(this.#last + 1, stepOf(Date.now() + slowestCheckMs) - 1);
    this.#last = step;
    const waitMs = (step - 1) * stepMs - Date.now();
    if (waitMs > 0) await pause(waitMs);
    const code = oneTimeCode(this.#secret, step);
    this.given.push(code);
    return code;
  }
}

/** Somebody who has enrolled, with all that they prove themselves with. */
export interface Person {
  readonly id: string;
  readonly name: string;
  readonly login: string;
  readonly password: string;
  /** Base 32, as the server showed it. */
  readonly totpSecret: string;
  readonly codes: CodeClock;
}
export interface SignedIn extends Person {
  /** The secret of their session. */
  readonly session: string;
}

/** Whom to invite. */
export interface Invitee {
  readonly name: string;
  readonly login: string;
  readonly roles: PersonRole[];
}
export interface Invited extends Invitee {
  readonly id: string;
  /** The secret of the invitation. */
  readonly invitation: string;
}

/** Invites people, as somebody who manages people: a custodian, or an administrator of the instance. */
export async function invitePeople(
  server: Server,
  manager: string,
  invitees: readonly Invitee[],
): Promise<Invited[]> {
  const client = clientOf(server, manager);
  const invited: Invited[] = [];
  for (const invitee of invitees) {
    const { person, invitation } = await client.call('people.invite', invitee);
    invited.push({ ...invitee, id: person.id, invitation: invitation.secret });
  }
  return invited;
}

/** Accepts an invitation, with a random password. */
export async function enrol(server: Server, invitation: string): Promise<Person> {
  const client = clientOf(server, invitation);
  const { person, totp } = await client.call('enrolment.begin', {});
  const codes = new CodeClock(totp.secret);
  const password = `correct ${randomBytes(12).toString('hex')}`;
  await client.call('enrolment.finish', { password, code: await codes.next() });
  const { id, name, login } = person;
  return { id, name, login, password, totpSecret: totp.secret, codes };
}

/** What a person proves themselves with, good for one request. */
export async function proofsOf({ password, codes }: Person): Promise<{ password: string; code: string }> {
  return { password, code: await codes.next() };
}

/** A code that the person's generator shows neither now nor soon. */
export function wrongCode({ totpSecret }: Person): string {
  const present = stepOf(Date.now());
  const right = new Set([-2, -1, 0, 1, 2].map((away) => oneTimeCode(totpSecret, present + away)));
  const wrong = ['000000', '111111', '222222', '333333', '444444', '555555'].find((code) => !right.has(code));
  return wrong ?? assert.fail();
}

/** Signs in; gives the secret of the session. Without a tenant, the person is the instance's. */
export async function signIn(
  server: Server,
  person: Person,
  place: { readonly tenant?: string } = {},
): Promise<string> {
  const client = createClient({ url: server.url, timeoutMs: 60_000 });
  const proofs = await proofsOf(person);
  const { secret } = await client.call('sessions.create', { ...place, login: person.login, ...proofs });
  return secret;
}

/** People who are invited, have enrolled and are signed in. */
export async function bringIn(
  server: Server,
  manager: string,
  place: { readonly tenant?: string },
  invitees: readonly Invitee[],
): Promise<SignedIn[]> {
  const invited = await invitePeople(server, manager, invitees);
  // One by one: several checks of passwords at once take longer than a code is good for where the machine is busy.
  const people: Person[] = [];
  for (const { invitation } of invited) people.push(await enrol(server, invitation));
  const signedIn: SignedIn[] = [];
  for (const person of people) signedIn.push({ ...person, session: await signIn(server, person, place) });
  return signedIn;
}

/** A request for approval as a person reads it before deciding: the document is the one of the hash, computed here. */
export async function readRequest(
  server: Server,
  session: string,
  approval: string,
): Promise<{ approval: ApprovalView; hash: string; document: Readonly<Record<string, unknown>> }> {
  const shown = await clientOf(server, session).call('approvals.show', { approval });
  const hash = createHash('sha256').update(shown.document).digest('hex');
  assert.equal(hash, shown.approval.hash);
  const document = JSON.parse(shown.document) as Record<string, unknown>;
  assert.deepEqual([document['approval'], document['requester']], [approval, shown.approval.requester]);
  return { approval: shown.approval, hash, document };
}

/** Reads a request for approval, approves what it says, and signs that. */
export async function approve(
  server: Server,
  session: string,
  person: Person,
  approval: string,
): Promise<ApprovalView> {
  const { hash } = await readRequest(server, session, approval);
  const signature = await proofsOf(person);
  return clientOf(server, session).call('approvals.approve', { approval, hash, signature });
}

/** Reads a request for approval, denies it, and signs that. */
export async function deny(
  server: Server,
  session: string,
  person: Person,
  approval: string,
  reason: string,
): Promise<ApprovalView> {
  const { hash } = await readRequest(server, session, approval);
  const signature = await proofsOf(person);
  return clientOf(server, session).call('approvals.deny', { approval, hash, reason, signature });
}
