import type { KeyObject } from 'node:crypto';
import type { OperationId, RevocationScope } from '@trialkeep/contract';
import { generateCredential, hashCredential } from '@trialkeep/crypto';
import { findCredential, insertCredential, revokeCredential } from '../access/index.ts';
import { changeOwn, parseEntry, readEntries, sealDraft } from '../audit/index.ts';
import type { SealedDraft, TransparencyLog } from '../audit/index.ts';
import { destroyMadeUpKey, findKey, insertMadeUpKey } from '../keys/index.ts';
import { canonicalBytes, sha256Hex } from '../platform/canonical.ts';
import type { Clock } from '../platform/clock.ts';
import type { Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import { newId } from '../platform/ids.ts';
import type { Recorded } from '../platform/implementation.ts';
import { schedule } from '../platform/jobs/index.ts';
import type { Job, JobHandler } from '../platform/jobs/index.ts';
import { drillJob, drillScheduleTask, drillTask, newDrill, putOff } from './drills.ts';
import type { DrillRecord, DrillStep } from './drills.ts';
import { endAll, itemOf } from './end.ts';
import { idOf, planOf } from './plan.ts';
import type { RevocationParts } from './revoke.ts';
import * as store from './store.ts';
import type { DrillRow } from './store.ts';

export interface DrillParts extends RevocationParts {
  readonly clock: Clock;
  readonly notes: { warn(details: object, message: string): void };
  /** One request through the gate of this node, by the holder of a credential; throws the refusal. */
  admit(operation: OperationId, credential: string, input: object): Promise<unknown>;
}

/** Why the things of a drill are made and ended, on their entries. */
const reason = 'drill';
/** What the revocation in a drill is for. */
const cause = 'vendor-exit';
const plaintext = Buffer.from('drill').toString('base64');
/** Refusals that a revocation answers with. */
const refusals: ReadonlySet<string> = new Set(['key.revoked', 'auth.revoked']);
/** Requests after the acknowledgement; the first of them is to be refused already. */
const attempts = 3;

/** What is made up for a drill. */
interface MadeUp {
  readonly system: string;
  readonly key: string;
  readonly credential: string;
  readonly secret: string;
}

/** A step that came out wrong, and not by a refusal. */
class StepFailure extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'StepFailure';
    this.code = code;
  }
}

/** One drill on its way. */
interface Run {
  readonly parts: DrillParts;
  readonly job: Job;
  readonly row: DrillRow;
  readonly log: TransparencyLog;
  readonly tenant: string;
  readonly rowKey: KeyObject;
  readonly steps: DrillStep[];
}

/** The handlers of the jobs of drills. */
export function drillHandlers(parts: DrillParts): Record<string, JobHandler> {
  return {
    [drillTask]: (job) => carryOut(parts, job),
    [drillScheduleTask]: (job) => begin(parts, job),
  };
}

/** Begins the drill that is due: drill, its job and the next date in one transaction, whichever node comes first. */
async function begin({ ledger, hierarchy, facts, wake }: DrillParts, job: Job): Promise<void> {
  const id = Number(job.input['log']);
  const log = await ledger.open(id);
  const rowKey = await hierarchy.rowKey(log.tenant);
  await changeOwn(ledger, facts, id, async (tx, time) => {
    const planned = await store.findSchedule(tx, rowKey, id);
    if (planned === undefined) throw new Error(`Log ${id} has no drills planned.`);
    const row = newDrill(id, planned.scope, time);
    await store.putDrill(tx, rowKey, row);
    await schedule(tx, drillJob(row));
    // The date itself moves on when the drill has been done: until then it stays due.
    await job.reschedule(tx, time + planned.every_days * 86_400_000);
    return { result: undefined, draft: own(log, { state: 'running', reason: 'policy' }, { drill: row.id }) };
  });
  wake();
}

/** Does one drill: makes things up, uses them, revokes them as an emergency would, and measures until when they are refused. */
async function carryOut(parts: DrillParts, job: Job): Promise<void> {
  const { database, ledger, hierarchy } = parts;
  const log = await ledger.open(Number(job.input['log']));
  const { tenant } = log;
  if (tenant === null) throw new Error('The instance itself has no drills.');
  const rowKey = await hierarchy.rowKey(tenant);
  const row = await database.read((tx) => store.findDrill(tx, rowKey, log.id, String(job.input['drill'])));
  if (row === undefined || row.state !== 'running') return database.write((tx) => job.complete(tx));
  const run: Run = { parts, job, row, log, tenant, rowKey, steps: [] };
  if (row.system !== null) {
    // An earlier run came to its end with its process.
    run.steps.push({ name: 'interrupted', elapsedMs: 0, outcome: 'failed' });
    return finish(run);
  }
  const { first } = await exercise(run);
  return finish(run, first);
}

