import type { Database } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Hierarchy } from './hierarchy.ts';
import { usualSystemTypes } from './protection.ts';
import type { ProtectionPolicy } from './protection.ts';
import * as store from './store.ts';
import type { ResidentVersion } from './token-keys.ts';

/** Keys, and objects, that are looked at in one go. */
const perQuestion = 100;
/** Keys that are named at most where something is amiss with them. */
const maxNamed = 20;
/** How often the HSM is looked through. */
const intervalMs = 10 * 60_000;
const howTo = 'docs/how-to/keys-in-an-hsm.md';

/**
 * Looks, at start and now and then, whether the HSM has what the rows name; the status page says what it has not. What is missing makes
 * its own key unusable, and no other.
 */
export class ObjectWatch {
  readonly #database: Database;
  readonly #hierarchy: Hierarchy;
  readonly #policy: ProtectionPolicy;
  readonly #notes: { warn(details: object, message: string): void };
  #limits: readonly string[] = [];
  #looking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isOver = false;

  constructor(parts: {
    readonly database: Database;
    readonly hierarchy: Hierarchy;
    readonly policy: ProtectionPolicy;
    readonly notes: { warn(details: object, message: string): void };
  }) {
    this.#database = parts.database;
    this.#hierarchy = parts.hierarchy;
    this.#policy = parts.policy;
    this.#notes = parts.notes;
  }

  /** What the status page says of keys that stay in an HSM, and of those that should. */
  async limits(): Promise<readonly string[]> {
    const { systemTypes } = this.#policy;
    const asked = systemTypes.length === 0 ? usualSystemTypes : systemTypes;
    const count = await this.#database.read((tx) => store.countSoftwareKeys(tx, asked));
    if (count === 0) return this.#limits;
    const what = `${count} keys of systems of type ${asked.join(', ')} are software keys`;
    return [`${what}, which an HSM is meant for (${howTo}).`, ...this.#limits];
  }

  /** Begins to look; the first time at once, beside whatever else starts. */
  begin(): void {
    const look = (): void => {
      this.#looking ??= this.look().finally(() => (this.#looking = undefined));
    };
    look();
    this.#timer = setInterval(look, intervalMs);
    this.#timer.unref();
  }

  async end(): Promise<void> {
    this.#isOver = true;
    clearInterval(this.#timer);
    await this.#looking;
  }

  /** Looks once. */
  async look(): Promise<void> {
    const missing = new Set<string>();
    try {
      for await (const versions of this.#versions()) {
        const places = await this.#hierarchy.tokenKeys.findMissing(versions);
        for (const place of places) missing.add(versions[place]?.key ?? '');
      }
      this.#say(missing.size === 0 ? [] : [sentenceOf([...missing])]);
    } catch (error) {
      if (this.#isOver) return;
      const why = error instanceof OperationError ? error.message : 'The database could not be read.';
      this.#say([`Keys that stay in an HSM cannot be looked for at present. ${why}`]);
    }
  }

  #say(limits: readonly string[]): void {
    if (limits[0] !== undefined && limits[0] !== this.#limits[0]) this.#notes.warn({}, limits[0]);
    this.#limits = limits;
  }

  /** The versions of all keys that stay in an HSM, some at a time. */
  async *#versions(): AsyncGenerator<readonly ResidentVersion[], void, undefined> {
    for (let after = ''; !this.#isOver;) {
      const keys = await this.#database.read((tx) => store.residentKeys(tx, after, perQuestion));
      const last = keys.at(-1);
      if (last === undefined) return;
      after = last.id;
      for (const { id: key, tenant } of keys) {
        const rowKey = await this.#hierarchy.rowKey(tenant);
        const rows = await this.#database.read((tx) => store.listVersions(tx, rowKey, key));
        const versions = rows.map(({ id, token }) => ({
          tenant,
          key,
          version: id,
          ...(token !== null && { token }),
        }));
        for (let first = 0; first < versions.length; first += perQuestion)
          yield versions.slice(first, first + perQuestion);
      }
    }
  }
}

function sentenceOf(missing: readonly string[]): string {
  const named = missing.slice(0, maxNamed).join(', ');
  const more = missing.length > maxNamed ? ', …' : '';
  return `The HSM has no longer all that ${missing.length} of the keys consist of: ${named}${more} (${howTo}).`;
}
