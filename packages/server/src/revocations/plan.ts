import type { KeyObject } from 'node:crypto';
import type { RevocationScope } from '@trialkeep/contract';
import { activeCredentials, countActive, findCredential, findPerson, listSessions } from '../access/index.ts';
import type { CredentialRow, PersonRow, SessionRow } from '../access/index.ts';
import { findClosure, findKey, revocableKeys, stateAfterRevocation, stateAt } from '../keys/index.ts';
import type { KeyRow } from '../keys/index.ts';
import { sha256Hex, canonicalBytes } from '../platform/canonical.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Log } from '../platform/implementation.ts';
import * as store from './store.ts';
import type { SystemRow } from './store.ts';

/** One thing that ends, with its row as it was read. `to` is the state that it then has. */
export type Ending = { readonly to: string } & (
  | { readonly kind: 'session'; readonly row: SessionRow }
  | { readonly kind: 'person'; readonly row: PersonRow }
  | { readonly kind: 'credential'; readonly row: CredentialRow }
  | { readonly kind: 'study'; readonly study: string; readonly old: string }
  | { readonly kind: 'key'; readonly row: KeyRow; readonly old: string }
);

/** Everything that is bound to a scope. */
export interface Plan {
  /** What is still in force, in the order in which it ends: what lets somebody in before what they could use. */
  readonly endings: readonly Ending[];
  readonly systems: readonly SystemRow[];
  /** When the study was closed, where it is closed now. */
  readonly closedAt?: number;
}

/** What a plan is for. */
export interface Wanted {
  readonly cause: string;
  readonly time: number;
  /** The first so many of what ends; all of it unless it is said. */
  readonly most?: number;
}

/** Rows that are read, and their seals checked, before others get their turn. */
const rowsPerRead = 2000;

/** Where a plan is made: in one snapshot, for one tenant. */
export interface Place {
  readonly rowKey: KeyObject;
  readonly log: Log;
  readonly tenant: string;
  /** Who asks: nobody ends themselves. */
  readonly actor: string | undefined;
}

/**
 * What ending everything that is bound to the scope would end now; what is revoked already is left out, but for a study that is
 * closed: its closure is renewed, so that nothing which was approved about the old one reopens it.
 *
 * @throws OperationError where the tenant has no such thing, or it cannot be ended by this caller
 */
export async function planOf(
  snapshot: Tx,
  place: Place,
  scope: RevocationScope,
  wanted: Wanted,
): Promise<Plan> {
  const plan = await wholeOf(snapshot, place, scope, wanted);
  return { ...plan, endings: plan.endings.slice(0, wanted.most) };
}

async function wholeOf(snapshot: Tx, place: Place, scope: RevocationScope, wanted: Wanted): Promise<Plan> {
  const { vendor, system, study, person, credential, key } = scope;
  if (vendor !== undefined) {
    const systems = await store.systemsOf(snapshot, place.tenant, { vendor });
    if (systems.length === 0) throw unknown('vendor');
    return ofSystems(snapshot, place, systems, wanted);
  }
  if (system !== undefined) {
    const systems = await store.systemsOf(snapshot, place.tenant, { id: system });
    if (systems.length === 0) throw unknown('system');
    return ofSystems(snapshot, place, systems, wanted);
  }
  if (study !== undefined) return ofStudy(snapshot, place, study);
  if (person !== undefined) return ofPerson(snapshot, place, person);
  if (credential !== undefined) return ofCredential(snapshot, place, credential);
  const row = key === undefined ? undefined : await findKey(snapshot, place.rowKey, place.tenant, key);
  if (row === undefined) throw unknown('key');
  return { endings: endingOfKey(row, wanted), systems: [] };
}

/** SHA-256 of what would end, as it is now: the same while nothing of it changes. */
export function hashOf(scope: RevocationScope, { endings }: Plan): string {
  const named = endings.map((ending) => [ending.kind, idOf(ending)]);
  return sha256Hex(canonicalBytes({ endings: named, scope }));
}

export function idOf(ending: Ending): string {
  return ending.kind === 'study' ? ending.study : ending.row.id;
}

export type Counts = ReturnType<typeof countsOf>;