async function exercise(run: Run): Promise<{ first: number }> {
  const { parts, log } = run;
  const { size: first } = await parts.database.read((tx) => store.extentOf(tx, log.id));
  const made = await timed(run, 'make', () => makeUp(run));
  if (made === undefined) return { first };
  const use = (): Promise<unknown> => parts.admit('keys.encrypt', made.secret, { key: made.key, plaintext });
  await timed(run, 'use', use);
  await timed(run, 'revoke', () => end(run, made));
  await timed(run, 'refused', async () => {
    for (let attempt = 0; attempt < attempts; attempt++) await assertRefused(use);
  });
  await timed(run, 'order', () => assertOrder(run, made, first));
  return { first };
}

/** Runs a step, and notes how long it took and whether it came out right; where not, why. */
async function timed<T>(
  { parts, row, steps }: Run,
  name: string,
  work: () => Promise<T>,
): Promise<T | undefined> {
  const begun = parts.clock.now();
  const note = (outcome: Pick<DrillStep, 'outcome' | 'code'>): void =>
    void steps.push({ name, elapsedMs: Math.max(0, parts.clock.now() - begun), ...outcome });
  try {
    const result = await work();
    note({ outcome: 'passed' });
    return result;
  } catch (error) {
    const isKnown = error instanceof OperationError || error instanceof StepFailure;
    note({ outcome: 'failed', code: isKnown ? error.code : 'server.internal' });
    parts.notes.warn({ drill: row.id, step: name, error: String(error) }, 'A step of a drill failed.');
    return undefined;
  }
}

function own(log: TransparencyLog, recorded: Recorded, payload: object): SealedDraft {
  const draft = { operation: drillTask, outcome: 'success', recorded } as const;
  return sealDraft(draft, log.origin, payload, log.payloadKey);
}

async function makeUp({ parts, row, log, tenant, rowKey }: Run): Promise<MadeUp> {
  const { ledger, facts, hierarchy } = parts;
  const [system, key, credential, secret] = [newId(), newId(), newId(), generateCredential()];
  const kind = { algorithm: 'AES_256', purpose: 'encrypt' };
  const made = await hierarchy.newSystemKeyVersion(tenant, key, kind);
  const name = `Drill ${row.id}`;
  return changeOwn(ledger, facts, log.id, async (tx, time) => {
    await store.insertSystem(tx, { id: system, tenant, name, type: 'other', vendor: name, created_at: time });
    await insertMadeUpKey(tx, rowKey, { id: key, tenant, system, made, time });
    const issued = {
      id: credential,
      log: log.id,
      name,
      role: 'service',
      system,
      secret_hash: hashCredential(secret),
      state: 'active',
      created_at: time,
      expires_at: null,
    } as const;
    await insertCredential(tx, rowKey, issued, [key]);
    await store.putDrill(tx, rowKey, { ...row, system, key, credential });
    const draft = own(log, { key, system, version: 1, state: 'active', reason }, { drill: row.id });
    const further = [own(log, { credential, system, state: 'active', reason }, { drill: row.id })];
    return { result: { system, key, credential, secret }, draft, further };
  });
}

function scopeOf({ id, scope }: DrillRow, { system, key, credential }: MadeUp): RevocationScope {
  return { vendor: { vendor: `Drill ${id}` }, system: { system }, credential: { credential }, key: { key } }[
    scope
  ];
}

/** The same that a revocation does, to what was made up alone: others may have put theirs into the system of a drill. */
async function end({ parts, row, log, tenant, rowKey }: Run, made: MadeUp): Promise<void> {
  const place = { rowKey, log, tenant, actor: undefined };
  const ids = new Set([made.key, made.credential]);
  await changeOwn(parts.ledger, parts.facts, log.id, async (tx, time) => {
    const plan = await planOf(tx, place, scopeOf(row, made), { cause, time });
    const endings = plan.endings.filter((ending) => ids.has(idOf(ending)));
    await endAll(tx, endings, { ...place, cause, time });
    const [draft, ...further] = endings.map((ending) => {
      const { record, payload } = itemOf(ending, cause);
      return own(log, record, { ...payload, drill: row.id });
    });
    if (draft === undefined) throw new Error('There is nothing that the drill could end.');
    return { result: undefined, draft, further };
  });
}

