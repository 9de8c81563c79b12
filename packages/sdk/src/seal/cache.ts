import { hash } from 'node:crypto';
import { encodeContext } from '@trialkeep/crypto';
import { machineClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { sdkError } from '../errors.ts';
import type { KeyRequestOptions, KeySource, OpeningKey, SealedDataKeys, SealingKey } from './keys.ts';

/** How long, and for how much, a data key is used again. A bound that is left out has its default. */
export interface CacheBounds {
  /**
   * How long a data key is used after it was asked for, ms; 60,000 by default, at most 3,600,000. This is how late the revocation of its
   * key can bite here, and how long work goes on while the server is away.
   */
  readonly maxAgeMs?: number;
  /** Data keys held at a time, for sealing and for opening each; 1,000 by default. The oldest gives way. */
  readonly maxKeys?: number;
  /** Messages sealed under one data key; 1,048,576 by default. */
  readonly maxMessages?: number;
  /** Plaintext bytes sealed under one data key; 64 GiB by default. */
  readonly maxBytes?: number;
}

export interface CachedKeys extends KeySource {
  /** Forgets every data key at once, as on signing out. */
  clear(): void;
}

const defaults = { maxAgeMs: 60_000, maxKeys: 1000, maxMessages: 2 ** 20, maxBytes: 64 * 2 ** 30 } as const;
const most = { maxAgeMs: 3_600_000, maxKeys: 100_000, maxMessages: 2 ** 32, maxBytes: 2 ** 53 - 1 } as const;

/** The pair by which a signed message names its own verification key, so that no two of them share a context. */
const signerName = 'aws-crypto-public-key';

/**
 * Keeps data keys for a bounded time, so that the source is not asked for each message. A data key is used again only for the very
 * context it was made for. Concurrent requests for one data key become one. Once a data key is too old and the source cannot be
 * asked, the request fails: nothing is used beyond its bound.
 *
 * @throws TrialkeepError `client.invalid_input` for a bound that is out of range
 */
export function cachedKeys(
  source: KeySource,
  bounds: CacheBounds = {},
  clock: Clock = machineClock,
): CachedKeys {
  const limits = checkedBounds(bounds);
  const sealing = new AgingMap<SealingEntry>(limits, clock);
  const opening = new AgingMap<Promise<OpeningKey | undefined>>(limits, clock);

  const sealingKey = async (context: KeyContext, options: KeyRequestOptions = {}): Promise<SealingKey> => {
    const { bytes, signal } = options;
    if (bytes !== undefined && !(Number.isSafeInteger(bytes) && bytes >= 0)) {
      throw sdkError('client.invalid_input', { field: '/bytes' });
    }
    // An unknown length may be beyond every bound.
    if (bytes === undefined || bytes > limits.maxBytes || Object.hasOwn(context, signerName)) {
      return source.sealingKey(context, options);
    }
    const id = encodeContext(context).toString('latin1');
    let entry = sealing.get(id);
    if (
      entry === undefined ||
      entry.messages >= limits.maxMessages ||
      entry.bytes + bytes > limits.maxBytes
    ) {
      const key = source.sealingKey(context, { bytes: limits.maxBytes });
      entry = { key, messages: 0, bytes: 0 };
      sealing.set(id, entry, key);
    }
    entry.messages += 1;
    entry.bytes += bytes;
    return unlessAborted(entry.key, signal);
  };

  const openingKey = async (
    message: SealedDataKeys,
    { signal }: KeyRequestOptions = {},
  ): Promise<OpeningKey | undefined> => {
    const id = openingId(message);
    let key = opening.get(id);
    if (key === undefined) {
      key = source.openingKey(message);
      opening.set(id, key, key);
    }
    return unlessAborted(key, signal);
  };

  return {
    sealingKey,
    openingKey,
    clear: () => {
      sealing.clear();
      opening.clear();
    },
  };
}

type KeyContext = Parameters<KeySource['sealingKey']>[0];

interface SealingEntry {
  readonly key: Promise<SealingKey>;
  messages: number;
  bytes: number;
}

/** Names what a data key is found by: the context and all encrypted data keys, each with its length. */
function openingId({ context, encryptedDataKeys }: SealedDataKeys): string {
  const parts: Uint8Array[] = [encodeContext(context)];
  for (const { providerId, providerInfo, ciphertext } of encryptedDataKeys) {
    const name = Buffer.from(providerId, 'utf8');
    const lengths = Buffer.from(`${name.length},${providerInfo.length},${ciphertext.length};`, 'latin1');
    parts.push(lengths, name, providerInfo, ciphertext);
  }
  return hash('sha256', Buffer.concat(parts), 'base64');
}

/** A shared request goes on for the others when one of those who wait gives up. */
async function unlessAborted<T>(shared: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return shared;
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const giveUp = (): void => reject(signal.reason as Error);
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    return await Promise.race([shared, promise]);
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}

interface Aging {
  readonly sinceSteadyMs: number;
  readonly sinceWallMs: number;
}

/** Values that are forgotten when they reach an age, wanted or not, so that no key outlives its bound in memory. */
class AgingMap<Value> {
  readonly #maxAgeMs: number;
  readonly #maxEntries: number;
  readonly #clock: Clock;
  /** In the order of age: the oldest first. */
  readonly #entries = new Map<string, Aging & { readonly value: Value }>();
  #timer: NodeJS.Timeout | undefined;

  constructor({ maxAgeMs, maxKeys }: { maxAgeMs: number; maxKeys: number }, clock: Clock) {
    this.#maxAgeMs = maxAgeMs;
    this.#maxEntries = maxKeys;
    this.#clock = clock;
  }

  get(id: string): Value | undefined {
    const entry = this.#entries.get(id);
    if (entry === undefined) return undefined;
    if (this.#remainingMs(entry) > 0) return entry.value;
    this.#entries.delete(id);
    return undefined;
  }

  /** Keeps a value from now on; a request that fails is not kept. */
  set(id: string, value: Value, request: Promise<unknown>): void {
    this.#entries.delete(id);
    const entry = { value, sinceSteadyMs: this.#clock.steadyMs(), sinceWallMs: this.#clock.wallMs() };
    this.#entries.set(id, entry);
    const forget = (): void => {
      if (this.#entries.get(id) === entry) this.#entries.delete(id);
    };
    request.then((found) => {
      if (found === undefined) forget();
    }, forget);
    if (this.#entries.size > this.#maxEntries) this.#deleteOldest();
    this.#timer ??= setTimeout(() => this.#sweep(), this.#maxAgeMs).unref();
  }

  clear(): void {
    this.#entries.clear();
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Both clocks count: the steady one stands still while the machine sleeps, the other can be set. */
  #remainingMs({ sinceSteadyMs, sinceWallMs }: Aging): number {
    const wallAgeMs = this.#clock.wallMs() - sinceWallMs;
    if (wallAgeMs < -clockStepMs) return 0;
    return this.#maxAgeMs - Math.max(this.#clock.steadyMs() - sinceSteadyMs, wallAgeMs);
  }

  #deleteOldest(): void {
    const [oldest] = this.#entries.keys();
    if (oldest !== undefined) this.#entries.delete(oldest);
  }

  #sweep(): void {
    this.#timer = undefined;
    for (const [id, entry] of this.#entries) {
      const remainingMs = this.#remainingMs(entry);
      if (remainingMs > 0) {
        this.#timer = setTimeout(() => this.#sweep(), Math.max(1, remainingMs)).unref();
        return;
      }
      this.#entries.delete(id);
    }
  }
}

/** How far the wall clock may step back before what is held under it is forgotten. */
const clockStepMs = 1000;

function checkedBounds(bounds: CacheBounds): Required<CacheBounds> {
  const checked = { ...defaults, ...bounds };
  for (const [name, limit] of Object.entries(most)) {
    const value = checked[name as keyof CacheBounds];
    if (!Number.isSafeInteger(value) || value < 1 || value > limit) {
      throw sdkError('client.invalid_input', { field: `/${name}`, detail: `1 to ${limit}` });
    }
  }
  return checked;
}
