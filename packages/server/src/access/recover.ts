import type { KeyObject } from 'node:crypto';
import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import { findCredential, revokeCredential } from './credential-store.ts';
import { changePerson, findPerson, withdrawInvitations } from './people-store.ts';
import { endSession, endSessions, listSessions } from './session-store.ts';

/** Which log is brought in line, and what its rows are sealed with. */
export interface AccessRecovery {
  readonly log: number;
  readonly rowKey: KeyObject;
}

/** A person whose access was taken away, as the entry about that says. */
export interface DroppedPerson {
  readonly person: string;
  readonly version: number;
  readonly state: string;
}

/**
 * Takes away, in a database that was put back, what the ledger says was taken away since: credentials and sessions that ended. A person
 * who was changed in any way since is made to leave: what they sign in with now is not known here. Gives what is gone for good, and the
 * people who have to be invited anew.
 */
export async function recoverAccess(
  tx: Tx,
  { log, rowKey }: AccessRecovery,
  entries: readonly Entry[],
): Promise<{ lost: string[]; dropped: DroppedPerson[] }> {
  const lost: string[] = [];
  const dropped: DroppedPerson[] = [];
  for (const [id, { state }] of newest(entries, 'credential', 'credentials.', 'revocations.')) {
    const found = await findCredential(tx, rowKey, log, id);
    if (found === undefined && state !== 'revoked') lost.push(`Credential ${id}: issue another.`);
    if (found?.row.state === 'active' && state === 'revoked') await revokeCredential(tx, rowKey, found.row);
  }
  const sessions = new Map((await listSessions(tx, rowKey, log)).map((row) => [row.id, row]));
  for (const [id, { state }] of newest(entries, 'session', 'sessions.', 'revocations.')) {
    const row = sessions.get(id);
    if (row !== undefined && state === 'ended') await endSession(tx, rowKey, row);
  }
  for (const [id, { state, version = 0 }] of newest(
    entries,
    'person',
    'people.',
    'enrolment.',
    'revocations.',
  )) {
    const row = await findPerson(tx, rowKey, log, id);
    if (row === undefined && state !== 'left') lost.push(`Person ${id}: invite them.`);
    if (row === undefined || row.revision >= version) continue;
    await withdrawInvitations(tx, rowKey, id);
    await endSessions(tx, rowKey, id);
    const access = { password: null, totp: null, roles: [], state: 'left' } as const;
    if (state === 'left') {
      await changePerson(tx, rowKey, { ...row, revision: version - 1 }, access);
      continue;
    }
    const left = await changePerson(tx, rowKey, { ...row, revision: version }, access);
    dropped.push({ person: id, version: left.revision, state: left.state });
    lost.push(`Person ${id}: the change of their access; invite them anew.`);
  }
  return { lost, dropped };
}

/** The newest successful entry about each thing, by its id. One of a session names its person, and says nothing about them. */
function newest(
  entries: readonly Entry[],
  member: 'credential' | 'session' | 'person',
  ...operations: readonly string[]
): Map<string, Entry> {
  const found = new Map<string, Entry>();
  for (const entry of entries) {
    const id = entry[member];
    const isAbout = operations.some((prefix) => entry.operation.startsWith(prefix));
    if (member === 'person' && entry.session !== undefined) continue;
    if (isAbout && id !== undefined && entry.outcome === 'success' && entry.state !== undefined) {
      found.set(id, entry);
    }
  }
  return found;
}
