import { CryptoError, hashCredential } from '@trialkeep/crypto';
import type { ErrorCode, Permission } from '@trialkeep/contract';
import { roles } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import type { Database } from '../platform/database.ts';
import type { Facts, FactsCache } from '../platform/facts.ts';
import type { Caller, Log, Validity } from '../platform/implementation.ts';
import { LruMap } from '../platform/lru.ts';
import * as store from './store.ts';
import type { CredentialRow, NamedCredential } from './store.ts';

/** A known credential; `refusal` says why it may do nothing at all any more. */
export interface Authenticated {
  readonly caller: Caller;
  readonly refusal: ErrorCode | undefined;
  readonly validity: readonly Validity[];
}

/** RFC 9110 section 11.1: the scheme's name in any case. */
const bearer = /^bearer ([\x21-\x7e]{1,200})$/i;
const maxKnownSecrets = 10_000;

/** Finds out who asks. */
export class Authenticator {
  readonly #database: Database;
  readonly #hierarchy: Hierarchy;
  readonly #facts: FactsCache;
  readonly #logOf: (id: number) => Log;
  /** Where each secret's credential lies; that never changes, so it needs no epoch. */
  readonly #places = new LruMap<string, { id: string; log: number }>(maxKnownSecrets);

  constructor(parts: {
    database: Database;
    hierarchy: Hierarchy;
    facts: FactsCache;
    logOf: (id: number) => Log;
  }) {
    this.#database = parts.database;
    this.#hierarchy = parts.hierarchy;
    this.#facts = parts.facts;
    this.#logOf = parts.logOf;
  }

  /**
   * The caller behind an Authorization header, under one epoch; undefined where nobody here has such a credential. The
   * look-up is by the hash of 256 random bits, so its time tells nothing about any secret.
   */
  async authenticate(authorization: string | undefined, now: number): Promise<Authenticated | undefined> {
    const place = await this.#place(authorization);
    if (place === undefined) return undefined;
    const log = this.#logOf(place.log);
    const facts = await this.#facts.of(place.log);
    const credential = await this.credential(facts, log, place.id);
    if (credential === undefined) return undefined;
    const { row } = credential;
    const caller: Caller = { credential: row.id, role: row.role, system: row.system, log, facts };
    const until = row.expires_at ?? Number.MAX_SAFE_INTEGER;
    return { caller, refusal: refusalOf(row, now), validity: [{ from: 0, until, refusal: 'auth.expired' }] };
  }

  /** A credential of the log, as the facts have it. */
  async credential(facts: Facts, log: Log, id: string): Promise<NamedCredential | undefined> {
    const rowKey = await this.#hierarchy.rowKey(log.tenant);
    return facts.get(`credential ${id}`, (snapshot) => store.findCredential(snapshot, rowKey, log.id, id));
  }

  async #place(authorization: string | undefined): Promise<{ id: string; log: number } | undefined> {
    const secret = bearer.exec(authorization ?? '')?.[1];
    if (secret === undefined) return undefined;
    let hash: Buffer;
    try {
      hash = hashCredential(secret);
    } catch (error) {
      if (error instanceof CryptoError) return undefined;
      throw error;
    }
    const name = hash.toString('base64');
    const known = this.#places.get(name);
    if (known !== undefined) return known;
    const found = await this.#database.read((snapshot) => store.findBySecret(snapshot, hash));
    if (found !== undefined) this.#places.set(name, found);
    return found;
  }
}

function refusalOf(row: CredentialRow, now: number): ErrorCode | undefined {
  if (row.state === 'revoked') return 'auth.revoked';
  if (row.expires_at !== null && now >= row.expires_at) return 'auth.expired';
  return undefined;
}

/** Deny by default: only what the role lists is granted (URS-019). */
export function grants(caller: Caller, permission: Permission | 'public'): boolean {
  if (permission === 'public') return true;
  const granted: readonly Permission[] = roles[caller.role];
  return granted.includes(permission);
}
