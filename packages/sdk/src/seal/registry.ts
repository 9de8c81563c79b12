import { createHash } from 'node:crypto';
import { maxDataKeysPerRequest } from '@trialkeep/contract';
import type { EncryptionContext } from '@trialkeep/crypto';
import type { Caller, CallOptions } from '../client/index.ts';
import { sdkError, TrialkeepError } from '../errors.ts';

/** A wrapped data key, as the server gave it. */
export interface WrappedDataKey {
  /** Id of the server's key that wraps it. */
  readonly key: string;
  readonly ciphertext: Uint8Array;
  readonly context: EncryptionContext;
}

export interface RegistryOptions {
  /** Whose credential made the data keys: its `keys:process` registers them. */
  readonly client: Caller;
  /** Data keys that wait at most; 10,000 by default (about 10 MB). */
  readonly maxWaiting?: number;
  /** How long sealing waits at most for a place in line where there is none, ms; 1,000 by default. */
  readonly maxWaitMs?: number;
  /** How long data keys wait for others before they are sent, ms; 500 by default. */
  readonly intervalMs?: number;
  /** Told of data keys that were not registered, and why. What is sealed under them is none the worse for it. */
  onMissed?(missed: readonly WrappedDataKey[], error: TrialkeepError): void;
}

/** Has data keys registered with the server, which wraps them anew after a rotation of their key. */
export interface DataKeyRegistry {
  readonly client: Caller;
  /** Data keys that wait. */
  readonly waiting: number;
  /** Data keys that were not registered since the registry was opened. */
  readonly missed: number;
  /** Takes a data key into line. Resolves at once while there is room, and after `maxWaitMs` at the latest; it never rejects. */
  add(dataKey: WrappedDataKey): Promise<void>;
  /** The data key as it is wrapped now; undefined where it is not registered. @throws TrialkeepError of `data-keys.current` */
  current(
    dataKey: Pick<WrappedDataKey, 'key' | 'ciphertext'>,
    options?: CallOptions & { readonly reason?: string | undefined },
  ): Promise<Uint8Array | undefined>;
  /** Resolves once everything that waits is registered or missed. @throws TrialkeepError what keeps it from that for now */
  flush(): Promise<void>;
  /** Sends what waits, once more each, and takes nothing any more. */
  close(): Promise<void>;
}

const defaults = { maxWaiting: 10_000, maxWaitMs: 1000, intervalMs: 500 } as const;
const most = { maxWaiting: 1_000_000, maxWaitMs: 600_000, intervalMs: 3_600_000 } as const;
/** The longest pause between two attempts to reach the server, ms. */
const maxPauseMs = 30_000;
/** Length of a request's body, at most; the server takes 4 MiB. */
const maxBodyLength = 3 * 1024 * 1024;

/** @throws TrialkeepError `client.invalid_input` for a bound that is out of range */
export function openRegistry(options: RegistryOptions): DataKeyRegistry {
  for (const name of ['maxWaiting', 'maxWaitMs', 'intervalMs'] as const) {
    const { [name]: value = defaults[name] } = options;
    if (!Number.isInteger(value) || value < 0 || value > most[name]) {
      throw sdkError('client.invalid_input', { field: `/${name}`, detail: `from 0 to ${most[name]}` });
    }
  }
  return new BatchingRegistry(options);
}

