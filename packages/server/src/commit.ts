import type { KeyObject } from 'node:crypto';
import type { Operation, OperationId, RequestDocument } from '@trialkeep/contract';
import type { CompactKey } from '@trialkeep/crypto';
import { findPerson } from './access/index.ts';
import { moveApproval, keepRequest } from './approvals/index.ts';
import type { Appended, Ledger, SealedDraft } from './audit/index.ts';
import { payloadKey, stale, storageError } from './audit/index.ts';
import type { Hierarchy } from './keys/index.ts';
import type { Tx } from './platform/database.ts';
import { OperationError } from './platform/errors.ts';
import type { FactsCache } from './platform/facts.ts';
import type { Apply, Context, RecordedItem } from './platform/implementation.ts';
import type { Job } from './platform/jobs/index.ts';
import type { Reserve } from './platform/reserve.ts';
import { sign } from './signatures/index.ts';
import { outsideOf, sealEntry, sealItem } from './visit.ts';
import type { ApprovedVisit, Visit } from './visit.ts';

export interface CommitParts {
  readonly facts: FactsCache;
  readonly ledger: Ledger;
  readonly hierarchy: Hierarchy;
  readonly reserve: Reserve;
  readonly notes: { warn(details: object, message: string): void };
}

/** An entry that is in the line for the ledger. */
export interface HandedIn {
  readonly appended: Promise<Appended | typeof stale>;
}

/** The transaction of a change. */
interface Transaction {
  readonly tx: Tx;
  /** The database's. */
  readonly time: number;
  readonly rowKey: KeyObject;
}

/** Entries that are sealed before others get their turn: a few milliseconds of the event loop. */
const itemsPerTurn = 50;

/** The last steps of a visit (design section 4): flush, decide, and what follows a commit. Nothing else writes entries for it. */
export class Commits {
  readonly #parts: CommitParts;

  constructor(parts: CommitParts) {
    this.#parts = parts;
  }

  /** Writes the entry of a use, a read or a refusal; of a use of several things, that of each. One that is refused refuses the whole. */
  async append(visit: Visit, refusal: OperationError | undefined): Promise<Appended | typeof stale> {
    return (await this.handIn(visit, refusal)).appended;
  }

  /** As `append`, once the entry has its place behind those that were handed in before: `appended` settles when it is durable. */
  async handIn(visit: Visit, refusal: OperationError | undefined): Promise<HandedIn> {
    const { caller, validity, items } = visit.context;
    const windows = refusal === undefined ? validity : [];
    const append = (draft: SealedDraft): Promise<Appended | typeof stale> =>
      this.#parts.ledger.appender.append(caller.log.id, caller.facts.epoch, draft, windows);
    if (refusal !== undefined || items.length === 0) {
      return { appended: append(sealEntry(visit, refusal, await this.#payloadKey(visit.context))) };
    }
    const drafts = [...(await this.#sealItems(visit)).values()];
    return { appended: Promise.all(drafts.map(append)).then(together) };
  }

  /**
   * Commits a change with its entry, and with the end of the job that it is the effect of. On a full disk an urgent change gets
   * the space that was reserved for it.
   */
  async change(visit: Visit, apply: Apply<OperationId>, complete?: Job['complete']): Promise<unknown> {
    const { context, operation } = visit;
    const commit = (): Promise<unknown> =>
      this.#commit(visit, undefined, async (transaction) => {
        const outside = outsideOf(context, transaction.time);
        if (outside !== undefined) throw new OperationError(outside);
        const result = await this.#apply(visit, apply, transaction);
        await complete?.(transaction.tx);
        return result;
      });
    const result = await (operation.urgent === true ? withReserve(this.#parts.reserve, commit) : commit());
    if (result !== stale) await this.#settle(context, operation);
    return result;
  }

  /** Ends an approved request that cannot be carried out, with the refusal that says why. */
  async giveUp(visit: ApprovedVisit, refusal: OperationError, complete: Job['complete']): Promise<unknown> {
    const { context, approved } = visit;
    delete context.record.state;
    const result = await this.#commit(visit, refusal, async ({ tx, rowKey }) => {
      await moveApproval(tx, rowKey, approved.row, { state: 'failed', failure: refusal.code });
      await complete(tx);
    });
    if (result !== stale) await this.#settle({ ...context, afterCommit: [] }, visit.operation);
    return result;
  }

  async #commit<T>(
    visit: Visit,
    refusal: OperationError | undefined,
    work: (transaction: Transaction) => Promise<T>,
  ): Promise<T | typeof stale> {
    const { caller } = visit.context;
    const key = await this.#payloadKey(visit.context);
    const rowKey = await this.#parts.hierarchy.rowKey(caller.log.tenant);
    const sealed = refusal === undefined ? await this.#sealItems(visit) : undefined;
    const undo = remember(visit);
    const commit = async (tx: Tx, time: number) => {
      const result = await work({ tx, time, rowKey });
      const [first, ...further] = visit.context.items.flatMap((item) => sealed?.get(item) ?? []);
      return { result, draft: first ?? sealEntry(visit, refusal, key), further };
    };
    try {
      const { appender } = this.#parts.ledger;
      return await appender.change(caller.log.id, caller.facts.epoch, commit, visit.operation);
    } catch (error) {
      undo();
      throw error;
    }
  }

  /** Inside the transaction: what the operation does, or, under dual control, that it is kept until people approve it. */
  async #apply(visit: Visit, apply: Apply<OperationId>, transaction: Transaction): Promise<unknown> {
    const { operation, approved, proof } = visit;
    const { tx, time, rowKey } = transaction;
    await proof?.spend(tx);
    if (operation.approval !== undefined && approved === undefined) return this.#keep(visit, transaction);
    if (approved !== undefined) {
      await moveApproval(tx, rowKey, approved.row, { state: 'executed', failure: null });
    }
    const result = await apply(tx, time);
    if (operation.signature !== undefined) await signVisit(visit, transaction);
    return result;
  }

  async #keep(visit: Visit, { tx, time, rowKey }: Transaction): Promise<undefined> {
    const { operation, context } = visit;
    const { log, actor } = context.caller;
    const keys = { rowKey, payloadKey: this.#parts.ledger.log(log.id).payloadKey };
    const input = context.input as RequestDocument['input'];
    const asked = { log, operation, input, requester: actor, time };
    const { id, hash } = await keepRequest(tx, keys, asked);
    Object.assign(context.record, { approval: id, hash });
    visit.kept = id;
  }

  /**
   * What follows a commit that cannot be taken back: failing here must not look like a change that failed. The anchor follows
   * before the answer, so that a roll-back to before an acknowledged change is noticed.
   */
  async #settle({ afterCommit, caller }: Context<OperationId>, { keepsEpoch }: Operation): Promise<void> {
    if (keepsEpoch !== true) this.#parts.facts.drop(caller.log.id);
    try {
      for (const work of afterCommit) await work();
      await this.#parts.ledger.anchorNow(caller.log.id);
    } catch (error) {
      this.#parts.notes.warn({ error: String(error) }, 'A committed change could not be anchored yet.');
    }
  }

