import type { KeyState } from './key-schemas.ts';
import { operations } from './operations.ts';
import type { Operation } from './operation.ts';

/** What changes of a key tell in the payloads of their entries (docs/formats/ledger-entry.md); times in ms since 1970. */
export interface KeyFacts {
  readonly description: string;
  readonly algorithm: string;
  readonly purpose: string;
  readonly activatesAt: number | null;
  readonly expiresAt: number | null;
  readonly rotationPeriodDays: number;
  readonly rotationDueAt: number;
  readonly recipientPeriodDays: number | null;
  readonly destructionDueAt: number | null;
  /** Absent of keys that are in no HSM. */
  readonly protection?: 'hsm';
  /** Absent of keys that may not leave. */
  readonly exportable?: true;
}

/** The members of an entry that say what became of a key, or that it was used. */
export interface KeyEntry {
  readonly operation: string;
  readonly outcome: string;
  readonly time: number;
  readonly key?: string;
  readonly system?: string;
  readonly state?: string;
  readonly version?: number;
  readonly reason?: string;
  readonly useLogged?: boolean;
}

/** A key at a time, as the ledger tells of it. */
export interface KeyAsOf {
  readonly id: string;
  readonly system: string;
  readonly description: string | null;
  readonly algorithm: string | null;
  readonly purpose: string | null;
  readonly state: KeyState;
  readonly version: number;
  readonly createdAt: number;
  readonly activatesAt: number | null;
  readonly expiresAt: number | null;
  readonly rotationPeriodDays: number | null;
  readonly rotationDueAt: number | null;
  readonly recipientPeriodDays: number | null;
  readonly destructionDueAt: number | null;
  readonly useLogged: boolean;
  readonly origin: 'generated' | 'imported';
  readonly exportable: boolean | null;
  readonly protection: 'software' | 'hsm' | null;
  readonly revocation: { readonly cause: string; readonly at: number } | null;
  readonly overdue: boolean;
  readonly lastUse: { readonly at: number; readonly index: number } | null;
  readonly told: boolean;
}

const dayMs = 86_400_000;
/** What a key has whose making named nothing else, from before entries told it. */
const defaults = { algorithm: 'AES_256', purpose: 'encrypt', rotationPeriodDays: 90 } as const;

const ofKeys = Object.values<Operation>(operations).filter(({ id }) => id.startsWith('keys.'));
/** What the server does to keys by itself, and to many keys at once, each with an entry of its own. */
const changesBeside = ['keys.destroy', 'revocations.revoke'] as const;
/** The operations whose successes say what became of a key. */
export const keyChanges: readonly string[] = [
  ...new Set([...ofKeys.filter(({ effect }) => effect === 'change').map(({ id }) => id), ...changesBeside]),
];
/** The operations whose successes make a key. */
export const makings: readonly string[] = ['keys.create', 'keys.import'];
/** The operations whose successes are uses of a key that the server has seen. */
export const keyUses: readonly string[] = ofKeys.filter(({ effect }) => effect === 'use').map(({ id }) => id);
const changes = new Set(keyChanges);
const uses = new Set(keyUses);
const revocations: ReadonlySet<string> = new Set(['keys.revoke', 'revocations.revoke']);

/** Whether the entry says what became of a key: what {@link KeyHistory} goes by. */
export function isKeyChange({ operation, outcome, key, state }: KeyEntry): boolean {
  return changes.has(operation) && outcome === 'success' && key !== undefined && state !== undefined;
}

/** Whether the entry is a successful use of a key. */
export function isKeyUse({ operation, outcome, key }: KeyEntry): boolean {
  return uses.has(operation) && outcome === 'success' && key !== undefined;
}

/**
 * What the ledger tells of one key, entry by entry in the order of the log. The same for the server, which finds the entries by its
 * index, and for whoever scans an export.
 */
export class KeyHistory {
  readonly #id: string;
  #made: KeyEntry | undefined;
  #newest: KeyEntry | undefined;
  #revoked: KeyEntry | undefined;
  #facts: KeyFacts | undefined;
  #lastUse: KeyAsOf['lastUse'] = null;

  constructor(id: string) {
    this.#id = id;
  }