/** How many of each kind end; a closure that is only renewed ends nothing. */
export function countsOf(endings: readonly Ending[]) {
  const count = (kind: Ending['kind']): number => endings.filter((ending) => ending.kind === kind).length;
  return {
    keys: count('key'),
    credentials: count('credential'),
    people: count('person'),
    sessions: count('session'),
    studies: endings.filter((ending) => ending.kind === 'study' && ending.old !== ending.to).length,
  };
}

async function ofSystems(
  snapshot: Tx,
  { rowKey, log, tenant }: Place,
  systems: readonly SystemRow[],
  wanted: Wanted,
): Promise<Plan> {
  const { cause, most = Infinity } = wanted;
  const ids = systems.map(({ id }) => id);
  const credentials = await inParts<CredentialRow>(most, (after, limit) =>
    activeCredentials(snapshot, rowKey, log.id, { systems: ids, after, limit }),
  );
  const keys = await inParts<KeyRow>(most - credentials.length, (after, limit) =>
    revocableKeys(snapshot, rowKey, tenant, { systems: ids, cause, after, limit }),
  );
  const endings = [
    ...credentials.flatMap(endingOfCredential),
    ...keys.flatMap((row) => endingOfKey(row, wanted)),
  ];
  return { endings, systems };
}

/** Reads rows, `most` of them, with pauses: the seals of very many at once would hold up everybody. */
async function inParts<Row>(
  most: number,
  read: (after: Row | undefined, limit: number) => Promise<Row[]>,
): Promise<Row[]> {
  const rows: Row[] = [];
  while (rows.length < most) {
    const limit = Math.min(rowsPerRead, most - rows.length);
    const part = await read(rows.at(-1), limit);
    rows.push(...part);
    if (part.length < limit) break;
    await new Promise(setImmediate);
  }
  return rows;
}

async function ofStudy(snapshot: Tx, { rowKey, tenant }: Place, study: string): Promise<Plan> {
  if (!(await store.studyExists(snapshot, tenant, study))) throw unknown('study');
  const closure = await findClosure(snapshot, rowKey, tenant, study);
  const old = closure?.state ?? 'open';
  const endings: Ending[] = [{ kind: 'study', study, old, to: 'closed' }];
  return { endings, systems: [], ...(closure?.state === 'closed' && { closedAt: closure.changed_at }) };
}

async function ofPerson(snapshot: Tx, { rowKey, log, actor }: Place, id: string): Promise<Plan> {
  const person = await findPerson(snapshot, rowKey, log.id, id);
  if (person === undefined) throw unknown('person');
  if (person.id === actor) throw new OperationError('person.self', { field: '/scope/person' });
  const sessions = (await listSessions(snapshot, rowKey, log.id)).filter((row) => row.person === id);
  const endings: Ending[] = sessions.map((row) => ({ kind: 'session', row, to: 'ended' }));
  if (person.state !== 'left') endings.push({ kind: 'person', row: person, to: 'left' });
  return { endings, systems: [] };
}

async function ofCredential(snapshot: Tx, { rowKey, log }: Place, id: string): Promise<Plan> {
  const found = await findCredential(snapshot, rowKey, log.id, id);
  if (found === undefined) throw unknown('credential');
  const { row } = found;
  if (row.role === 'custodian' && row.state === 'active') {
    const custodians = await countActive(snapshot, log.id, 'custodian');
    if (custodians <= 1)
      throw new OperationError('credential.last_custodian', { field: '/scope/credential' });
  }
  return { endings: endingOfCredential(row), systems: [] };
}

function endingOfCredential(row: CredentialRow): Ending[] {
  return row.state === 'active' ? [{ kind: 'credential', row, to: 'revoked' }] : [];
}

function endingOfKey(row: KeyRow, { cause, time }: Wanted): Ending[] {
  const to = stateAfterRevocation(row, cause, time);
  return to === undefined ? [] : [{ kind: 'key', row, old: stateAt(row, time), to }];
}

function unknown(kind: keyof RevocationScope): OperationError {
  return new OperationError(`${kind}.unknown`, { field: `/scope/${kind}` });
}
