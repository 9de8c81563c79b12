import { hash as digest, timingSafeEqual } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import {
  BlindIndex,
  CryptoError,
  decodeFieldKeyRecord,
  encodeContext,
  encodeFieldKeyRecord,
  FieldKey,
  keyReferenceBytes,
} from '@trialkeep/crypto';
import type { EncryptionContext, FieldKeyRecord, IndexedType, IndexForm } from '@trialkeep/crypto';
import { sdkError, TrialkeepError } from '../errors.ts';
import type { KeySource, OpeningKey, SealingKey } from '../seal/keys.ts';
import type { FieldKeyRow, FieldKeyStore } from './key-store.ts';
import { LeastRecent } from './least-recent.ts';

/** An encryption context, encoded once. */
export interface BoundContext {
  readonly context: EncryptionContext;
  /** SHA-256 of the encoding. */
  readonly hash: Buffer;
  /** The same as text. */
  readonly id: string;
}

/** @throws CryptoError `crypto.context_invalid` */
export function bindContext(context: EncryptionContext): BoundContext {
  // A copy: what is bound must not change with the caller's object.
  const bound = Object.freeze({ ...context });
  const hash = digest('sha256', encodeContext(bound), 'buffer');
  return { context: bound, hash, id: hash.toString('latin1') };
}

/** When a data key is renewed, and how many wrapped ones are held. */
export interface KeyRingBounds {
  readonly maxKeyAgeMs: number;
  readonly maxSealsPerKey: number;
  readonly maxRows: number;
}

/** A data key for the span of one synchronous piece of work; the source is asked again for the next. */
export interface OpenedKey {
  readonly fieldKey: FieldKey;
  /** Puts the use on the record, where each must be; awaited before what it gave is released. */
  report(): Promise<void>;
}

/** A version of a blind index, likewise. */
export interface OpenedIndex {
  readonly index: BlindIndex;
  report(): Promise<void>;
}

export interface IndexSettings {
  readonly field: string;
  readonly type: IndexedType;
  readonly form: IndexForm;
  readonly version: number;
}

interface HeldRow extends FieldKeyRow {
  readonly opened: FieldKeyRecord;
  readonly contextId: string;
}

/** What this process seals a context under. */
interface Current {
  readonly row: HeldRow;
  readAtMs: number;
  seals: number;
  /** The data key is not for this process to open: it comes from `sealingKey` each time. */
  sealOnly: boolean;
  /** Anybody could have wrapped it, and this process did not: it may be known to whoever writes the key table. */
  isUnproven: boolean;
}

/** How long this process may not know that another one has renewed a data key, ms. */
const currentForMs = 60_000;
/** As many processes can renew a data key at the same time, each for itself. */
const renewals = 16;

/** Why a data key that exists is not opened, though another can be made: the server is away, or only sealing is permitted. */
const sealOnlyCodes: ReadonlySet<string> = new Set([
  'client.unreachable',
  'client.timeout',
  'server.busy',
  'access.denied',
]);

/**
 * The data keys of fields, by context and by reference. It holds wrapped ones, bounded in number. Opened ones it takes from the source for each
 * piece of work; what it derives from one hangs on the source's own KeyObject and goes with it, so the source's bounds hold here too.
 */
export class KeyRing {
  readonly #keys: KeySource;
  readonly #store: FieldKeyStore;
  readonly #bounds: KeyRingBounds;
  readonly #clock: () => number;
  readonly #rows: LeastRecent<HeldRow>;
  readonly #current: LeastRecent<Current>;
  /** What this process made itself, and so may seal under whoever could have wrapped it. */
  readonly #made: LeastRecent<Current>;
  readonly #indexRows: LeastRecent<HeldRow>;
  readonly #fieldKeys = new WeakMap<KeyObject, FieldKey>();
  readonly #indexes = new WeakMap<KeyObject, Map<string, BlindIndex>>();
  /** Who makes a key of a context, or waits for it to be made. */
  readonly #making = new Map<string, Promise<unknown>>();

