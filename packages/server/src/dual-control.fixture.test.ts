/** What tests of dual control share: a tenant with people who are signed in, and a key that could be destroyed. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import type { Input, OperationId, Operations, Role } from '@trialkeep/contract';
import { codeOf, enrol, makePerson, password, signIn } from './people.fixture.test.ts';
import type { House, TestPerson } from './people.fixture.test.ts';
import { makeTenant } from './fixture.test.ts';
import type { TestServer } from './fixture.test.ts';
import { OperationError } from './platform/errors.ts';

export const plaintext = Buffer.from('a value').toString('base64');
export const reason = 'The retention period is over.';
export const dayMs = 86_400_000;

/** Somebody who is signed in. */
export interface Present extends TestPerson {
  readonly session: string;
}

/** A tenant with a revoked key, and people of it. */
export async function arrange(
  server: TestServer,
  roles: readonly Role[] = ['custodian', 'custodian', 'custodian'],
) {
  const made = await makeTenant(server);
  const { custodian, key, service, tenant } = made;
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext });
  await server.admit('keys.revoke', custodian, { key, cause: 'cessation', reason: 'The study is over.' });
  const house: House = {
    admit: server.admit,
    clock: server.clock,
    managers: { one: custodian, two: '', instance: server.administrator },
    logs: { one: { tenant }, two: { tenant: null }, instance: { tenant: null } },
  };
  const people: Present[] = [];
  for (const role of roles) {
    const person = await makePerson(house, `${role}-${randomUUID()}`, [role]);
    people.push({ ...person, session: (await signIn(house, person)).secret });
  }
  const [requester, one, two] = people;
  assert.ok(requester && one && two);
  return { ...made, server, ciphertext, people, requester, one, two };
}
export type Arranged = Awaited<ReturnType<typeof arrange>>;

/** Asks for the destruction of the key; gives the id of the request. */
export async function ask(arranged: Arranged): Promise<string> {
  return askFor(arranged, 'keys.schedule-destruction', { key: arranged.key, reason });
}

/** Asks for what needs approval; gives the id of the request. */
export async function askFor<Id extends OperationId>(
  { server, requester }: Arranged,
  operation: Id,
  input: Input<Operations[Id]>,
): Promise<string> {
  const kept = await rejection(server.admit(operation, requester.session, input));
  assert.equal(kept.code, 'approval.needed');
  assert.ok(kept.approval);
  return kept.approval;
}

/** Has both others approve; nothing is carried out yet. */
export async function approveByBoth(arranged: Arranged, approval: string): Promise<void> {
  await decide(arranged, arranged.one, approval);
  await decide(arranged, arranged.two, approval);
}

/** Has both others approve, and what they approved carried out. */
export async function approveAndRun(arranged: Arranged, approval: string): Promise<void> {
  await approveByBoth(arranged, approval);
  await arranged.server.runJobs();
}

export async function rejection(promise: Promise<unknown>): Promise<OperationError> {
  const error: unknown = await promise.then(
    () => assert.fail('It succeeded.'),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof OperationError, String(error));
  return error;
}

/** Somebody who was invited anew enrols and signs in again. */
export async function comeBack(
  { server, tenant }: Arranged,
  person: Present,
  invitation: string,
): Promise<Present> {
  const house: House = {
    admit: server.admit,
    clock: server.clock,
    managers: { one: '', two: '', instance: '' },
    logs: { one: { tenant }, two: { tenant: null }, instance: { tenant: null } },
  };
  const secret = await enrol(house, invitation);
  const back = { ...person, secret };
  return { ...back, session: (await signIn(house, back)).secret };
}

/** Everybody with a new session: one lasts less long than what tests wait for. */
export async function signInAgain(arranged: Arranged): Promise<Arranged> {
  const { server, tenant, custodian } = arranged;
  const house: House = {
    admit: server.admit,
    clock: server.clock,
    managers: { one: custodian, two: '', instance: server.administrator },
    logs: { one: { tenant }, two: { tenant: null }, instance: { tenant: null } },
  };
  const people: Present[] = [];
  for (const person of arranged.people) {
    people.push({ ...person, session: (await signIn(house, person)).secret });
  }
  const [requester, one, two] = people;
  assert.ok(requester && one && two);
  return { ...arranged, people, requester, one, two };
}

/** The two components, with a code that was not used yet. */
export function componentsOf({ server }: Arranged, { secret }: TestPerson) {
  server.clock.time += 60_000;
  return { password, code: codeOf(secret, server.clock.time) };
}

export async function decide(
  arranged: Arranged,
  person: Present,
  approval: string,
  decision: 'approve' | 'deny' = 'approve',
) {
  const { server } = arranged;
  const shown = await server.admit('approvals.show', person.session, { approval });
  const signature = componentsOf(arranged, person);
  const input = { approval, hash: shown.approval.hash, signature };
  return decision === 'approve'
    ? server.admit('approvals.approve', person.session, input)
    : server.admit('approvals.deny', person.session, { ...input, reason: 'Not yet.' });
}

export const stateOf = async ({ server, one }: Arranged, approval: string) =>
  (await server.admit('approvals.show', one.session, { approval })).approval;
/** The state of the key, or that its destruction waits. */
export async function keyState({ server, custodian, key }: Arranged): Promise<string> {
  const { state, destructionDueAt } = (await server.admit('keys.show', custodian, { key })).key;
  return destructionDueAt === null ? state : 'destruction-pending';
}
