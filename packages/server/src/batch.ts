import type { ItemOutcome, Operation, OperationId } from '@trialkeep/contract';
import { operations } from '@trialkeep/contract';
import type { Appended } from './audit/index.ts';
import { stale } from './audit/index.ts';
import { OperationError } from './platform/errors.ts';
import { newVisit } from './visit.ts';
import type { Request, Visit } from './visit.ts';

/** What came of acting on an item, before that is recorded. */
export type Acted =
  { readonly result: unknown; readonly refusal?: undefined } | { readonly refusal: OperationError };

interface BatchInput {
  readonly key: string;
  readonly items: readonly object[];
}

/** One item of a batch on its way; `index` is its place. */
export interface ItemVisit {
  readonly index: number;
  readonly visit: Visit;
}

/**
 * A request for many uses of one key. Each item is a visit of its own, with its own entry; an item that is recorded is done, and
 * never acted on again.
 */
export class Batch {
  readonly #single: Operation;
  readonly #request: Request;
  readonly #outcomes = new Map<number, ItemOutcome<unknown>>();
  /** What an item does once, however often it is authorised again. */
  readonly #done = new Map<number, Promise<unknown>>();
  #recorded = 0;
  #inFlight = 0;
  /** Why the first of those that could not be recorded could not be. */
  #failure: OperationError | undefined;
  /** Whether facts were found to have moved on since the items were handed out. */
  #isStale = false;

  constructor(operation: Operation, request: Request) {
    this.#single = operations[operation.batchOf as OperationId];
    this.#request = request;
  }

  /** Whether items have entries, or may get them: then each that is left has one too, whatever becomes of it. */
  get hasBegun(): boolean {
    return this.#recorded + this.#inFlight > 0;
  }

  get isStale(): boolean {
    return this.#isStale;
  }

  /** How many items have their entry. */
  get recorded(): number {
    return this.#recorded;
  }

  /** The items that have no outcome yet, in their order, each authorised as the batch is. The input has been checked. */
  *visits(whole: Visit): Generator<ItemVisit> {
    this.#isStale = false;
    const { caller, validity, now } = whole.context;
    const { key, items } = this.#request.input as BatchInput;
    for (const [index, item] of items.entries()) {
      if (this.#outcomes.has(index)) continue;
      const operation = this.#single.id as OperationId;
      const request = { ...this.#request, operation, input: { key, ...item } };
      const once = <T>(work: () => Promise<T>): Promise<T> => this.#once(index, work);
      const authenticated = { caller, validity, proof: undefined };
      const visit = newVisit(this.#single, request, authenticated, now, { once, item: index });
      visit.inputChecked = true;
      yield { index, visit };
    }
  }

  /** Takes the outcome of an item once its entry is durable; where facts have moved on it is left for the next time. */
  async record(item: ItemVisit, acted: Acted, appending: Promise<Appended | typeof stale>): Promise<void> {
    const { index } = item;
    this.#inFlight += 1;
    try {
      const appended = await appending;
      if (appended === stale) {
        this.#isStale = true;
        return;
      }
      this.#recorded += 1;
      if (appended.denied !== undefined) this.#refuse(index, new OperationError(appended.denied));
      else if (acted.refusal !== undefined) this.#refuse(index, acted.refusal);
      else this.#outcomes.set(index, { result: acted.result });
    } catch (error) {
      // What cannot be recorded is not released; the others may have been.
      if (!(error instanceof OperationError)) throw error;
      this.fail(item, error);
    } finally {
      this.#inFlight -= 1;
    }
  }

  /** The outcome of an item that there was nowhere to record. */
  fail({ index }: ItemVisit, error: OperationError): void {
    this.#failure ??= error;
    this.#refuse(index, error);
  }

  /**
   * What became of the items, in their order; `stale` where some have to be authorised again.
   *
   * @throws OperationError where none could be recorded
   */
  answer(): { items: ItemOutcome<unknown>[] } | typeof stale {
    const { items } = this.#request.input as BatchInput;
    if (this.#outcomes.size < items.length) return stale;
    if (this.#recorded === 0 && this.#failure !== undefined) throw this.#failure;
    return { items: items.map((_, index) => this.#outcomes.get(index) as ItemOutcome<unknown>) };
  }

  /** The answer where the items that are left cannot be authorised in time. */
  giveUp(): unknown {
    const { items } = this.#request.input as BatchInput;
    const busy = new OperationError('server.busy');
    if (this.#recorded === 0) throw busy;
    items.forEach((_, index) => this.#outcomes.has(index) || this.#refuse(index, busy));
    return this.answer();
  }

  #refuse(index: number, { code, message, field }: OperationError): void {
    const at = field === undefined || field === '/key' ? field : `/items/${index}${field}`;
    this.#outcomes.set(index, { error: { code, message, ...(at !== undefined && { field: at }) } });
  }

  #once<T>(index: number, work: () => Promise<T>): Promise<T> {
    const known = this.#done.get(index) as Promise<T> | undefined;
    if (known !== undefined) return known;
    const begun = work();
    this.#done.set(index, begun);
    return begun;
  }
}
