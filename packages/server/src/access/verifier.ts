import { verifyTotp } from '@trialkeep/crypto';
import type { ErrorCode } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Facts } from '../platform/facts.ts';
import type { Log, Proof } from '../platform/implementation.ts';
import { countFailure, forgetFailures } from './attempts-store.ts';
import type { Asker } from '../platform/limiter.ts';
import type { Passwords } from './passwords.ts';
import * as store from './people-store.ts';
import type { AuthenticatorRow, PersonRow } from './people-store.ts';

/** What a person gives each time: the two components that 21 CFR 11.200(a)(1) asks of a signature too. */
export interface Components {
  readonly password: string;
  /** Of their generator of one-time codes. */
  readonly code: string;
}

/** Whoever the components are said to be of, with the authenticators that are in force. */
export interface Claimed {
  readonly person: PersonRow;
  readonly password: AuthenticatorRow | undefined;
  readonly totp: AuthenticatorRow | undefined;
}

/** Checks what people give to prove who they are (the verifier of NIST SP 800-63B-4), and counts what fails. */
export class Verifier {
  readonly #database: Database;
  readonly #hierarchy: Hierarchy;
  readonly #clock: Clock;
  readonly #passwords: Passwords;

  constructor(parts: { database: Database; hierarchy: Hierarchy; clock: Clock; passwords: Passwords }) {
    this.#database = parts.database;
    this.#hierarchy = parts.hierarchy;
    this.#clock = parts.clock;
    this.#passwords = parts.passwords;
  }

  /** The person with their authenticators, read anew under the epoch of the facts: failures and taken codes have none. */
  async claimed(
    facts: Facts,
    log: Log,
    named: { readonly id: string } | { readonly login: string },
  ): Promise<Claimed | undefined> {
    const rowKey = await this.#hierarchy.rowKey(log.tenant);
    return facts.read(async (snapshot) => {
      const person =
        'id' in named
          ? await store.findPerson(snapshot, rowKey, log.id, named.id)
          : await store.findPersonByLogin(snapshot, rowKey, log.id, named.login);
      if (person === undefined) return undefined;
      const authenticator = (id: string | null) => store.findAuthenticator(snapshot, rowKey, person.id, id);
      return {
        person,
        password: await authenticator(person.password),
        totp: await authenticator(person.totp),
      };
    });
  }

  /** The work of a verification that can have no other outcome, because there is nobody to verify. */
  async pretend({ password }: Components): Promise<void> {
    await this.#passwords.verify('stranger', password, undefined);
  }

  /**
   * The proof that both components are the person's, or why there is none. Both are always checked, and one answer says that
   * any of them is wrong, missing or used.
   */
  async verify(
    log: Log,
    { person, password, totp }: Claimed,
    given: Components,
    now: number,
    asker: Asker,
  ): Promise<Proof | Extract<ErrorCode, 'auth.failed' | 'auth.locked'>> {
    if (person.locked_until > now) return 'auth.locked';
    const hash = password && Buffer.from(password.secret).toString('utf8');
    const isPassword = await this.#passwords.verify(asker, given.password, hash);
    const step = totp && (await this.#stepOf(log, totp, given.code, now));
    if (person.state === 'active' && isPassword && totp !== undefined && step !== undefined) {
      const rowKey = await this.#hierarchy.rowKey(log.tenant);
      return { spend: (tx) => this.#spend(tx, rowKey, totp, step) };
    }
    const isCounted = await this.#database.single((tx) => countFailure(tx, this.#clock, person.id));
    return isCounted ? 'auth.failed' : 'auth.locked';
  }

  async #stepOf(log: Log, totp: AuthenticatorRow, code: string, now: number): Promise<number | undefined> {
    const { id, person, secret: wrapped, used_step: lastStep } = totp;
    const secret = await this.#hierarchy.unwrapAuthenticator(log.tenant, person, id, wrapped);
    return verifyTotp({ secret, code, timeMs: now, lastStep });
  }

  /** A code is good for one transaction (RFC 6238 section 5.2), whichever node has it. */
  async #spend(
    tx: Tx,
    rowKey: Parameters<typeof store.takeStep>[1],
    totp: AuthenticatorRow,
    step: number,
  ): Promise<void> {
    if (!(await store.takeStep(tx, rowKey, totp, step))) throw new OperationError('auth.failed');
    if (!(await forgetFailures(tx, this.#clock, totp.person))) throw new OperationError('auth.locked');
  }
}