  /** Entries of several things are sealed before the transaction, with pauses: a thousand at once would hold up everybody. */
  async #sealItems(visit: Visit): Promise<ReadonlyMap<RecordedItem, SealedDraft>> {
    const sealed = new Map<RecordedItem, SealedDraft>();
    for (const item of visit.context.items) {
      const key = await this.#payloadKey({ ...visit.context, record: item.record });
      sealed.set(item, sealItem(visit, item, key));
      if (sealed.size % itemsPerTurn === 0) await new Promise(setImmediate);
    }
    return sealed;
  }

  #payloadKey({ caller, record, payloadUnder }: Context<OperationId>): Promise<CompactKey> {
    const subject = payloadUnder === 'subject' ? record.subject : undefined;
    return payloadKey(this.#parts.hierarchy, this.#parts.ledger.log(caller.log.id), subject);
  }
}

/** Runs the commit of something urgent: on a full disk once more, in the space that is reserved for it. */
export async function withReserve<T>(reserve: Reserve, commit: () => Promise<T>): Promise<T> {
  try {
    return await commit();
  } catch (error) {
    const failure = storageError(error);
    const full = failure instanceof OperationError && failure.code === 'server.storage_full';
    if (!full || !reserve.release()) throw error;
    return commit();
  }
}

/** What comes of several entries of one use: one that is refused refuses the whole. */
function together(appended: readonly (Appended | typeof stale)[]): Appended | typeof stale {
  const withheld = appended.find((each) => each === stale || each.denied !== undefined);
  return withheld ?? (appended[0] as Appended);
}

/** What a transaction that rolls back has put on the record did not happen: gives what takes the visit back to now. */
function remember(visit: Visit): () => void {
  const { record, payload, items, afterCommit } = visit.context;
  const before = {
    items: [...items],
    record: { ...record },
    payload: { ...payload },
    works: afterCommit.length,
    kept: visit.kept,
  };
  return () => {
    for (const [live, then] of [
      [record, before.record],
      [payload, before.payload],
    ] as const) {
      for (const name of Object.keys(live)) Reflect.deleteProperty(live, name);
      Object.assign(live, then);
    }
    items.splice(0, items.length, ...before.items);
    afterCommit.length = before.works;
    visit.kept = before.kept;
  };
}

/** Makes the electronic signature under a change, and puts its hash on the entry. */
async function signVisit({ operation, context }: Visit, { tx, time, rowKey }: Transaction): Promise<void> {
  const { caller, record, signature: id } = context;
  const { hash, approval, review } = record;
  const ofReview = review === undefined ? undefined : { review };
  const about = approval === undefined ? ofReview : { approval };
  if (operation.signature === undefined || id === undefined || hash === undefined || about === undefined) {
    throw new Error(`Operation ${operation.id} does not say what is signed.`);
  }
  const person = await findPerson(tx, rowKey, caller.log.id, caller.actor);
  if (person === undefined) throw new OperationError('auth.revoked');
  const { meaning } = operation.signature;
  const signed = { log: caller.log, operation: operation.id, meaning, person, hash, about };
  record.signature = await sign(tx, rowKey, { id, ...signed, time });
}
