import { createHash } from 'node:crypto';
import { CryptoError, chainUses, noReceipt, receiptContext, signUses } from '@trialkeep/crypto';
import type { AttestedUse, EncryptionContext } from '@trialkeep/crypto';
import type { Caller } from '../client/index.ts';
import { sdkError, TrialkeepError } from '../errors.ts';
import { openFolder } from './folder.ts';
import type { ReporterFolder } from './folder.ts';
import type { UnsignedBatch } from './spool.ts';

/** One use of a data key. */
export interface DataKeyUse {
  readonly use: 'seal' | 'open';
  /** Id of the server's key that wraps the data key (UUID). */
  readonly key: string;
  /** The wrapped data key, as it stands in the message. */
  readonly dataKey: Uint8Array;
  /** Names the study and the subject (docs/formats/use-receipt.md). */
  readonly context: EncryptionContext;
}

/** One use of a data key that an escrow recipient opened, without any server. */
export interface EscrowUse extends Omit<DataKeyUse, 'key'> {
  /** Id of the recipient, 16 to 32 bytes, hexadecimal in lower case. */
  readonly recipient: string;
}

/** Keeps a receipt of every use of a data key, for the server's ledger. */
export interface UseReporter {
  /** Resolves once the receipt is on disk: only then may what the use gives be released. */
  record(use: DataKeyUse): Promise<void>;
  /** Who brings the receipts to the server, where somebody does: only data keys that the same client was given belong to this reporter. */
  readonly client?: Caller | undefined;
}

export interface ReporterOptions {
  /**
   * The reporter's own: its key, and receipts until the server has them. Made where it is not there, mode 0700; one reporter at a time
   * can be open on it. It must survive what the process survives, so it belongs on a local disk.
   */
  readonly folder: string;
  /**
   * Brings the receipts to the server; without it they stay in the folder until they are exported. A reporter belongs to the system of
   * this client's credential: clients of two systems have a reporter, and a folder, each.
   */
  readonly client?: Caller;
  /** Receipts that are kept at most until the server has them; 100,000 by default (about 45 MB). Beyond, uses fail. */
  readonly maxUnsent?: number;
  /** How long receipts wait for others before they are sent, ms; 1,000 by default. */
  readonly intervalMs?: number;
  /** Tells the time of uses, ms since 1970; the machine's clock by default. */
  now?(): number;
}

export interface Reporter extends UseReporter {
  /** The reporter's public key, hexadecimal: its name in the ledger. */
  readonly id: string;
  /** Receipts on disk that are not acknowledged. */
  readonly unsent: number;
  /**
   * Resolves once a receipt of the use is on disk, together with those of other uses that wait at that moment.
   *
   * @throws TrialkeepError `receipts.no_space`, `receipts.not_written`, `receipts.too_many` (the server has been away for too long),
   * `receipts.refused` (a receipt can never be taken; the detail says which), `receipts.closed`; `client.invalid_input` for a use of a server's key without study and subject
   */
  record(use: DataKeyUse | EscrowUse): Promise<void>;
  /** Resolves once the server has acknowledged everything that was recorded before. @throws TrialkeepError what keeps it from that */
  flush(): Promise<void>;
  /** Sends what it can and gives the folder back; what could not be sent stays in it for the next time. */
  close(): Promise<void>;
}

const defaults = { maxUnsent: 100_000, intervalMs: 1000 } as const;
const most = { maxUnsent: 10_000_000, intervalMs: 3_600_000 } as const;
/** Receipts that are not kept waiting for more. */
const enoughToSend = 500;
/** The longest pause between two attempts to reach the server. */
const maxPauseMs = 60_000;

/**
 * Opens the reporter of a folder, and goes on where it ended, however that was.
 *
 * @throws TrialkeepError `receipts.folder_in_use`, `receipts.folder_unusable`, `receipts.damaged`; `client.invalid_input` for a bound that
 * is out of range
 */
export async function openReporter(options: ReporterOptions): Promise<Reporter> {
  const bounds = checkedBounds(options);
  const { client, now = Date.now } = options;
  return new FolderReporter(await openFolder(options.folder, { make: true }), client, { ...bounds, now });
}

type Bounds = Required<Pick<ReporterOptions, 'maxUnsent' | 'intervalMs'>>;
type Settings = Bounds & { now(): number };