  constructor(keys: KeySource, store: FieldKeyStore, bounds: KeyRingBounds, clock: () => number) {
    this.#keys = keys;
    this.#store = store;
    this.#bounds = bounds;
    this.#clock = clock;
    this.#rows = new LeastRecent(bounds.maxRows);
    this.#current = new LeastRecent(bounds.maxRows);
    this.#made = new LeastRecent(bounds.maxRows);
    this.#indexRows = new LeastRecent(bounds.maxRows);
  }

  /**
   * The current data key of a context, made and kept first where there is none.
   *
   * @param seals how many values are about to be sealed under it
   */
  async sealing(context: BoundContext, seals: number, signal?: AbortSignal): Promise<OpenedKey> {
    const known = this.#knownCurrent(context);
    const key = known === undefined ? undefined : await this.#openCurrent(context, known, seals, signal);
    return key ?? this.#oneByOne(context, () => this.#ready(context, seals, signal));
  }

  async #ready(context: BoundContext, seals: number, signal?: AbortSignal): Promise<OpenedKey> {
    for (let attempt = 0; attempt < renewals; attempt += 1) {
      const current = this.#knownCurrent(context) ?? (await this.#readCurrent(context));
      const key =
        current === undefined ? undefined : await this.#openCurrent(context, current, seals, signal);
      const made = key ?? (await this.#openMade(context, current, seals, signal));
      const ready = made ?? (await this.#renew(context, current, seals, signal));
      if (ready !== undefined) return ready;
    }
    throw sdkError('fields.key_conflict');
  }

  /**
   * The data keys of these references, all of one context.
   *
   * @returns by reference, in the form of `referenceId`
   */
  async opening(
    context: BoundContext,
    references: ReadonlyMap<string, Uint8Array>,
    signal?: AbortSignal,
  ): Promise<Map<string, OpenedKey>> {
    const missing = [...references].filter(([id]) => this.#rows.get(id) === undefined);
    const found =
      missing.length === 0 ? [] : await this.#store.find(missing.map(([, reference]) => reference));
    const rows = new Map(found.map((row) => [referenceId(row.keyRef), held(row)]));
    const keys = new Map<string, OpenedKey>();
    for (const id of references.keys()) {
      const row = this.#rows.get(id) ?? rows.get(id);
      if (row === undefined) throw sdkError('fields.key_unknown');
      if (row.contextId !== context.id) throw sdkError('fields.context_mismatch');
      this.#rows.set(id, row);
      const key = await this.#open(row, signal);
      if (key === undefined) throw sdkError('fields.no_key');
      keys.set(id, key);
    }
    return keys;
  }

  /** One version of a blind index, whose key is made where there is none. */
  async index(context: BoundContext, settings: IndexSettings, signal?: AbortSignal): Promise<OpenedIndex> {
    const row =
      this.#indexRows.get(context.id) ??
      (await this.#oneByOne(context, () => this.#readyIndexRow(context, signal)));
    const opening = await this.#dataKeyOf(row, signal);
    if (opening === undefined) throw sdkError('fields.no_key');
    if (opening.sealerAuthenticated !== true) {
      // Whoever put a key of their own into the table could test guesses against every token.
      const detail = `${settings.field}: anybody can wrap keys for ${opening.key}`;
      throw sdkError('fields.index_refused', { detail });
    }
    const index = this.#indexOf(opening.dataKey, settings);
    return { index, report: async () => opening.reportUse?.() };
  }

  async #readyIndexRow(context: BoundContext, signal?: AbortSignal): Promise<HeldRow> {
    let row = this.#indexRows.get(context.id) ?? (await this.#newest(context));
    if (row === undefined) {
      const candidate = this.#newRow(context, 1, await this.#keys.sealingKey(context.context, { signal }));
      // Another process may have been first: its key is the one then.
      row = (await this.#store.insert(candidate)) ? candidate : await this.#newest(context);
    }
    if (row?.generation !== 1) throw sdkError('fields.key_altered');
    this.#indexRows.set(context.id, row);
    return row;
  }

  /** Of those who want a key of one context at once, one makes it and the others find it. */
  async #oneByOne<T>(context: BoundContext, work: () => Promise<T>): Promise<T> {
    const before = this.#making.get(context.id) ?? Promise.resolve();
    const result = before.then(work);
    const ended = result.catch(() => undefined);
    this.#making.set(context.id, ended);
    try {
      return await result;
    } finally {
      if (this.#making.get(context.id) === ended) this.#making.delete(context.id);
    }
  }

  #knownCurrent(context: BoundContext): Current | undefined {
    const known = this.#current.get(context.id);
    const isRecent = known !== undefined && Math.abs(this.#clock() - known.readAtMs) < currentForMs;
    return isRecent ? known : undefined;
  }

  async #readCurrent(context: BoundContext): Promise<Current | undefined> {
    const known = this.#current.get(context.id);
    const row = await this.#newest(context);
    if (row === undefined) return undefined;
    const made = this.#made.get(context.id);
    const same = [known, made].find((each) => each !== undefined && isSameKey(each.row, row));
    const seals = same?.seals ?? 0;
    const current: Current = { row, readAtMs: this.#clock(), seals, sealOnly: false, isUnproven: false };
    this.#current.set(context.id, current);
    if (made !== undefined && same === made) this.#made.set(context.id, current);
    return current;
  }

  async #newest(context: BoundContext): Promise<HeldRow | undefined> {
    const row = await this.#store.newest(context.hash);
    if (row === undefined) return undefined;
    const kept = held(row);
    if (kept.contextId !== context.id) throw sdkError('fields.key_altered');
    return kept;
  }

  /** A clock that was set back must not make a data key eternal. */
  #isFresh({ row, seals: used }: Current, seals: number): boolean {
    const ageMs = Math.abs(this.#clock() - row.createdAtMs);
    return ageMs <= this.#bounds.maxKeyAgeMs && used + seals <= this.#bounds.maxSealsPerKey;
  }

  /** Undefined where another data key has to be made: this one is used up, not for this process to open, or anybody's. */
  async #openCurrent(
    context: BoundContext,
    current: Current,
    seals: number,
    signal?: AbortSignal,
  ): Promise<OpenedKey | undefined> {
    if (current.sealOnly || current.isUnproven || !this.#isFresh(current, seals)) return undefined;
    try {
      const opening = await this.#dataKeyOf(current.row, signal);
      if (opening !== undefined) {
        const made = this.#made.get(context.id);
        const isMadeHere = made !== undefined && isSameKey(made.row, current.row);
        current.isUnproven = opening.sealerAuthenticated !== true && !isMadeHere;
        if (current.isUnproven) return undefined;
        current.seals += seals;
        return this.#opened(opening);
      }
    } catch (error) {
      if (!(error instanceof TrialkeepError && sealOnlyCodes.has(error.code))) throw error;
    }
    current.sealOnly = true;
    return undefined;
  }

  /** The data key that this process made, where the newest is one that anybody could have. */
  async #openMade(
    context: BoundContext,
    current: Current | undefined,
    seals: number,
    signal?: AbortSignal,
  ): Promise<OpenedKey | undefined> {
    const made = this.#made.get(context.id);
    if (current?.isUnproven !== true || made === undefined) return undefined;
    const key = await this.#openCurrent(context, made, seals, signal);
    if (key === undefined) return undefined;
    made.readAtMs = this.#clock();
    this.#current.set(context.id, made);
    return key;
  }

  /** Undefined where another process was first. */
  async #renew(
    context: BoundContext,
    current: Current | undefined,
    seals: number,
    signal?: AbortSignal,
  ): Promise<OpenedKey | undefined> {
    const sealOnly = current?.sealOnly ?? false;
    // Whoever cannot open what was made gets the same again from a source that caches: it does where the bytes are known.
    const bytes = sealOnly ? 0 : undefined;
    const made = await this.#keys.sealingKey(context.context, { signal, bytes });
    const candidate = this.#newRow(context, (current?.row.generation ?? 0) + 1, made);
    const id = referenceId(candidate.keyRef);
    if (this.#rows.get(id)?.contextId === context.id) return this.#opened(made);
    if (await this.#store.insert(candidate)) {
      const renewed = { row: candidate, readAtMs: this.#clock(), seals, sealOnly, isUnproven: false };
      this.#current.set(context.id, renewed);
      this.#made.set(context.id, renewed);
    } else if (!(await this.#isKept(candidate))) {
      this.#current.delete(context.id);
      return undefined;
    }
    this.#rows.set(id, candidate);
    return this.#opened(made);
  }

  /** Whether the store has this data key, as it has one that a cache gave before. */
  async #isKept({ keyRef, contextId }: HeldRow): Promise<boolean> {
    const rows = await this.#store.find([keyRef]);
    return rows.some((row) => held(row).contextId === contextId);
  }

  #newRow({ context, hash, id }: BoundContext, generation: number, made: SealingKey): HeldRow {
    const { encryptedDataKeys } = made;
    const keyRef = this.#fieldKeyOf(made.dataKey).reference;
    const record = encodeFieldKeyRecord({ context, encryptedDataKeys });
    const opened = { context, encryptedDataKeys };
    return {
      keyRef,
      contextHash: hash,
      generation,
      createdAtMs: this.#clock(),
      record,
      opened,
      contextId: id,
    };
  }

  async #open(row: HeldRow, signal?: AbortSignal): Promise<OpenedKey | undefined> {
    const opening = await this.#dataKeyOf(row, signal);
    return opening === undefined ? undefined : this.#opened(opening);
  }

