import { generateSecret, hashSecret } from '@trialkeep/crypto';
import type { Operations, Output } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Apply, Context } from '../platform/implementation.ts';
import { findPerson } from './people-store.ts';
import { personView } from './people.ts';
import { endSession, findSession, insertSession } from './session-store.ts';
import type { SessionRow } from './session-store.ts';

/** From the sign-in on, however it is used: within the 24 hours that NIST SP 800-63B-4 section 2.2.3 recommends at most. */
const sessionMs = 8 * 3_600_000;

function sessionView({
  id,
  level,
  expires_at,
}: Omit<SessionRow, 'seal'>): Output<Operations['sessions.end']> {
  return { id, level, expiresAt: expires_at };
}

/** The proofs are checked, and spent in the same transaction, before it comes to this. */
export async function create(
  hierarchy: Hierarchy,
  { caller, record }: Context<'sessions.create'>,
): Promise<Apply<'sessions.create'>> {
  const { log, actor, means } = caller;
  const rowKey = await hierarchy.rowKey(log.tenant);
  const secret = generateSecret('session');
  record.person = actor;
  return async (tx, time) => {
    const person = await findPerson(tx, rowKey, log.id, actor);
    if (person?.state !== 'active') throw new OperationError('auth.failed');
    const row = {
      id: newId(),
      log: log.id,
      person: actor,
      secret_hash: hashSecret(secret),
      level: means.level,
      state: 'active',
      created_at: time,
      expires_at: time + sessionMs,
    } as const;
    await insertSession(tx, rowKey, row);
    record.session = row.id;
    record.state = row.state;
    return { session: sessionView(row), secret, person: personView(person) };
  };
}

export async function current(
  hierarchy: Hierarchy,
  { caller, facts }: Context<'sessions.current'>,
): Promise<Output<Operations['sessions.current']>> {
  const { log, means } = caller;
  const rowKey = await hierarchy.rowKey(log.tenant);
  const found = await facts.read((snapshot) => findSession(snapshot, rowKey, log.id, means.id));
  if (found === undefined) throw new OperationError('auth.revoked');
  return { session: sessionView(found.session), person: personView(found.person) };
}

export async function end(
  hierarchy: Hierarchy,
  { caller, record }: Context<'sessions.end'>,
): Promise<Apply<'sessions.end'>> {
  const { log, actor, means } = caller;
  const rowKey = await hierarchy.rowKey(log.tenant);
  record.person = actor;
  record.session = means.id;
  return async (tx) => {
    const found = await findSession(tx, rowKey, log.id, means.id);
    if (found === undefined) throw new OperationError('auth.revoked');
    await endSession(tx, rowKey, found.session);
    record.state = 'ended';
    return sessionView(found.session);
  };
}
