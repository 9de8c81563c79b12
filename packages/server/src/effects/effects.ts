import type { KeyObject } from 'node:crypto';
import type { ErrorCode } from '@trialkeep/contract';
import type { Ledger, Outcome } from '../audit/index.ts';
import { changeOwn, payloadKey, sealDraft } from '../audit/index.ts';
import type { Hierarchy } from '../keys/index.ts';
import type { Database, Tx } from '../platform/database.ts';
import type { FactsCache } from '../platform/facts.ts';
import { newId } from '../platform/ids.ts';
import type { Recorded } from '../platform/implementation.ts';
import { ensure, remove, schedule } from '../platform/jobs/index.ts';
import type { Job, JobHandler, JobInput, NewJob } from '../platform/jobs/index.ts';
import * as store from './store.ts';
import type { EffectRow } from './store.ts';

/** What came of an act, as the entry about it will say. */
export interface EffectOutcome {
  /** `failed` is final: what may still work out is thrown, and tried again. */
  readonly outcome: Exclude<Outcome, 'refused'>;
  readonly code?: ErrorCode;
  readonly recorded: Recorded;
  readonly payload: object;
  /** What the database notes of it, in the transaction of its entry. */
  alongside?(tx: Tx, noted: { readonly rowKey: KeyObject; readonly time: number }): Promise<void>;
}

/** A kind of effect outside the database: an HSM object, a file, a mail, a row of another store. */
export interface EffectKind<Input extends JobInput = JobInput> {
  /** The operation that the entry about the outcome names. */
  readonly operation: string;
  /**
   * Does it. Runs outside any transaction, may take long, and may be repeated, also after it has succeeded: the second time
   * must do no more than the first.
   */
  act(input: Input): Promise<EffectOutcome>;
}

/** What is meant: the row and its job are written with the change that means it. */
export interface Intent {
  /** The key that seals the rows of the log's tenant. */
  readonly rowKey: KeyObject;
  readonly log: number;
  readonly kind: string;
  /** Ids and numbers, never a secret. */
  readonly input: JobInput;
  /** The time of the change. */
  readonly time: number;
  /** When it is to be done, where that is not at once: what the change itself prepares is settled with `settleWith` before. */
  readonly dueAt?: number;
}

/**
 * Writes down, inside the transaction of a change, what is to be done outside the database once it has committed; the change's
 * entry is the entry of the intent. Gives the effect's id.
 */
export async function beginEffect(
  tx: Tx,
  { rowKey, log, kind, input, time, dueAt = time }: Intent,
): Promise<string> {
  const row = {
    id: newId(),
    log,
    kind,
    input: JSON.stringify(input),
    state: 'intended',
    intended_at: time,
    settled_at: null,
  } as const;
  await store.insert(tx, rowKey, row);
  await schedule(tx, { ...settlingJob(row), dueAt });
  return row.id;
}

/**
 * Settles an effect in the transaction of a change whose own entry tells the outcome; false where it is not open any more.
 *
 * @throws StartupError `database.altered`
 */
export async function settleWith(tx: Tx, rowKey: KeyObject, id: string, time: number): Promise<boolean> {
  const row = await store.find(tx, id);
  if (row === undefined) return false;
  store.check(rowKey, row);
  await remove(tx, `${store.jobPrefix}${id}`);
  return row.state === 'intended' && store.settle(tx, rowKey, row, time);
}

/** A task for each kind, so that a node that does not know a kind leaves its effects to those that do. */
function taskOf(kind: string): string {
  return `effects.settle.${kind}`;
}

function settlingJob({ id, kind, intended_at }: Pick<EffectRow, 'id' | 'kind' | 'intended_at'>): NewJob {
  return { name: `${store.jobPrefix}${id}`, task: taskOf(kind), input: { effect: id }, dueAt: intended_at };
}

export interface EffectsParts {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly facts: FactsCache;
  readonly kinds: Readonly<Record<string, EffectKind>>;
}

/** Effects outside the database (design section 4): meant with an entry, done, settled with an entry. */
export class Effects {
  readonly #parts: EffectsParts;

  constructor(parts: EffectsParts) {
    this.#parts = parts;
  }

  /** The tasks of a job runner that settles effects of every known kind. */
  handlers(): Record<string, JobHandler> {
    const kinds = Object.entries(this.#parts.kinds);
    return Object.fromEntries(
      kinds.map(([name, kind]) => [taskOf(name), (job: Job) => this.#settle(job, kind)]),
    );
  }

  /** At start: every open effect has its job, whatever was done to the jobs. */
  async recover(): Promise<void> {
    await this.#parts.database.write(async (tx) => {
      for (const effect of await store.withoutJob(tx)) await ensure(tx, settlingJob(effect));
    });
  }

  async #settle(job: Job, kind: EffectKind): Promise<void> {
    const { database, facts, hierarchy, ledger } = this.#parts;
    const id = String(job.input['effect']);
    const row = await database.read((snapshot) => store.find(snapshot, id));
    if (row === undefined) throw new Error(`There is no effect ${id}.`);
    const log = await ledger.open(row.log);
    const rowKey = await hierarchy.rowKey(log.tenant);
    store.check(rowKey, row);
    if (row.state === 'settled') {
      await database.write((tx) => job.complete(tx));
      return;
    }
    const { payload, alongside, ...outcome } = await kind.act(JSON.parse(row.input) as JobInput);
    const draft = sealDraft(
      { ...outcome, operation: kind.operation },
      log.origin,
      { ...payload, effect: id },
      await payloadKey(hierarchy, log, outcome.recorded.subject),
    );
    await changeOwn(ledger, facts, row.log, async (tx, time) => {
      await job.complete(tx);
      if (!(await store.settle(tx, rowKey, row, time))) throw new Error(`Effect ${id} is settled already.`);
      await alongside?.(tx, { rowKey, time });
      return { result: undefined, draft };
    });
  }
}
