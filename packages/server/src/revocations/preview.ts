import type { Operations, Output, RevocationScope } from '@trialkeep/contract';
import { kindOfEntry, maxPreviewed } from '@trialkeep/contract';
import { listApprovals, requestBytes } from '../approvals/index.ts';
import { parseEntry, readEntries } from '../audit/index.ts';
import type { Entry } from '../audit/index.ts';
import type { Tx } from '../platform/database.ts';
import type { Context } from '../platform/implementation.ts';
import { countsOf, hashOf, idOf, planOf } from './plan.ts';
import type { Ending, Place, Plan } from './plan.ts';
import { placeOf } from './revoke.ts';
import type { RevocationParts } from './revoke.ts';
import * as store from './store.ts';

type Preview = Output<Operations['revocations.preview']>;

/** What releases data keys that clients keep no longer than their bound; whatever else a key releases they keep as long as they like. */
const bounded: ReadonlySet<string> = new Set(['keys.generate-data-key', 'keys.decrypt-data-key']);
/** Entries that are looked through for what was released, in parts of so many. */
const maxLookedThrough = 100_000;
const entriesPerRead = 5000;
/** Whoever acts with these may read the ledger, and so may be the other end of a stream. */
const readers: ReadonlySet<string> = new Set(['custodian', 'approver', 'data-recovery', 'auditor']);

/** What ending everything that is bound to the scope would end. Changes nothing. */
export async function preview(
  parts: RevocationParts,
  context: Context<'revocations.preview'>,
): Promise<Preview> {
  const { input, facts, now, record } = context;
  const { scope, cause = 'cessation' } = input;
  for (const [name, id] of Object.entries(scope))
    if (name !== 'vendor') Object.assign(record, { [name]: id });
  const place = await placeOf(parts, context);
  const plan = await facts.read((snapshot) => planOf(snapshot, place, scope, { cause, time: now }));
  const { endings } = plan;
  const counts = countsOf(endings);
  const { dataKeys, unbounded } = await released(parts, place, { plan, scope }, now);
  const approvals = await facts.read((snapshot) => waiting(parts, snapshot, place, { plan, scope }, now));
  const streams = endings.filter(readsLedger).length;
  return {
    hash: hashOf(scope, plan),
    counts,
    keys: ofKind(endings, 'key').map(({ row, old }) => ({ id: row.id, system: row.system, state: old })),
    systems: plan.systems.slice(0, maxPreviewed).map(({ id, name, vendor }) => ({ id, name, vendor })),
    credentials: ofKind(endings, 'credential').map(({ row }) => ({
      id: row.id,
      name: row.name,
      role: row.role,
    })),
    people: ofKind(endings, 'person').map(({ row }) => row.id),
    sessions: ofKind(endings, 'session').map(({ row }) => row.id),
    closedAt: plan.closedAt ?? null,
    dataKeys,
    unbounded,
    approvals,
    streams,
    stops: sentences({ counts, dataKeys, unbounded, approvals: approvals.length, streams }),
  };
}

function ofKind<Kind extends Ending['kind']>(
  endings: readonly Ending[],
  kind: Kind,
): Extract<Ending, { kind: Kind }>[] {
  const found = endings.filter((ending) => ending.kind === kind);
  return found.slice(0, maxPreviewed) as Extract<Ending, { kind: Kind }>[];
}

function readsLedger(ending: Ending): boolean {
  if (ending.kind === 'credential') return readers.has(ending.row.role);
  return ending.kind === 'person' && ending.row.roles.some((role) => readers.has(role));
}

/** What of the scope and its plan an entry or a request can name. */
interface Asked {
  readonly plan: Plan;
  readonly scope: RevocationScope;
}

/** Every id that the scope covers: also of what has ended already, whose data keys and requests are still there. */
function idsOf({ plan, scope }: Asked): Set<string> {
  const { vendor: _, ...named } = scope;
  return new Set([...plan.endings.map(idOf), ...plan.systems.map(({ id }) => id), ...Object.values(named)]);
}