interface Waiting {
  readonly use: AttestedUse;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

class FolderReporter implements Reporter {
  readonly #folder: ReporterFolder;
  readonly #client: Caller | undefined;
  readonly #settings: Settings;
  readonly #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #sending: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Attempts in a row that did not succeed. */
  #misses = 0;
  /**
   * Receipts that the server acknowledged to this process. Those that are on disk from before are shown to it again at first, which tells
   * an older copy of a folder.
   */
  #confirmed = 0;
  /** Why receipts can never be taken, and which. */
  #refusal: Refusal | undefined;
  #closing: Promise<void> | undefined;
  /** Set once the folder is being given back: nothing may touch it any more. */
  #isClosed = false;

  constructor(folder: ReporterFolder, client: Caller | undefined, settings: Settings) {
    this.#folder = folder;
    this.#client = client;
    this.#settings = settings;
    if (this.unsent > 0) this.#sendLater();
  }

  get client(): Caller | undefined {
    return this.#client;
  }

  get id(): string {
    return this.#folder.id;
  }

  get unsent(): number {
    return this.#folder.spool.unsent;
  }

  async record(use: DataKeyUse | EscrowUse): Promise<void> {
    if (this.#closing !== undefined) throw sdkError('receipts.closed');
    if (this.#refusal !== undefined) {
      const { error, receipts } = this.#refusal;
      throw sdkError('receipts.refused', { detail: `${receipts}: ${error.code}`, cause: error });
    }
    if (this.unsent + this.#waiting.length >= this.#settings.maxUnsent) {
      throw sdkError('receipts.too_many', { detail: String(this.#settings.maxUnsent) });
    }
    const attested = attestedUse(use, this.id, this.#settings.now());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#waiting.push({ use: attested, resolve, reject });
    this.#writing ??= this.#writeAll();
    await promise;
  }

  async flush(): Promise<void> {
    if (this.#closing !== undefined) throw sdkError('receipts.closed');
    if (this.#client === undefined) throw sdkError('client.invalid_input', { field: '/client' });
    await this.#writing;
    await this.#sendNow(this.#client);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#writing;
    try {
      if (this.#client !== undefined) await this.#sendNow(this.#client);
    } catch {
      // What was not sent is on disk, and is sent by whoever opens the folder next.
    } finally {
      this.#isClosed = true;
      clearTimeout(this.#timer);
      while (this.#sending !== undefined) await this.#sending.catch(() => undefined);
      await this.#folder.close();
    }
  }

  /** Writes what waits, all that came while the disk was busy in one go. */
  async #writeAll(): Promise<void> {
    // Lets the callers of this turn come along.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const { uses, callers } = takeGroup(this.#waiting, this.#folder.spool.room);
      try {
        await this.#folder.spool.append(uses);
        callers.forEach(({ resolve }) => resolve());
      } catch (error) {
        callers.forEach(({ reject }) => reject(error));
      }
    }
    // In the same turn in which nobody was found waiting: who comes next begins anew.
    this.#writing = undefined;
    this.#sendLater();
  }

  #sendLater(): void {
    const client = this.#client;
    if (client === undefined || this.#refusal !== undefined || this.#closing !== undefined) return;
    const isUrgent = this.#misses === 0 && this.unsent >= enoughToSend;
    if (this.#timer !== undefined && !isUrgent) return;
    clearTimeout(this.#timer);
    const pauseMs = Math.min(maxPauseMs, this.#settings.intervalMs * 2 ** Math.min(this.#misses, 20));
    // A process that has nothing else to do may end: the receipts are on disk.
    this.#timer = setTimeout(
      () => void this.#sendNow(client).catch(() => undefined),
      isUrgent ? 0 : pauseMs,
    ).unref();
  }

  /** Sends until everything that was on disk by now is acknowledged; one attempt is under way at a time. */
  async #sendNow(client: Caller): Promise<void> {
    while (this.#sending !== undefined) await this.#sending.catch(() => undefined);
    if (this.#isClosed && this.unsent > 0) throw sdkError('receipts.closed');
    if (this.#isClosed) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending = this.#sendAll(client);
    try {
      await this.#sending;
      this.#misses = 0;
    } catch (error) {
      this.#misses += 1;
      throw error;
    } finally {
      this.#sending = undefined;
      if (this.unsent > 0) this.#sendLater();
    }
  }

  async #sendAll(client: Caller): Promise<void> {
    if (this.#refusal !== undefined) throw this.#refusal.error;
    const { spool } = this.#folder;
    const next = (): Promise<UnsignedBatch | undefined> => spool.next(this.#confirmed);
    for (let batch = await next(); batch !== undefined; batch = await next()) {
      try {
        this.#confirmed = await this.#send(client, batch);
      } catch (error) {
        if (isFinal(error)) this.#refusal = { error, receipts: placeOf(error, batch) };
        throw error;
      }
      // Where this is not kept, the next process counts these receipts until the server has seen them again.
      await spool.release(this.#confirmed).catch(() => undefined);
    }
  }

  /** @returns the last of its sequence numbers */
  async #send(client: Caller, batch: UnsignedBatch): Promise<number> {
    const { spool, key } = this.#folder;
    const { acknowledged } = await client.call('uses.report', {
      ...signUses(key, batch),
      uses: [...batch.uses],
    });
    const last = batch.first + batch.uses.length - 1;
    if (acknowledged < last) throw sdkError('client.bad_answer', { detail: 'fewer receipts than were sent' });
    // Somebody went on from the same key elsewhere.
    if (acknowledged > spool.last) throw sdkError('receipts.outdated');
    return last;
  }
}

interface Refusal {
  readonly error: TrialkeepError;
  /** Their sequence numbers, in words. */
  readonly receipts: string;
}

/**
 * Whether the same receipts will never be taken: what is said of the receipts themselves. What is said of the credential, the
 * connection or the state of the server may be over in a while.
 */
function isFinal(error: unknown): error is TrialkeepError {
  if (!(error instanceof TrialkeepError)) return false;
  const { code } = error;
  return code.startsWith('receipts.') || code.startsWith('request.') || code === 'key.unknown';
}

/** Which receipts of a batch an error is about: the one that it names, or all. */
function placeOf({ field }: TrialkeepError, { first, uses }: UnsignedBatch): string {
  const index = /^\/uses\/(\d{1,4})(?:\/|$)/.exec(field ?? '')?.[1];
  if (index !== undefined) return `receipt ${first + Number(index)}`;
  return uses.length === 1 ? `receipt ${first}` : `receipts ${first} to ${first + uses.length - 1}`;
}

/** @throws TrialkeepError `client.invalid_input` for what no receipt can say: it would stand in the way of all others */
function attestedUse(use: DataKeyUse | EscrowUse, reporter: string, time: number): AttestedUse {
  const context = receiptContext(use.context);
  const missing = (['study', 'subject'] as const).find((name) => context[name] === undefined);
  if ('key' in use && missing !== undefined) {
    throw sdkError('client.invalid_input', { field: `/context/${missing}` });
  }
  const attested: AttestedUse = {
    use: use.use,
    ...('key' in use ? { key: use.key } : { recipient: use.recipient }),
    dataKey: createHash('sha256').update(use.dataKey).digest('hex'),
    ...context,
    count: 1,
    time,
  };
  try {
    chainUses({ reporter, first: 1, previous: noReceipt, uses: [attested] });
  } catch (error) {
    if (!(error instanceof CryptoError)) throw error;
    throw sdkError('client.invalid_input', { detail: error.message, cause: error });
  }
  return attested;
}

/** Those who wait longest, with `room` different uses at most. Equal uses become one, with the time of the last. */
function takeGroup(waiting: Waiting[], room: number): { uses: AttestedUse[]; callers: Waiting[] } {
  const uses = new Map<string, AttestedUse>();
  let count = 0;
  for (const { use } of waiting) {
    const { count: _count, time: _time, ...rest } = use;
    const name = JSON.stringify(rest);
    const known = uses.get(name);
    if (known === undefined && uses.size === room) break;
    uses.set(name, { ...use, count: (known?.count ?? 0) + 1 });
    count += 1;
  }
  return { uses: [...uses.values()], callers: waiting.splice(0, count) };
}

function checkedBounds(options: ReporterOptions): Bounds {
  const checked = {
    maxUnsent: options.maxUnsent ?? defaults.maxUnsent,
    intervalMs: options.intervalMs ?? defaults.intervalMs,
  };
  for (const name of ['maxUnsent', 'intervalMs'] as const) {
    const value = checked[name];
    if (!Number.isSafeInteger(value) || value < 1 || value > most[name]) {
      throw sdkError('client.invalid_input', { field: `/${name}`, detail: `1 to ${most[name]}` });
    }
  }
  return checked;
}
