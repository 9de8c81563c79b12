import assert from 'node:assert/strict';
import type { ErrorCode, OperationId } from '@trialkeep/contract';
import { errors, isDoor } from '@trialkeep/contract';
import type { Client } from '@trialkeep/sdk/client';
import { ask, errorOf } from '../harness.ts';
import type { Answer } from '../harness.ts';
import { askLedger } from '../tenant.ts';
import type { LedgerEntry, Tenant } from '../tenant.ts';
import type { Asker } from './callers.ts';
import { operationOf, samples } from './samples.ts';
import type { Sampled, World } from './world.ts';

export const bearer = (secret: string): string => `Bearer ${secret}`;

/** Asks for the sample of an operation. */
export function askSample(world: World, id: OperationId, of: Sampled, secret?: string): Promise<Answer> {
  return ask(world.server, id, samples[id](of), secret === undefined ? undefined : bearer(secret));
}

/** The tenant as it is once `tenants.seal` has answered. */
export function sealedAs<T extends Sampled>(tenant: T, answer: Answer): T {
  const { changedAt } = JSON.parse(answer.text) as { changedAt: number };
  return { ...tenant, sealedAt: changedAt };
}

/** A refused request: who asked for what, and why it was refused. */
export type Refusal = Pick<LedgerEntry, 'operation' | 'actor' | 'role' | 'code'>;
const line = ({ operation, actor, role, code }: Refusal): string => [operation, actor, role, code].join(' ');

/** The refusal that is expected of an asker. What takes no role names none; a batch has the name of what it is many of. */
export function refusal(id: OperationId, { actor, role }: Asker, code: ErrorCode): Refusal {
  const { permission, batchOf: operation = id } = operationOf(id);
  const takesRole = !isDoor(permission);
  return { operation, actor, code, ...(role !== undefined && takesRole && { role }) };
}

/** Does the work, and holds what it says was refused against the refusals that the log has gained. */
export async function assertRecorded(reader: Client, work: () => Promise<readonly Refusal[]>): Promise<void> {
  const earlier = (await askLedger(reader, { outcome: 'refused' })).length;
  const refused = await work();
  const entries = (await askLedger(reader, { outcome: 'refused' })).slice(earlier);
  assert.deepEqual(entries.map(line), refused.map(line));
}

/** The answer is the error, with the status of the contract, a sentence and a fix. */
export function assertRefused(id: OperationId, answer: Answer, code: ErrorCode): void {
  const error = errorOf(answer);
  assert.deepEqual([error.status, error.code], [errors[code].status, code], `${id}: ${answer.text}`);
  assert.ok(error.message.length > 10 && error.fix.length > 10, answer.text);
}

/** Asks for samples, one after the other, which are all refused; gives the refusals. */
export async function refuseAll(
  world: World,
  of: Sampled,
  asker: Asker,
  cases: Iterable<readonly [OperationId, ErrorCode]>,
): Promise<Refusal[]> {
  const refused: Refusal[] = [];
  for (const [id, code] of cases) {
    assertRefused(id, await askSample(world, id, of, asker.secret), code);
    refused.push(refusal(id, asker, code));
  }
  return refused;
}

/** Everything of a tenant that a change could show in. */
export async function inventory(world: World, { credentials, study }: Tenant): Promise<object> {
  const client = world.client(credentials.custodian.secret);
  return {
    studies: await client.call('studies.list', {}),
    systems: await client.call('systems.list', {}),
    subjects: await client.call('subjects.list', { study }),
    credentials: await client.call('credentials.list', {}),
    keys: (await client.call('keys.list', {})).keys.map(({ lastUse: _lastUse, ...key }) => key),
    seal: await client.call('tenants.seal-state', {}),
    people: await client.call('people.list', {}),
    approvals: await client.call('approvals.list', {}),
    signatures: await client.call('signatures.list', {}),
  };
}
