import { hashSecret, secretKind } from '@trialkeep/crypto';
import type { ErrorCode } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import type { Clock } from '../platform/clock.ts';
import type { Database, Tx } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Facts, FactsCache } from '../platform/facts.ts';
import type { Caller, Log, Proof, Validity } from '../platform/implementation.ts';
import { Limiter } from '../platform/limiter.ts';
import { LruMap } from '../platform/lru.ts';
import type { Authorization, SignedRequest } from '../platform/signed-request.ts';
import { credentialOfAccessKey, isSignedWith, maxSignatureSkewMs, openSigningSecret } from './access-keys.ts';
import * as credentials from './credential-store.ts';
import type { NamedCredential } from './credential-store.ts';
import type { Passwords } from './passwords.ts';
import * as people from './people-store.ts';
import { findLog, findPlace, findSigningPlace } from './places-store.ts';
import type { Place } from './places-store.ts';
import { findSession } from './session-store.ts';
import { Verifier } from './verifier.ts';
import type { Components } from './verifier.ts';

/** Somebody who is known here; `refusal` says why they may do nothing at all. */
export interface Authenticated {
  readonly caller: Caller;
  readonly refusal: ErrorCode | undefined;
  readonly validity: readonly Validity[];
  /** Where the person gave proofs: a change spends them in its transaction. */
  readonly proof: Proof | undefined;
}

/** RFC 9110 section 11.1: the scheme's name in any case. */
const bearer = /^bearer ([\x21-\x7e]{1,200})$/i;
const maxKnownSecrets = 10_000;
/** Secrets that are looked up at a time: strangers must not take the database's connections from those who are known. */
const maxLookUps = 4;
const maxWaitingLookUps = 2000;
/** One factor, and two independent ones (NIST SP 800-63B-4 section 2). */
const levels = { one: 1, two: 2 } as const;

/** Finds out who asks. */
export class Authenticator {
  readonly #database: Database;
  readonly #hierarchy: Hierarchy;
  readonly #facts: FactsCache;
  readonly #logOf: (id: number) => Promise<Log>;
  readonly #verifier: Verifier;
  /** Where each secret belongs; that never changes, so it needs no epoch. */
  readonly #lookUps = new Limiter(maxLookUps, maxWaitingLookUps);
  readonly #places = new LruMap<string, Place>(maxKnownSecrets);

  constructor(parts: {
    readonly database: Database;
    readonly hierarchy: Hierarchy;
    readonly facts: FactsCache;
    readonly logOf: (id: number) => Promise<Log>;
    readonly clock: Clock;
    /** The slow work on passwords, shared with the enrolments of this process. */
    readonly passwords: Passwords;
  }) {
    this.#database = parts.database;
    this.#hierarchy = parts.hierarchy;
    this.#facts = parts.facts;
    this.#logOf = parts.logOf;
    this.#verifier = new Verifier(parts);
  }

  /**
   * The caller behind an Authorization header, or who signed, under one epoch; undefined where nobody here has such a secret. The
   * look-up is by the hash of 256 random bits, so its time tells nothing about any secret.
   */
  async authenticate(authorization: Authorization, now: number): Promise<Authenticated | undefined> {
    if (typeof authorization === 'object') return this.#bySignature(authorization, now);
    const place = await this.#place(authorization);
    if (place === undefined) return undefined;
    const log = await this.#logOf(place.log);
    const facts = await this.#facts.of(place.log);
    switch (place.kind) {
      case 'credential':
        return this.#byCredential(facts, log, place.id, now);
      case 'session':
        return this.#bySession(facts, log, place.id, now);
      case 'invitation':
        return this.#byInvitation(facts, log, place.id, now);
    }
  }

