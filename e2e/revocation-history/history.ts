/** Rounds of using something, ending it and using it on, on all nodes at once; and what they and the ledger say of promise 2. */
import assert from 'node:assert/strict';
import { setTimeout as pause } from 'node:timers/promises';
import { TrialkeepError } from '@trialkeep/sdk/client';
import type { Client } from '@trialkeep/sdk/client';
import { Choices } from '../crash/random.ts';
import { clientOf } from '../harness.ts';
import { isUse } from '../key-uses.ts';
import type { ServerNode, Site } from '../nodes.ts';
import type { LedgerEntry, Tenant } from '../tenant.ts';

/** How a round ends what is used in it. */
const endings = ['revoke', 'suspend', 'end-credential', 'emergency', 'expire'] as const;
type Ending = (typeof endings)[number];

/** Answers that say nothing: nothing was released, or the node went away; it may be asked again. */
const unknown: ReadonlySet<string> = new Set([
  'client.unreachable',
  'server.busy',
  'server.storage_failed',
  'server.in_recovery',
  // A key that was to expire before a node that stood still came to make it.
  'date.past',
]);
/** What a request is refused with once the thing that it uses has ended. */
const refusals: Readonly<Record<Ending, ReadonlySet<string>>> = {
  revoke: new Set(['key.revoked']),
  suspend: new Set(['key.unusable']),
  'end-credential': new Set(['auth.revoked']),
  emergency: new Set(['auth.revoked', 'key.revoked']),
  expire: new Set(['key.unusable']),
};
/** Users of one key at once, and how often each asks again after the acknowledgement. */
const users = 3;
const attemptsAfter = 2;
const reason = 'A round.';
const plaintext = Buffer.from('a round').toString('base64');
/** How long a key of a round that expires lasts, ms. */
const lifetimeMs = 400;

/** One request, by this process's clock. */
interface Attempt {
  readonly begun: number;
  /** The refusal; undefined where it succeeded. */
  readonly code: string | undefined;
}

/** One round, and what was seen in it. */
export interface Round {
  readonly ending: Ending;
  readonly key: string;
  readonly credential: string;
  /** When the change was acknowledged, by this process's clock. */
  readonly acknowledged: number;
  /** When the key expires, by the database's. */
  readonly expiresAt: number | undefined;
  readonly attempts: readonly Attempt[];
}

/** How much is played: so many rounds, of which those that do not fit into the time are left out, but for the fewest. */
interface Extent {
  readonly seed: number;
  readonly rounds: number;
  readonly fewest: number;
  readonly time_ms: number;
}

/** Plays rounds in several lanes until there are enough of them. */
export class History {
  readonly rounds: Round[] = [];
  readonly #site: Site;
  readonly #tenant: Tenant;
  readonly #choices: Choices;
  readonly #extent: Extent;
  readonly #from_ms = performance.now();
  #begun = 0;

  constructor(site: Site, tenant: Tenant, extent: Extent) {
    this.#site = site;
    this.#tenant = tenant;
    this.#choices = new Choices(extent.seed);
    this.#extent = extent;
  }

  async play(lanes: number): Promise<void> {
    const lane = async (): Promise<void> => {
      while (this.#begun < this.#wanted()) {
        this.#begun += 1;
        this.rounds.push(await this.#round());
      }
    };
    await Promise.all(Array.from({ length: lanes }, lane));
  }

  #wanted(): number {
    const { rounds, fewest, time_ms } = this.#extent;
    return performance.now() - this.#from_ms < time_ms ? rounds : Math.min(rounds, fewest);
  }

  async #round(): Promise<Round> {
    const ending = this.#choices.pick(endings) ?? 'revoke';
    const { key, credential, secret, expiresAt } = await this.#make(ending);
    const attempts: Attempt[] = [];
    let acknowledged = Number.POSITIVE_INFINITY;
    const user = async (): Promise<void> => {
      for (let after = 0; after < attemptsAfter;) {
        const made = await this.#attempt(secret, key);
        if (made === undefined) continue;
        attempts.push(made);
        if (made.begun > acknowledged) after += 1;
      }
    };
    const using = Promise.all(Array.from({ length: users }, user));
    if (expiresAt === undefined) {
      await pause(this.#choices.fraction() * 20);
      await this.#certainly((custodian) => this.#end(custodian, ending, key, credential));
    } else {
      // Nobody does anything; the database's clock is this machine's.
      await pause(Math.max(0, expiresAt - Date.now()) + 1);
    }
    acknowledged = performance.now();
    await using;
    return { ending, key, credential, acknowledged, expiresAt, attempts };
  }

