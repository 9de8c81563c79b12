import { setImmediate } from 'node:timers/promises';
import { fieldKeyReference } from '@trialkeep/crypto';
import type {
  EncryptionContext,
  FieldPlace,
  FieldType,
  FieldValue,
  IndexedType,
  IndexForm,
} from '@trialkeep/crypto';
import { machineClock } from '../clock.ts';
import { sdkError } from '../errors.ts';
import type { KeySource } from '../seal/keys.ts';
import { meaningOf } from './failure.ts';
import { bindContext, KeyRing, referenceId } from './key-ring.ts';
import type { FieldKeyStore } from './key-store.ts';

/** When the data key of a context is renewed, and what is held. A bound that is left out has its default. */
export interface FieldBounds {
  /** Values are sealed under a data key until it is this old, ms; 30 days by default. */
  readonly maxKeyAgeMs?: number;
  /** Values that one process seals under one data key; 2³² by default. */
  readonly maxSealsPerKey?: number;
  /** Wrapped data keys held in memory at a time; 10,000 by default. Opened ones are held by the source, within its own bounds. */
  readonly maxRows?: number;
}

export interface FieldsOptions {
  /**
   * Where data keys come from, such as `cachedKeys(serverKeys(client, { key }))`. It is asked again for each piece of work of at most
   * 1,024 values, so that what it holds opened, and for how long, holds for fields too. Without a cache each piece asks the server.
   */
  readonly keys: KeySource;
  /** Where wrapped data keys are kept: the key table of the database that the fields lie in. */
  readonly store: FieldKeyStore;
  readonly bounds?: FieldBounds;
  /** ms since 1970; the machine's clock by default. */
  readonly clock?: () => number;
}

/** One value with its place. `null` is no value: it stays null, and shows that there is none. */
export interface FieldToSeal<T extends FieldType = FieldType> extends FieldPlace {
  readonly type: T;
  readonly value: FieldValue<T> | null;
  /** The length is hidden within steps of this many bytes, 1 to 4,096; 1 by default, which hides nothing. */
  readonly padTo?: number | undefined;
}

export interface FieldToOpen<T extends FieldType = FieldType> extends FieldPlace {
  readonly type: T;
  readonly sealed: Uint8Array | null;
}

/** A blind index, as a declaration gives it. */
export interface IndexPlace {
  readonly field: string;
  readonly type: IndexedType;
  /** One for all versions, or one for each. */
  readonly form: IndexForm | Readonly<Record<number, IndexForm>>;
  readonly versions: readonly number[];
  /** What the index keys are bound to beside purpose, field and version; nothing of a single row. */
  readonly context: EncryptionContext;
}

interface Calling {
  readonly signal?: AbortSignal | undefined;
}

/**
 * Seals and opens the values of database columns (docs/formats/field.md). Errors of all: TrialkeepError of the key source and
 * `fields.key_altered`, `fields.no_key`, `fields.key_conflict`, `fields.in_transaction`; CryptoError `crypto.context_invalid`. The
 * detail of an error names field and position, never a value.
 */
export interface Fields {
  /** @throws as `sealMany` */
  seal<T extends FieldType>(
    item: FieldToSeal<T> & { readonly context: EncryptionContext },
    options?: Calling,
  ): Promise<Buffer | null>;
  /** @throws as `openMany` */
  open<T extends FieldType>(
    item: FieldToOpen<T> & { readonly context: EncryptionContext },
    options?: Calling,
  ): Promise<FieldValue<T> | null>;
  /**
   * Seals values of one context, in order: all, or none is given.
   * @throws TrialkeepError `fields.value_invalid`
   */
  sealMany(
    context: EncryptionContext,
    items: readonly FieldToSeal[],
    options?: Calling,
  ): Promise<(Buffer | null)[]>;
  /**
   * Opens values of one context, in order: all, or none is given.
   * @throws TrialkeepError `fields.damaged`, `fields.not_sealed`, `fields.type_mismatch`, `fields.key_unknown`, `fields.context_mismatch`
   */
  openMany(
    context: EncryptionContext,
    items: readonly FieldToOpen[],
    options?: Calling,
  ): Promise<(FieldValue | null)[]>;
  /**
   * The tokens of values in a blind index.
   * @returns for each value, its token in each of the versions, in their order
   * @throws TrialkeepError `fields.value_invalid`
   */
  indexTokens(
    place: IndexPlace,
    values: readonly FieldValue<IndexedType>[],
    options?: Calling,
  ): Promise<Buffer[][]>;
  /**
   * Makes the data key of a context, and keeps it, if there is none or it is due: what a transaction on the store's own connection must
   * not do.
   */
  prepare(context: EncryptionContext, options?: Calling): Promise<void>;
}

/** Values between two requests to the source, and between two turns that others on this thread get. */
const pieceValues = 1024;

const defaults = { maxKeyAgeMs: 30 * 86_400_000, maxSealsPerKey: 2 ** 32, maxRows: 10_000 } as const;
const most = { maxKeyAgeMs: 400 * 86_400_000, maxSealsPerKey: 2 ** 40, maxRows: 1_000_000 } as const;