  #opened(key: SealingKey | OpeningKey): OpenedKey {
    return { fieldKey: this.#fieldKeyOf(key.dataKey), report: async () => key.reportUse?.() };
  }

  async #dataKeyOf(row: HeldRow, signal?: AbortSignal): Promise<OpeningKey | undefined> {
    const opening = await this.#keys.openingKey(row.opened, { signal }).catch((error: unknown) => {
      throw isAltered(error) ? sdkError('fields.key_altered', { cause: error }) : error;
    });
    if (opening === undefined) return undefined;
    if (!timingSafeEqual(this.#fieldKeyOf(opening.dataKey).reference, row.keyRef)) {
      throw sdkError('fields.key_altered');
    }
    return opening;
  }

  #fieldKeyOf(dataKey: KeyObject): FieldKey {
    let fieldKey = this.#fieldKeys.get(dataKey);
    if (fieldKey === undefined) {
      fieldKey = new FieldKey(dataKey);
      this.#fieldKeys.set(dataKey, fieldKey);
    }
    return fieldKey;
  }

  #indexOf(dataKey: KeyObject, settings: IndexSettings): BlindIndex {
    const indexes = this.#indexes.get(dataKey) ?? new Map<string, BlindIndex>();
    this.#indexes.set(dataKey, indexes);
    const id = JSON.stringify([settings.version, settings.field, settings.type, settings.form]);
    const index = indexes.get(id) ?? new BlindIndex(dataKey, settings);
    indexes.set(id, index);
    return index;
  }
}

function isSameKey(one: HeldRow, other: HeldRow): boolean {
  return referenceId(one.keyRef) === referenceId(other.keyRef);
}

export function referenceId(reference: Uint8Array): string {
  return Buffer.from(reference.buffer, reference.byteOffset, reference.length).toString('latin1');
}

/** Of a server and of an identity of one's own: what was wrapped for it does not open. */
function isAltered(error: unknown): boolean {
  if (error instanceof CryptoError) return error.code === 'crypto.ciphertext_invalid';
  return error instanceof TrialkeepError && error.code === 'ciphertext.invalid';
}

/** A row as it came from the store: whatever is wrong with it was done to it there. */
function held(row: FieldKeyRow): HeldRow {
  try {
    const opened = decodeFieldKeyRecord(row.record);
    const { hash, id } = bindContext(opened.context);
    const isSound = row.keyRef.length === keyReferenceBytes && timingSafeEqual(hash, row.contextHash);
    if (isSound) return { ...row, opened, contextId: id };
  } catch (cause) {
    throw sdkError('fields.key_altered', { cause });
  }
  throw sdkError('fields.key_altered');
}
