import type { OpenFolder } from './folder.ts';
import type { Threads } from './threads.ts';

/** A job takes so much at most: enough that its way to a thread and back costs little, and little enough to share the work out. */
const most = { items: 64, bytes: 4 * 1024 * 1024, folders: 16 } as const;

type Work<Item, Outcome> = (items: readonly Item[]) => Promise<readonly Outcome[]>;

interface Batch<Item, Outcome> {
  readonly work: Work<Item, Outcome>;
  readonly items: Item[];
  readonly folders: Set<OpenFolder>;
  bytes: number;
  readonly outcomes: Promise<readonly Outcome[]>;
  readonly begin: () => void;
}

/** Gathers files into jobs, and gives each file its outcome. */
export class Batches<Item, Outcome> {
  readonly #threads: Threads;
  #batch: Batch<Item, Outcome> | undefined;
  readonly #running = new Set<Promise<unknown>>();

  constructor(threads: Threads) {
    this.#threads = threads;
  }

  /**
   * Adds a file; waits while the threads have enough to do. Its outcome comes once its batch was dispatched and done.
   *
   * @param work what is done with the items of one batch, which all have the same `work`
   * @param folder stays open until the batch is done
   */
  async add(
    item: Item,
    bytes: number,
    work: Work<Item, Outcome>,
    folder?: OpenFolder,
  ): Promise<{ readonly outcome: Promise<Outcome> }> {
    if (this.#batch !== undefined && this.#batch.work !== work) this.dispatch();
    const batch = (this.#batch ??= newBatch(work));
    const index = batch.items.push(item) - 1;
    batch.bytes += bytes;
    if (folder !== undefined && !batch.folders.has(folder)) {
      folder.hold();
      batch.folders.add(folder);
    }
    const outcome = batch.outcomes.then((outcomes) => outcomes[index] as Outcome);
    // Whoever waits for it sees the failure; until then nobody listens.
    outcome.catch(() => undefined);
    if (batch.items.length >= most.items || batch.bytes >= most.bytes || batch.folders.size >= most.folders) {
      this.dispatch();
      await this.#threads.room();
    }
    return { outcome };
  }

  /** Begins the work on what was gathered. */
  dispatch(): void {
    const batch = this.#batch;
    if (batch === undefined) return;
    this.#batch = undefined;
    batch.begin();
    const ending = batch.outcomes
      .catch(() => undefined)
      .then(async () => {
        for (const folder of batch.folders) await folder.release();
        this.#running.delete(ending);
      });
    this.#running.add(ending);
  }

  /** Resolves when no batch is at work any more. What was gathered and not dispatched is let go of. */
  async settled(): Promise<void> {
    const folders = this.#batch?.folders ?? [];
    this.#batch = undefined;
    for (const folder of folders) await folder.release();
    await Promise.all(this.#running);
  }
}

function newBatch<Item, Outcome>(work: Work<Item, Outcome>): Batch<Item, Outcome> {
  const items: Item[] = [];
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>();
  const outcomes = begun.then(() => work(items));
  outcomes.catch(() => undefined);
  return { work, items, folders: new Set(), bytes: 0, outcomes, begin };
}