  async #make(ending: Ending) {
    const { system } = this.#tenant;
    // A round that was cut off leaves a key that nobody uses.
    const key = await this.#certainly(async (custodian) => {
      const expiresAt = ending === 'expire' ? Date.now() + lifetimeMs : undefined;
      const made = await custodian.call('keys.create', { system, ...(expiresAt && { expiresAt }) });
      return { id: made.id, expiresAt };
    });
    const service = { name: 'round', role: 'service' as const, system, keys: [key.id] };
    const issued = await this.#certainly((custodian) => custodian.call('credentials.issue', service));
    return {
      key: key.id,
      credential: issued.credential.id,
      secret: issued.secret,
      expiresAt: key.expiresAt,
    };
  }

  async #end(custodian: Client, ending: Ending, key: string, credential: string): Promise<void> {
    const cause = 'breach';
    if (ending === 'revoke') await custodian.call('keys.revoke', { key, cause: 'cessation', reason });
    if (ending === 'end-credential') await custodian.call('credentials.revoke', { credential, reason });
    if (ending === 'emergency') {
      const scope = this.#choices.fraction() < 0.5 ? { key } : { credential };
      await custodian.call('revocations.revoke', { scope, cause, reason });
    }
    if (ending !== 'suspend') return;
    try {
      await custodian.call('keys.suspend', { key, reason });
    } catch (error) {
      // It was suspended by a request whose answer got lost.
      if (!(error instanceof TrialkeepError && error.code === 'key.transition_undefined')) throw error;
    }
  }

  /** Asks nodes until one has answered. */
  async #certainly<T>(ask: (custodian: Client) => Promise<T>): Promise<T> {
    for (;;) {
      const node = this.#node();
      try {
        if (node !== undefined) return await ask(clientOf(node, this.#tenant.credentials.custodian.secret));
      } catch (error) {
        if (!isUnknown(error)) throw error;
      }
      await pause(20);
    }
  }

  /** One use of the key on some node; undefined where the answer says nothing. */
  async #attempt(secret: string, key: string): Promise<Attempt | undefined> {
    const node = this.#node();
    if (node === undefined) {
      await pause(20);
      return undefined;
    }
    const begun = performance.now();
    try {
      await clientOf(node, secret).call('keys.encrypt', { key, plaintext });
      return { begun, code: undefined };
    } catch (error) {
      if (!(error instanceof TrialkeepError)) throw error;
      if (!isUnknown(error)) return { begun, code: error.code };
      await pause(20);
      return undefined;
    }
  }

  #node(): ServerNode | undefined {
    return this.#choices.pick(this.#site.nodes.filter(({ isUp }) => isUp));
  }
}

function isUnknown(error: unknown): boolean {
  return error instanceof TrialkeepError && unknown.has(error.code);
}

/** No request that was begun after the acknowledgement has succeeded, on whichever node. */
export function checkAnswers(rounds: readonly Round[]): { before: number; after: number } {
  const counts = { before: 0, after: 0 };
  for (const { ending, key, acknowledged, attempts } of rounds) {
    for (const { begun, code } of attempts) {
      if (begun > acknowledged) {
        counts.after += 1;
        assert.ok(code !== undefined, `${ending} of ${key}: a later request succeeded`);
        assert.ok(refusals[ending].has(code), `${ending} of ${key}: a later request got ${code}`);
      } else if (code === undefined) counts.before += 1;
      else assert.ok(refusals[ending].has(code), `${ending} of ${key}: an earlier request got ${code}`);
    }
  }
  return counts;
}

/** The entries of the changes, as far as they are about one of the rounds. */
const changes: ReadonlySet<string> = new Set([
  'keys.revoke',
  'keys.suspend',
  'credentials.revoke',
  'revocations.revoke',
]);

/** An entry that may name a credential. */
type Named = LedgerEntry & { readonly credential?: string };

/** In the ledger no success under what was ended stands behind the entry of its end. */
export function checkOrder(rounds: readonly Round[], entries: readonly LedgerEntry[]): void {
  const ended = new Set<string>();
  const expiring = new Map(rounds.map(({ key, expiresAt }) => [key, expiresAt]));
  for (const {
    operation,
    outcome,
    state,
    key,
    credential,
    actor,
    time,
    entry,
  } of entries as readonly Named[]) {
    if (outcome !== 'success') continue;
    if (isUse(operation)) {
      assert.ok(!ended.has(key ?? '') && !ended.has(actor ?? ''), `entry ${entry} succeeds behind the end`);
      const expiresAt = expiring.get(key ?? '');
      assert.ok(expiresAt === undefined || time < expiresAt, `entry ${entry} succeeds after the expiry`);
    } else if (changes.has(operation) && state !== undefined) {
      ended.add(credential ?? key ?? assert.fail(entry));
    }
  }
  for (const { ending, key, credential, expiresAt } of rounds) {
    const isRecorded = ended.has(key) || ended.has(credential);
    assert.ok(isRecorded || expiresAt !== undefined, `${ending} of ${key} has no entry`);
  }
}