async function assertRefused(use: () => Promise<unknown>): Promise<void> {
  await use().then(
    () => {
      throw new StepFailure('drill.not_refused', 'The key was used after its revocation.');
    },
    (error: unknown) => {
      if (error instanceof OperationError && refusals.has(error.code)) return;
      throw error;
    },
  );
}

/** In the ledger nothing succeeds behind the revocation. */
async function assertOrder({ parts, log }: Run, made: MadeUp, first: number): Promise<void> {
  const { size } = await parts.database.read((tx) => store.extentOf(tx, log.id));
  const rows = await parts.database.read((tx) => readEntries(tx, log.id, first, size - first));
  const entries = rows.map(parseEntry);
  const at = entries.findIndex(({ operation, reason: code }) => operation === drillTask && code === cause);
  const used = (from: number, to: number): boolean =>
    entries.slice(from, to).some(({ actor, operation, outcome }) => {
      const isUse = actor === made.credential && operation === 'keys.encrypt';
      return isUse && outcome === 'success';
    });
  if (at < 0 || !used(0, at) || used(at, entries.length)) {
    throw new StepFailure(
      'drill.out_of_order',
      'The ledger does not have the use before the revocation, and none behind it.',
    );
  }
}

/** Takes away what was made up, and says what came of the drill, in one transaction with the end of its job. */
async function finish({ parts, job, row, log, tenant, rowKey, steps }: Run, first?: number): Promise<void> {
  const { ledger, facts, hierarchy } = parts;
  const state = steps.every(({ outcome }) => outcome === 'passed') ? 'passed' : 'failed';
  await changeOwn(ledger, facts, log.id, async (tx, time) => {
    const present = await store.findDrill(tx, rowKey, log.id, row.id);
    if (present === undefined) throw new Error(`Drill ${row.id} is gone.`);
    const removed = await remove(tx, { log, tenant, rowKey, time, drill: present });
    const { system } = present;
    const left = system === null ? { keys: [], credentials: [] } : await store.leftIn(tx, system);
    if (left.keys.length + left.credentials.length > 0)
      parts.notes.warn(
        { drill: row.id, system, ...left },
        'What others put into the system of a drill stays.',
      );
    const record: DrillRecord = { steps };
    const bytes = canonicalBytes({
      ...record,
      boundSeconds: parts.dataKeySeconds,
      drill: row.id,
      measured: 'one-node',
      scope: row.scope,
      state,
      v: 1,
    });
    const hash = sha256Hex(bytes);
    const ended = { ...present, state, ended_at: time, record: bytes, hash } as const;
    await store.putDrill(tx, rowKey, ended);
    await putOff(tx, rowKey, ended);
    await job.complete(tx);
    const about = system === null ? {} : { system };
    const last = own(log, { ...about, hash, state, reason }, { drill: row.id, steps, first, left });
    const [draft = last, ...further] = removed;
    return { result: undefined, draft, further: removed.length === 0 ? [] : [...further, last] };
  });
  hierarchy.releaseTenant(tenant);
}

interface Removal {
  readonly log: TransparencyLog;
  readonly tenant: string;
  readonly rowKey: KeyObject;
  readonly time: number;
  readonly drill: DrillRow;
}

/** Ends the key and the credential that were made up. */
async function remove(tx: Tx, { log, tenant, rowKey, time, drill }: Removal): Promise<SealedDraft[]> {
  const { system, key, credential } = drill;
  if (system === null || key === null || credential === null) return [];
  const entries: SealedDraft[] = [];
  const found = await findCredential(tx, rowKey, log.id, credential);
  if (found?.row.state === 'active') {
    await revokeCredential(tx, rowKey, found.row);
    entries.push(own(log, { credential, system, state: 'revoked', reason }, { drill: drill.id }));
  }
  const row = await findKey(tx, rowKey, tenant, key);
  if (row !== undefined && row.state !== 'destroyed') {
    await destroyMadeUpKey(tx, rowKey, row, time);
    const said = { key, system, version: row.version, state: row.state, reason };
    entries.push(own(log, said, { drill: drill.id }));
  }
  return entries;
}
