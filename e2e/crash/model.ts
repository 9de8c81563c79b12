import assert from 'node:assert/strict';
import type { About, Answered, Asked, Facts, Line } from './acknowledgements.ts';

/** What must be there after a crash, as the acknowledgements say; what was asked and never answered may be there. */
export interface TenantModel {
  readonly id: string;
  readonly verifierKey: string;
  readonly custodian: string;
  /** What was made, by its unique name: its id, or undefined where the outcome is unknown. */
  readonly made: Map<string, string | undefined>;
  readonly subjects: Set<string>;
  /** Subjects that were acknowledged since the last check. */
  readonly freshSubjects: { readonly study: string; readonly subject: string }[];
  /** How many subjects were asked for without an answer since the last check. */
  unknownSubjects: number;
  readonly keys: Map<string, KeyModel>;
  readonly credentials: Map<string, CredentialModel>;
  /** Ciphertexts that were acknowledged since the last check. */
  readonly fresh: ModelCiphertext[];
  readonly opened: ModelCiphertext[];
  /** Key uses by services, by operation and record class. */
  readonly uses: Map<string, Uses>;
  /** Acknowledged refusals by operation, actor and code. */
  readonly refusals: Map<string, number>;
}
export interface KeyModel {
  states: Set<string>;
  versions: Set<number>;
  /** A change was never answered, and the load has not learnt of its outcome. */
  unsure: boolean;
}
export interface CredentialModel {
  states: Set<string>;
  readonly secret: string | undefined;
  readonly keys: readonly string[];
}
export interface Uses {
  succeeded: number;
  unknown: number;
}
export interface ModelCiphertext {
  readonly operation: 'keys.decrypt' | 'keys.decrypt-data-key';
  readonly key: string;
  readonly context: Record<string, string>;
  readonly ciphertext: string;
  readonly plaintext: string;
}

const useOperations: ReadonlySet<string> = new Set([
  'keys.encrypt',
  'keys.decrypt',
  'keys.generate-data-key',
  'keys.decrypt-data-key',
]);
const afterChange: Record<string, readonly string[]> = {
  'keys.suspend': ['suspended'],
  'keys.resume': ['active'],
  'keys.revoke': ['deactivated', 'compromised'],
};
const ended: ReadonlySet<string> = new Set(['deactivated', 'compromised']);

interface Pending {
  readonly asked: Asked;
  /** The only answer that is right, because what it needs was revoked before it was asked. */
  readonly refusal: string | undefined;
  /** May be refused as undefined, because the load does not know what state it starts from. */
  readonly uncertain: boolean;
  /** Undoes what the asking alone has opened as possible. */
  undo(): void;
}

/** Reads the acknowledgements in their order, and holds the answers against what was acknowledged before. */
export class Model {
  readonly tenants = new Map<string, TenantModel>();
  /** Names of tenants, as in {@link TenantModel.made}. */
  readonly made = new Map<string, string | undefined>();
  readonly counts = { acknowledged: 0, refused: 0, unknown: 0, busy: 0 };
  readonly #pending = new Map<number, Pending>();

  /** Takes the lines of one kill over; what is unanswered at their end stays so. */
  read(lines: readonly Line[]): void {
    for (const line of lines) {
      if ('operation' in line) this.#ask(line);
      else this.#answer(line);
    }
    for (const { asked } of this.#pending.values()) this.#leaveUnknown(asked);
    this.#pending.clear();
  }

  #ask(asked: Asked): void {
    const { tenant, about, operation } = asked;
    const known = tenant === undefined ? undefined : this.#tenant(tenant);
    const key = known?.keys.get(about.key ?? '');
    const uncertain = key?.unsure === true;
    const undo = known === undefined ? () => undefined : openPossibilities(known, asked);
    const credential = known?.credentials.get(asked.actor);
    let refusal: string | undefined;
    if (useOperations.has(operation)) {
      if (key !== undefined && isAll(key.states, ended)) refusal = 'key.revoked';
      if (credential !== undefined && !credential.states.has('active')) refusal = 'auth.revoked';
    }
    this.#pending.set(asked.n, { asked, refusal, uncertain, undo });
  }