/** Keys that left in clear: data keys that a client may still be using, and what nothing says when its holder stops using it. */
async function released(
  { database, dataKeySeconds }: RevocationParts,
  { log }: Place,
  asked: Asked,
  now: number,
): Promise<Pick<Preview, 'dataKeys' | 'unbounded'>> {
  const ids = idsOf(asked);
  const since = now - dataKeySeconds * 1000;
  const { size, first } = await database.read((snapshot) => store.extentOf(snapshot, log.id));
  const lowest = Math.max(first, size - maxLookedThrough);
  const dataKeys = { released: 0, boundSeconds: dataKeySeconds, complete: lowest === first };
  const unbounded = { keyPairs: 0, sharedSecrets: 0, complete: lowest === 0 };
  for (let end = size; end > lowest;) {
    const from = Math.max(lowest, end - entriesPerRead);
    const rows = await database.read((snapshot) => readEntries(snapshot, log.id, from, end - from));
    const entries = rows.map(parseEntry);
    for (const entry of entries.filter((each) => releasesOf(each, ids))) {
      if (entry.operation === 'keys.generate-data-key-pair') unbounded.keyPairs++;
      else if (!bounded.has(entry.operation)) unbounded.sharedSecrets++;
      else if (entry.time >= since) dataKeys.released++;
    }
    dataKeys.complete ||= (entries[0]?.time ?? 0) < since;
    end = from;
  }
  return { dataKeys, unbounded };
}

/** Whether the entry is of a key that left in clear, and names one of the ids. */
function releasesOf(entry: Entry, ids: ReadonlySet<string>): boolean {
  const { key, system, study, actor } = entry;
  return (
    kindOfEntry(entry) === 'key-released' &&
    [key, system, study, actor].some((id) => id !== undefined && ids.has(id))
  );
}

/** Requests that still wait for people, of somebody who ends, or that name what ends. */
async function waiting(
  { ledger }: RevocationParts,
  snapshot: Tx,
  { rowKey, log }: Place,
  asked: Asked,
  now: number,
): Promise<string[]> {
  const ids = idsOf(asked);
  const { payloadKey } = ledger.log(log.id);
  const rows = await listApprovals(snapshot, rowKey, log.id);
  const open = rows.filter(
    ({ state, expires_at }) => (state === 'pending' || state === 'approved') && expires_at > now,
  );
  const named = open.filter((row) => {
    if (ids.has(row.requester)) return true;
    const request = JSON.parse(Buffer.from(requestBytes(payloadKey, log, row)).toString('utf8')) as {
      input: object;
    };
    return Object.values(request.input).some((value) => typeof value === 'string' && ids.has(value));
  });
  return named.slice(0, maxPreviewed).map(({ id }) => id);
}

function sentences(what: {
  readonly counts: Preview['counts'];
  readonly dataKeys: Preview['dataKeys'];
  readonly unbounded: Preview['unbounded'];
  readonly approvals: number;
  readonly streams: number;
}): string[] {
  const { counts, dataKeys, unbounded, approvals, streams } = what;
  const { keyPairs, sharedSecrets } = unbounded;
  const said: [number, string][] = [
    [counts.keys, `Services no longer use ${counts.keys} keys; data recovery still reads, with a reason.`],
    [
      counts.credentials,
      `${counts.credentials} credentials are no longer admitted, nor are use receipts that they would bring.`,
    ],
    [
      counts.people,
      `${counts.people} people no longer sign in, decide or sign; ${counts.sessions} sessions end.`,
    ],
    [counts.studies, 'No service uses any key in the context of the study, or of its participants.'],
    [streams, `${streams} of those that end may read the ledger: a stream of theirs stops.`],
    [approvals, `${approvals} waiting requests name, or are by, what ends.`],
    [
      dataKeys.released,
      `${dataKeys.released} data keys left in the last ${dataKeys.boundSeconds} s: their holders may go on for that long after the revocation.`,
    ],
    [
      keyPairs,
      `${keyPairs} private keys of data key pairs have left: no revocation, and no time, ends what their holders can do.`,
    ],
    [
      sharedSecrets,
      `${sharedSecrets} shared secrets have left: no revocation, and no time, ends what their holders can do.`,
    ],
  ];
  return said.filter(([count]) => count > 0).map(([, sentence]) => sentence);
}
