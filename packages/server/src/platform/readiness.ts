import type { Database } from './database.ts';
import { OperationError } from './errors.ts';
import type { Reserve } from './reserve.ts';
import { steadyMs } from './clock.ts';

/** Why a server does not answer operations. */
export const unreadyReasons = ['database', 'recovery', 'stopping', 'storage'] as const;
export type UnreadyReason = (typeof unreadyReasons)[number];

/** How long an answer is good for: whoever asks more often gets the same one, and costs no query. */
const freshMs = 1000;
/** How long the database may take to answer. */
const patienceMs = 2000;

export interface ReadinessParts {
  readonly database: Database;
  readonly reserve: Reserve;
  /** Why nothing may be used; empty when the server is ready. */
  readonly recovery: readonly string[];
  readonly notes: { warn(details: object, message: string): void };
}

/**
 * Whether this node can answer operations, for load balancers: asked of the database at most once a second, whoever asks and however
 * often. Strangers may ask: they are told yes or no, and the server's own log and metrics why.
 */
export class Readiness {
  readonly #parts: ReadinessParts;
  #asked: { readonly at_ms: number; readonly reasons: Promise<readonly UnreadyReason[]> } | undefined;
  #told = '';
  #isStopping = false;

  constructor(parts: ReadinessParts) {
    this.#parts = parts;
  }

  /** From now on it is not ready, so that no new requests are sent to a node that ends. */
  stop(): void {
    this.#isStopping = true;
    this.#asked = undefined;
  }

  /** @throws OperationError `server.not_ready` */
  async assert(): Promise<{ ready: true }> {
    if ((await this.reasons()).length > 0) throw new OperationError('server.not_ready');
    return { ready: true };
  }

  /** Why it is not ready; empty where it is. */
  reasons(): Promise<readonly UnreadyReason[]> {
    const now_ms = steadyMs();
    if (this.#asked === undefined || now_ms - this.#asked.at_ms >= freshMs) {
      this.#asked = { at_ms: now_ms, reasons: this.#look() };
    }
    return this.#asked.reasons;
  }

  async #look(): Promise<readonly UnreadyReason[]> {
    const { database, reserve, recovery, notes } = this.#parts;
    const found: Record<UnreadyReason, boolean> = {
      database: !(await answers(database)),
      recovery: recovery.length > 0,
      stopping: this.#isStopping,
      storage: !reserve.held(),
    };
    const reasons = unreadyReasons.filter((reason) => found[reason]);
    const told = reasons.join(' ');
    if (told !== this.#told && told !== '') notes.warn({ reasons }, 'The server is not ready.');
    this.#told = told;
    return reasons;
  }
}

async function answers(database: Database): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => (timer = setTimeout(() => resolve(false), patienceMs)));
  const asked = database
    .read((snapshot) => snapshot.selectFrom('instance').select('id').executeTakeFirst())
    .then((row) => row !== undefined)
    .catch(() => false);
  try {
    return await Promise.race([asked, late]);
  } finally {
    clearTimeout(timer);
  }
}