  /**
   * The person who signs in with that name and these components, with the proof of it, or with why there is none: then the
   * attempt has been counted. Undefined where nobody has that name, after the same work. Called once for each attempt.
   *
   * @param input.tenant where the person belongs; without one they are the instance's
   * @throws OperationError `server.busy` where too many are signing in
   */
  async signIn(
    input: Components & { readonly tenant?: string; readonly login: string },
    now: number,
  ): Promise<Authenticated | undefined> {
    const id = await this.#database.read((snapshot) => findLog(snapshot, input.tenant ?? null));
    const log = id === undefined ? undefined : await this.#logOf(id);
    const facts = log && (await this.#facts.of(log.id));
    const claimed = log && facts && (await this.#verifier.claimed(facts, log, { login: input.login }));
    if (log === undefined || facts === undefined || claimed === undefined) {
      await this.#verifier.pretend(input);
      return undefined;
    }
    const outcome = await this.#verifier.verify(log, claimed, input, now, 'stranger');
    const { id: actor } = claimed.person;
    const means = { type: 'sign-in', id: actor, level: levels.two } as const;
    // Roles come with the session: to sign in takes none.
    const caller: Caller = { actor, means, roles: [], system: null, log, facts };
    return typeof outcome === 'string'
      ? { caller, refusal: outcome, validity: [], proof: undefined }
      : { caller, refusal: undefined, validity: [], proof: outcome };
  }

  /**
   * The proof that the person who is signed in gives these components now, as an electronic signature asks for
   * (21 CFR 11.200(a)(1)). Called once for each attempt.
   *
   * @throws OperationError `auth.failed`, once it is counted, `auth.locked`, `server.busy`
   */
  async prove({ actor, facts, log }: Caller, components: Components, now: number): Promise<Proof> {
    const claimed = await this.#verifier.claimed(facts, log, { id: actor });
    if (claimed === undefined) throw new OperationError('auth.failed');
    const outcome = await this.#verifier.verify(log, claimed, components, now, 'known');
    if (typeof outcome === 'string') throw new OperationError(outcome);
    return outcome;
  }

  /** The tenant of an access key, whoever asks: that never changes. Undefined where no tenant has it. */
  async tenantOfAccessKey(accessKey: string): Promise<string | undefined> {
    const place = await this.#signingPlace(accessKey);
    return place && ((await this.#logOf(place.log)).tenant ?? undefined);
  }

  /** A credential of the log, as the facts have it. */
  async credential(facts: Facts, log: Log, id: string): Promise<NamedCredential | undefined> {
    const rowKey = await this.#hierarchy.rowKey(log.tenant);
    return facts.get(`credential ${id}`, (snapshot) =>
      credentials.findCredential(snapshot, rowKey, log.id, id),
    );
  }

  /**
   * The person behind an approved request, with what they may now: nothing any more where they have left, or were invited anew
   * and so lost what they signed in with, perhaps to whoever asked in their name.
   *
   * @param asked.password id of the password that the person had when they asked
   */
  async requester(
    log: Log,
    facts: Facts,
    { person, password, approval }: Readonly<Record<'person' | 'password' | 'approval', string>>,
  ): Promise<Caller> {
    const rowKey = await this.#hierarchy.rowKey(log.tenant);
    const row = await facts.read((snapshot) => people.findPerson(snapshot, rowKey, log.id, person));
    const roles = row?.state === 'active' && row.password === password ? row.roles : [];
    const means = { type: 'approval', id: approval, level: levels.two } as const;
    return { actor: person, means, roles, system: null, log, facts };
  }

  async #byCredential(facts: Facts, log: Log, id: string, now: number): Promise<Authenticated | undefined> {
    const credential = await this.credential(facts, log, id);
    if (credential === undefined) return undefined;
    const { role, state, system, expires_at } = credential.row;
    const means = { type: 'credential', id, level: levels.one } as const;
    const caller: Caller = { actor: id, means, roles: [role], system, log, facts };
    return lasting(caller, state === 'active', expires_at ?? Number.MAX_SAFE_INTEGER, now);
  }

  /**
   * Who signed the request. That is verified before anything else is said of the credential, so that nobody who only knows its id
   * leaves entries in its name; a signature from another time than now is its holder's, and good for nothing.
   */
  async #bySignature(request: SignedRequest, now: number): Promise<Authenticated | undefined> {
    const place = await this.#signingPlace(request.accessKey);
    if (place === undefined) return undefined;
    const { id } = place;
    const log = await this.#logOf(place.log);
    const facts = await this.#facts.of(place.log);
    const credential = await this.credential(facts, log, id);
    const wrapped = credential?.row.wrapped_secret;
    if (!wrapped) return undefined;
    const secret = await facts.get(`signing secret ${id}`, () =>
      openSigningSecret(this.#hierarchy, log.tenant, id, wrapped),
    );
    if (!isSignedWith(secret, request)) return undefined;
    const found = await this.#byCredential(facts, log, id, now);
    if (found === undefined) return undefined;
    const code = 'auth.signature_expired';
    const [from, until] = [request.time - maxSignatureSkewMs, request.time + maxSignatureSkewMs];
    const isTimely = now >= from && now < until;
    const validity = [...found.validity, { from, until, refusal: code } as const];
    return { ...found, validity, refusal: found.refusal ?? (isTimely ? undefined : code) };
  }

  async #bySession(facts: Facts, log: Log, id: string, now: number): Promise<Authenticated | undefined> {
    const rowKey = await this.#hierarchy.rowKey(log.tenant);
    const found = await facts.get(`session ${id}`, (snapshot) => findSession(snapshot, rowKey, log.id, id));
    if (found === undefined) return undefined;
    const { session, person, inForce } = found;
    const means = { type: 'session', id, level: session.level } as const;
    const caller: Caller = { actor: person.id, means, roles: person.roles, system: null, log, facts };
    return lasting(caller, inForce, session.expires_at, now);
  }

  async #byInvitation(facts: Facts, log: Log, id: string, now: number): Promise<Authenticated | undefined> {
    const rowKey = await this.#hierarchy.rowKey(log.tenant);
    const found = await facts.get(`invitation ${id}`, async (snapshot) => {
      const invitation = await people.findInvitation(snapshot, rowKey, log.id, id);
      const person = invitation && (await people.findPerson(snapshot, rowKey, log.id, invitation.person));
      return invitation && person && { invitation, person };
    });
    if (found === undefined) return undefined;
    const { invitation, person } = found;
    const means = { type: 'invitation', id, level: levels.one } as const;
    const caller: Caller = { actor: person.id, means, roles: [], system: null, log, facts };
    const inForce = invitation.state === 'open' && person.state === 'invited';
    return lasting(caller, inForce, invitation.expires_at, now);
  }

  async #signingPlace(accessKey: string): Promise<Place | undefined> {
    const id = credentialOfAccessKey(accessKey);
    return id === undefined
      ? undefined
      : this.#lookUp(accessKey, (snapshot) => findSigningPlace(snapshot, id));
  }

  async #place(authorization: string | undefined): Promise<Place | undefined> {
    const secret = bearer.exec(authorization ?? '')?.[1];
    const kind = secret === undefined ? undefined : secretKind(secret);
    if (secret === undefined || kind === undefined || kind === 'import') return undefined;
    const hash = hashSecret(secret);
    return this.#lookUp(hash.toString('base64'), (snapshot) => findPlace(snapshot, kind, hash));
  }

  /** @param name no access key id is 44 characters long, as hashes in base64 are */
  async #lookUp(
    name: string,
    find: (snapshot: Tx) => Promise<Place | undefined>,
  ): Promise<Place | undefined> {
    const known = this.#places.get(name);
    if (known !== undefined) return known;
    const found = await this.#lookUps.run('stranger', () => this.#database.read(find));
    if (found !== undefined) this.#places.set(name, found);
    return found;
  }
}

/** What holds until a time, unless it was ended before. */
function lasting(caller: Caller, inForce: boolean, until: number, now: number): Authenticated {
  const validity: Validity[] = [{ from: 0, until, refusal: 'auth.expired' }];
  const refusal = !inForce ? 'auth.revoked' : now >= until ? 'auth.expired' : undefined;
  return { caller, refusal, validity, proof: undefined };
}