  /**
   * Takes an entry for which {@link isKeyChange} holds.
   *
   * @param payload its payload, parsed; undefined where it cannot be read
   */
  change(entry: KeyEntry, payload: unknown): void {
    if (makings.includes(entry.operation)) this.#made ??= entry;
    if (revocations.has(entry.operation)) this.#revoked ??= entry;
    this.#newest = entry;
    this.#facts = factsOf(entry, payload, this.#facts);
  }

  /** Takes a use, which is newer than those before. */
  use(at: number, index: number): void {
    this.#lastUse = { at, index };
  }

  /** The key at a time that no entry that was taken is behind; undefined where its making was not among them. */
  at(time: number): KeyAsOf | undefined {
    const [made, newest, facts] = [this.#made, this.#newest, this.#facts];
    if (made?.system === undefined || newest === undefined) return undefined;
    const state = stateAt(newest.state as KeyState, facts, time);
    return {
      id: this.#id,
      system: made.system,
      description: facts?.description ?? null,
      algorithm: facts?.algorithm ?? null,
      purpose: facts?.purpose ?? null,
      state,
      version: newest.version ?? 1,
      createdAt: made.time,
      activatesAt: facts?.activatesAt ?? null,
      expiresAt: facts?.expiresAt ?? null,
      rotationPeriodDays: facts?.rotationPeriodDays ?? null,
      rotationDueAt: facts?.rotationDueAt ?? null,
      recipientPeriodDays: facts?.recipientPeriodDays ?? null,
      destructionDueAt: facts?.destructionDueAt ?? null,
      useLogged: made.useLogged === true,
      origin: made.operation === 'keys.import' ? 'imported' : 'generated',
      exportable: facts === undefined ? null : facts.exportable === true,
      protection: facts === undefined ? null : (facts.protection ?? 'software'),
      revocation:
        this.#revoked === undefined
          ? null
          : { cause: this.#revoked.reason ?? 'unknown', at: this.#revoked.time },
      overdue: facts !== undefined && isOverdue(state, facts.rotationDueAt, time),
      lastUse: this.#lastUse,
      told: facts !== undefined,
    };
  }
}

/** Whether the rotation of a key in that state was due before the time. */
export function isOverdue(state: KeyState, rotationDueAt: number, time: number): boolean {
  return state === 'active' && rotationDueAt < time;
}

/** A key activates and expires by its dates, without an entry; the entries before say which of the two states it had then. */
function stateAt(recorded: KeyState, facts: KeyFacts | undefined, time: number): KeyState {
  if (facts === undefined || (recorded !== 'active' && recorded !== 'pre-activation')) return recorded;
  const { activatesAt, expiresAt } = facts;
  if (activatesAt !== null && time < activatesAt) return 'pre-activation';
  if (expiresAt !== null && time >= expiresAt) return 'deactivated';
  return 'active';
}

/** What is known of the key behind an entry: what its payload says, or, in entries from before they said it, what follows. */
function factsOf(entry: KeyEntry, payload: unknown, before: KeyFacts | undefined): KeyFacts | undefined {
  const said = payload as { inventory?: KeyFacts; input?: Partial<KeyFacts> } | null | undefined;
  if (said?.inventory !== undefined) return said.inventory;
  if (entry.operation === 'keys.create') return said?.input && factsOfInput(said.input, entry.time);
  if (entry.operation !== 'keys.rotate' || before === undefined) return before;
  return { ...before, rotationDueAt: entry.time + before.rotationPeriodDays * dayMs };
}

function factsOfInput(input: Partial<KeyFacts>, time: number): KeyFacts {
  const rotationPeriodDays = input.rotationPeriodDays ?? defaults.rotationPeriodDays;
  return {
    description: input.description ?? '',
    algorithm: input.algorithm ?? defaults.algorithm,
    purpose: input.purpose ?? defaults.purpose,
    activatesAt: input.activatesAt ?? null,
    expiresAt: input.expiresAt ?? null,
    rotationPeriodDays,
    rotationDueAt: time + rotationPeriodDays * dayMs,
    recipientPeriodDays: input.recipientPeriodDays ?? null,
    destructionDueAt: null,
  };
}