/** @throws TrialkeepError `client.invalid_input` for a bound that is out of range */
export function createFields({
  keys,
  store,
  bounds = {},
  clock = machineClock.wallMs,
}: FieldsOptions): Fields {
  return new RingFields(new KeyRing(keys, store, checkedBounds(bounds), clock));
}

class RingFields implements Fields {
  readonly #ring: KeyRing;

  constructor(ring: KeyRing) {
    this.#ring = ring;
  }

  async seal<T extends FieldType>(
    { context, ...item }: FieldToSeal<T> & { readonly context: EncryptionContext },
    options?: Calling,
  ): Promise<Buffer | null> {
    const [sealed = null] = await this.sealMany(context, [item], options);
    return sealed;
  }

  async open<T extends FieldType>(
    { context, ...item }: FieldToOpen<T> & { readonly context: EncryptionContext },
    options?: Calling,
  ): Promise<FieldValue<T> | null> {
    const [value = null] = await this.openMany(context, [item], options);
    return value as FieldValue<T> | null;
  }

  async sealMany(
    context: EncryptionContext,
    items: readonly FieldToSeal[],
    { signal }: Calling = {},
  ): Promise<(Buffer | null)[]> {
    const bound = bindContext(context);
    const sealed: (Buffer | null)[] = [];
    for await (const piece of pieces(items, signal)) {
      const count = piece.filter(({ value }) => value !== null).length;
      const key = count === 0 ? undefined : await this.#ring.sealing(bound, count, signal);
      for (const item of piece) {
        const { type, value, padTo } = item;
        const isNothing = value === null || key === undefined;
        const seal = () => (isNothing ? null : key.fieldKey.seal(item, type, value, padTo));
        sealed.push(named(item, sealed.length, seal));
      }
      await key?.report();
    }
    return sealed;
  }

  async openMany(
    context: EncryptionContext,
    items: readonly FieldToOpen[],
    { signal }: Calling = {},
  ): Promise<(FieldValue | null)[]> {
    const bound = bindContext(context);
    const values: (FieldValue | null)[] = [];
    for await (const piece of pieces(items, signal)) {
      const references = new Map<string, Uint8Array>();
      const ids = piece.map((item, i) => {
        const { sealed } = item;
        if (sealed === null) return '';
        const reference = named(item, values.length + i, () => fieldKeyReference(sealed));
        const id = referenceId(reference);
        references.set(id, reference);
        return id;
      });
      const keys = await this.#ring.opening(bound, references, signal);
      for (const [i, item] of piece.entries()) {
        const { type, sealed } = item;
        const key = keys.get(ids[i] ?? '');
        const isNothing = sealed === null || key === undefined;
        const open = () => (isNothing ? null : key.fieldKey.open(item, type, sealed));
        values.push(named(item, values.length, open));
      }
      for (const key of keys.values()) await key.report();
    }
    return values;
  }

  async indexTokens(
    { field, type, form, versions, context }: IndexPlace,
    values: readonly FieldValue<IndexedType>[],
    { signal }: Calling = {},
  ): Promise<Buffer[][]> {
    const tokens: Buffer[][] = values.map(() => []);
    for (const version of versions) {
      const bound = bindContext(indexContext(context, field, version));
      const settings = {
        field,
        type,
        version,
        form: typeof form === 'string' ? form : (form[version] ?? 'nfc'),
      };
      for await (const piece of pieces([...values.entries()], signal)) {
        const { index, report } = await this.#ring.index(bound, settings, signal);
        for (const [i, value] of piece) tokens[i]?.push(named({ field }, i, () => index.token(value)));
        await report();
      }
    }
    return tokens;
  }

  async prepare(context: EncryptionContext, { signal }: Calling = {}): Promise<void> {
    await this.#ring.sealing(bindContext(context), 0, signal);
  }
}

/** What the key of an index is bound to. */
export function indexContext(context: EncryptionContext, field: string, version: number): EncryptionContext {
  return { ...context, purpose: 'blind-index', field, 'index-version': version.toString() };
}

async function* pieces<Item>(
  items: readonly Item[],
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly Item[]> {
  for (let start = 0; start < items.length; start += pieceValues) {
    if (start > 0) await setImmediate();
    signal?.throwIfAborted();
    yield items.slice(start, start + pieceValues);
  }
}

/** Runs `work`; its error says which field it was about. */
function named<T>({ field }: { readonly field: string }, position: number, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw meaningOf(error, `${field} at ${position}`);
  }
}

function checkedBounds(bounds: FieldBounds): Required<FieldBounds> {
  const checked = { ...defaults, ...bounds };
  for (const [name, limit] of Object.entries(most)) {
    const value = checked[name as keyof FieldBounds];
    if (!Number.isSafeInteger(value) || value < 1 || value > limit) {
      throw sdkError('client.invalid_input', { field: `/${name}`, detail: `1 to ${limit}` });
    }
  }
  return checked;
}