  #answer({ n, refusal, facts }: Answered): void {
    const pending = this.#pending.get(n);
    assert.ok(pending, `An answer to a question that was not asked: ${n}.`);
    this.#pending.delete(n);
    const { asked } = pending;
    const { operation, tenant } = asked;
    const what = `${operation} ${JSON.stringify(asked.about)} by ${asked.actor}`;
    if (refusal === undefined) {
      assert.equal(pending.refusal, undefined, `${what} succeeded after its revocation was acknowledged.`);
      this.counts.acknowledged++;
      if (tenant === undefined) this.#makeTenant(asked.about, facts);
      else acknowledge(this.#tenant(tenant), asked, facts);
      return;
    }
    pending.undo();
    if (refusal === 'server.busy') {
      this.counts.busy++;
      return;
    }
    this.counts.refused++;
    // A revocation of the credential that was on its way then may have come first.
    if (pending.refusal === 'key.revoked') assert.match(refusal, /^(key|auth)\.revoked$/, what);
    else if (pending.refusal !== undefined) assert.equal(refusal, pending.refusal, what);
    else if (refusal === 'key.transition_undefined') assert.ok(pending.uncertain, what);
    else assert.match(refusal, /^(key\.unusable|key\.revoked|auth\.revoked)$/, what);
    if (tenant !== undefined) add(this.#tenant(tenant).refusals, `${operation} ${asked.actor} ${refusal}`);
  }

  #leaveUnknown({ operation, tenant, about }: Asked): void {
    this.counts.unknown++;
    if (tenant === undefined) this.made.set(about.name ?? '', undefined);
    else if (operation === 'subjects.create') this.#tenant(tenant).unknownSubjects++;
    else if (about.name !== undefined) this.#tenant(tenant).made.set(about.name, undefined);
    else if (useOperations.has(operation)) usesOf(this.#tenant(tenant), operation, about).unknown++;
    else {
      const key = this.#tenant(tenant).keys.get(about.key ?? '');
      if (key !== undefined) key.unsure = true;
    }
  }

  #makeTenant({ name = '' }: About, { id = '', verifierKey = '', secret = '', actor = '' }: Facts): void {
    this.made.set(name, id);
    this.tenants.set(id, {
      id,
      verifierKey,
      custodian: secret,
      made: new Map([['first custodian', actor]]),
      subjects: new Set(),
      freshSubjects: [],
      unknownSubjects: 0,
      keys: new Map(),
      credentials: new Map([[actor, { states: new Set(['active']), secret, keys: [] }]]),
      fresh: [],
      opened: [],
      uses: new Map(),
      refusals: new Map(),
    });
  }

  #tenant(id: string): TenantModel {
    const tenant = this.tenants.get(id);
    assert.ok(tenant, `A request for a tenant that nobody has acknowledged: ${id}.`);
    return tenant;
  }
}

/** From the moment of asking a change may happen. Gives what takes that back. */
function openPossibilities({ keys, credentials }: TenantModel, { operation, about }: Asked): () => void {
  const key = keys.get(about.key ?? '');
  if (key !== undefined && operation === 'keys.rotate') {
    const before = key.versions;
    key.versions = new Set([...before, Math.max(...before) + 1]);
    return () => (key.versions = before);
  }
  const to = afterChange[operation];
  if (key !== undefined && to !== undefined) {
    const before = key.states;
    key.states = new Set([...before, ...to]);
    return () => (key.states = before);
  }
  const credential = credentials.get(about.credential ?? '');
  if (credential !== undefined) {
    const before = credential.states;
    credential.states = new Set([...before, 'revoked']);
    return () => (credential.states = before);
  }
  return () => undefined;
}

function acknowledge(tenant: TenantModel, { operation, about }: Asked, facts: Facts): void {
  const { id = '', state = '', version = 0, alias = '', secret = '' } = facts;
  if (useOperations.has(operation)) {
    usesOf(tenant, operation, about).succeeded++;
    if (facts.ciphertext !== undefined) tenant.fresh.push(modelCiphertext(operation, about, facts));
    return;
  }
  if (operation === 'subjects.create') {
    tenant.subjects.add(alias);
    tenant.freshSubjects.push({ study: about.study ?? '', subject: alias });
  } else if (about.name !== undefined) tenant.made.set(about.name, id);
  if (operation === 'keys.create') {
    tenant.keys.set(id, { states: new Set([state]), versions: new Set([version]), unsure: false });
  }
  if (operation === 'credentials.issue') {
    tenant.credentials.set(id, { states: new Set([state]), secret, keys: about.keys ?? [] });
  }
  const key = tenant.keys.get(about.key ?? '');
  if (key !== undefined) {
    Object.assign(key, { states: new Set([state]), versions: new Set([version]), unsure: false });
  }
  const credential = tenant.credentials.get(about.credential ?? '');
  if (credential !== undefined) credential.states = new Set([state]);
}

function modelCiphertext(operation: string, about: About, facts: Facts): ModelCiphertext {
  const { key = '', study, subject, class: recordClass } = about;
  const context = { study, subject, class: recordClass };
  return {
    operation: operation === 'keys.encrypt' ? 'keys.decrypt' : 'keys.decrypt-data-key',
    key,
    context: JSON.parse(JSON.stringify(context)) as Record<string, string>,
    ciphertext: facts.ciphertext ?? '',
    plaintext: facts.plaintext ?? '',
  };
}

/** What is known of the uses of one operation for one record class. */
export function usesOf(tenant: TenantModel, operation: string, about: About): Uses {
  const name = `${operation} ${about.class ?? ''}`;
  const uses = tenant.uses.get(name) ?? { succeeded: 0, unknown: 0 };
  tenant.uses.set(name, uses);
  return uses;
}

function isAll(set: ReadonlySet<string>, of: ReadonlySet<string>): boolean {
  return [...set].every((item) => of.has(item));
}

export function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}