class BatchingRegistry implements DataKeyRegistry {
  readonly client: Caller;
  readonly #options: RegistryOptions & Required<Pick<RegistryOptions, keyof typeof defaults>>;
  readonly #line: WrappedDataKey[] = [];
  /** Those who wait for a place in line. */
  readonly #outside = new Set<() => void>();
  #missed = 0;
  #failures = 0;
  /** What kept the last attempt from the server. */
  #obstacle: TrialkeepError | undefined;
  #sending: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  constructor(options: RegistryOptions) {
    this.client = options.client;
    this.#options = { ...defaults, ...options };
  }

  get waiting(): number {
    return this.#line.length;
  }

  get missed(): number {
    return this.#missed;
  }

  async add(dataKey: WrappedDataKey): Promise<void> {
    if (this.#isFull()) await this.#placeInLine();
    if (this.#isClosed || this.#isFull()) {
      this.#miss([dataKey], sdkError('registry.full', { detail: String(this.#options.maxWaiting) }));
      return;
    }
    this.#line.push(dataKey);
    if (this.#line.length >= maxDataKeysPerRequest && this.#failures === 0) this.#send();
    else this.#sendIn(this.#options.intervalMs);
  }

  async current(
    { key, ciphertext }: Pick<WrappedDataKey, 'key' | 'ciphertext'>,
    { reason, ...options }: CallOptions & { readonly reason?: string | undefined } = {},
  ): Promise<Uint8Array | undefined> {
    const references = [createHash('sha256').update(ciphertext).digest('hex')];
    const input = { key, references, ...(reason !== undefined && { reason }) };
    const { dataKeys } = await this.client.call('data-keys.current', input, options);
    const found = dataKeys.find(({ reference }) => reference === references[0]);
    return found && Buffer.from(found.ciphertext, 'base64');
  }

  async flush(): Promise<void> {
    await this.#sending;
    this.#send();
    await this.#sending;
    if (this.#obstacle !== undefined && this.#line.length > 0) throw this.#obstacle;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    await this.#sending;
    this.#failures = 0;
    this.#send();
    await this.#sending;
    const left = this.#line.splice(0);
    if (left.length > 0) this.#miss(left, sdkError('registry.closed'));
    this.#admit();
  }

  #isFull(): boolean {
    return this.#line.length >= this.#options.maxWaiting;
  }

  /** Waits for room, and not longer than is allowed. */
  #placeInLine(): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#outside.delete(done);
        resolve();
      };
      const timer = setTimeout(done, this.#options.maxWaitMs);
      this.#outside.add(done);
    });
  }

  /** Lets in as many as there is room for. */
  #admit(): void {
    let room = this.#options.maxWaiting - this.#line.length;
    for (const done of [...this.#outside]) {
      if (room-- <= 0 && !this.#isClosed) break;
      done();
    }
  }

  #miss(dataKeys: readonly WrappedDataKey[], error: TrialkeepError): void {
    this.#missed += dataKeys.length;
    // What the callback throws is its own, and breaks nothing here.
    queueMicrotask(() => this.#options.onMissed?.(dataKeys, error));
  }

  #pauseMs(): number {
    return Math.min(maxPauseMs, 250 * 2 ** Math.min(this.#failures, 10));
  }

  #sendIn(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#send();
    }, ms);
  }

  /** Sends what waits, batch by batch, unless that is under way. */
  #send(): void {
    this.#sending ??= this.#sendAll().finally(() => {
      this.#sending = undefined;
      if (this.#line.length === 0 || this.#isClosed) return;
      this.#sendIn(this.#failures > 0 ? this.#pauseMs() : this.#options.intervalMs);
    });
  }

  async #sendAll(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    while (this.#line.length > 0) {
      const batch = takeBatch(this.#line);
      const error = await this.#register(batch);
      this.#failures = error === undefined ? 0 : this.#failures + 1;
      if (error === undefined) {
        this.#leave(batch);
        continue;
      }
      this.#obstacle = error;
      if (isPassing(error)) return;
      // Where the server says which data key it is about, the others are sent again without it.
      const named = /^\/dataKeys\/(\d+)/.exec(error.field ?? '')?.[1];
      const refused = named === undefined ? batch : batch.slice(Number(named), Number(named) + 1);
      this.#leave(refused.length === 0 ? batch : refused);
      this.#miss(refused.length === 0 ? batch : refused, error);
      this.#failures = 0;
    }
  }

  #leave(dataKeys: readonly WrappedDataKey[]): void {
    const gone = new Set(dataKeys);
    const left = this.#line.filter((dataKey) => !gone.has(dataKey));
    this.#line.splice(0, this.#line.length, ...left);
    this.#admit();
  }

  async #register(batch: readonly WrappedDataKey[]): Promise<TrialkeepError | undefined> {
    const [first] = batch;
    if (first === undefined) return undefined;
    const dataKeys = batch.map(({ ciphertext, context }) => ({
      ciphertext: Buffer.from(ciphertext).toString('base64'),
      context,
    }));
    try {
      await this.client.call('data-keys.register', { key: first.key, dataKeys });
      return undefined;
    } catch (error) {
      return error instanceof TrialkeepError ? error : sdkError('client.bad_answer', { cause: error });
    }
  }
}

/** As many of one key as one request takes, from the front. */
function takeBatch(line: readonly WrappedDataKey[]): WrappedDataKey[] {
  const batch: WrappedDataKey[] = [];
  let length = 0;
  for (const dataKey of line) {
    if (dataKey.key !== line[0]?.key) continue;
    length += Math.ceil((dataKey.ciphertext.length * 4) / 3) + JSON.stringify(dataKey.context).length + 64;
    if (batch.length > 0 && (length > maxBodyLength || batch.length === maxDataKeysPerRequest)) break;
    batch.push(dataKey);
  }
  return batch;
}

/** The server is away, or busy, sealed or in recovery: the same can succeed later. */
function isPassing({ code, state, status }: TrialkeepError): boolean {
  return (
    code === 'client.unreachable' ||
    code === 'client.timeout' ||
    state !== undefined ||
    (status !== undefined && status >= 500)
  );
}

/** What a wrapping answers that does not open any more, where the data key itself may still be there under a newer one. */
const outlived: ReadonlySet<string> = new Set(['ciphertext.invalid', 'key.recipient_period_over']);

export const isOutlived = (error: unknown): boolean =>
  error instanceof TrialkeepError && outlived.has(error.code);
