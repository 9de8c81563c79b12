import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { TrialkeepError, pagesOf } from '@trialkeep/sdk/client';
import { exportLedger, verifyFolder } from '@trialkeep/sdk/verify';
import { Choices } from '../crash/random.ts';
import { clientOf, makeFolder } from '../harness.ts';
import { until } from '../nodes.ts';
import type { ServerNode, Site } from '../nodes.ts';
import type { LedgerEntry, Tenant } from '../tenant.ts';

/** What a request may be answered with while servers and their database die: nothing was released, and it may be asked again. */
const passing = new Set(['client.unreachable', 'server.busy', 'server.storage_failed']);
/** Requests at a time on each node. */
const workersPerNode = 5;
/** How many of the acknowledged ciphertexts are opened in the end. */
const opened = 300;

interface Protected {
  readonly key: string;
  readonly ciphertext: string;
  readonly class: string;
}

/** A key of the load, with the credential of a service that may use it. */
interface LoadKey {
  readonly id: string;
  /** Empty until it is issued. */
  service: string;
  /** Once its revocation is acknowledged. */
  revoked: boolean;
  /** Asked for, whatever came of it. */
  ending: boolean;
}

/** Requests on all nodes of one tenant at once, with a record of what was acknowledged. */
export class Load {
  /** By node, in the order of the site. */
  readonly acknowledged: number[];
  /** Answers without a result, by code. */
  readonly passed: Record<string, number> = {};
  readonly #site: Site;
  readonly #tenant: Tenant;
  readonly #choices: Choices;
  readonly #keys: LoadKey[] = [];
  readonly #protected: Protected[] = [];
  /** Record classes whose encryption was asked for and not acknowledged. */
  readonly #unknown = new Set<string>();
  readonly #aliases = new Set<string>();
  readonly #checkpoints: string[] = [];
  #stopping = false;
  #asked = 0;
  #working: Promise<unknown> = Promise.resolve();

  constructor(site: Site, tenant: Tenant, seed: number) {
    this.#site = site;
    this.#tenant = tenant;
    this.#choices = new Choices(seed);
    this.acknowledged = site.nodes.map(() => 0);
  }

  /** Begins, and returns when every node has acknowledged something. */
  async start(): Promise<void> {
    await this.#makeKey(0);
    const workers = this.#site.nodes.flatMap((_, node) =>
      Array.from({ length: workersPerNode }, () => this.#work(node)),
    );
    this.#working = Promise.all(workers);
    this.#working.catch(() => (this.#stopping = true));
    await this.progress();
  }

  /** Returns once that many more requests were acknowledged by each of the nodes; all of them by default. */
  async progress(nodes: readonly ServerNode[] = this.#site.nodes, requests = 25): Promise<void> {
    const before = [...this.acknowledged];
    const moved = (node: number): boolean => (this.acknowledged[node] ?? 0) >= (before[node] ?? 0) + requests;
    const watched = nodes.map((node) => this.#site.nodes.indexOf(node));
    await until('the load goes on', () => this.#stopping || watched.every(moved));
    // What failed is told here, and not only in the end.
    if (this.#stopping) await this.#working;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#working;
  }

  /** Keeps a checkpoint as of now, which every later state of the ledger has to continue. */
  async keepCheckpoint(node: ServerNode): Promise<void> {
    this.#checkpoints.push(await this.#reader(node).call('ledger.checkpoint', {}));
  }

  async #work(node: number): Promise<void> {
    const server = this.#site.nodes[node] as ServerNode;
    while (!this.#stopping) {
      try {
        if (!server.isUp) await pause(20);
        else if (await this.#askOnce(node)) this.acknowledged[node] = (this.acknowledged[node] ?? 0) + 1;
      } catch (error) {
        const code = error instanceof TrialkeepError ? error.code : undefined;
        if (code === undefined || !passing.has(code)) throw error;
        this.passed[code] = (this.passed[code] ?? 0) + 1;
        await pause(20);
      }
    }
  }

  /** False where there was nothing to ask. */
  async #askOnce(node: number): Promise<boolean> {
    const chance = this.#choices.fraction();
    if (chance < 0.05) return this.#makeKey(node);
    if (chance < 0.1) return this.#makeSubject(node);
    if (chance < 0.12) return this.#revokeKey(node);
    return chance < 0.3 ? this.#decrypt(node) : this.#encrypt(node);
  }

  async #makeKey(node: number): Promise<boolean> {
    const custodian = this.#custodian(node);
    const { system } = this.#tenant;
    const { id } = await custodian.call('keys.create', { system });
    const key: LoadKey = { id, service: '', revoked: false, ending: false };
    this.#keys.push(key);
    const service = { name: 'load', role: 'service' as const, system, keys: [id] };
    key.service = (await custodian.call('credentials.issue', service)).secret;
    return true;
  }

  async #makeSubject(node: number): Promise<boolean> {
    const { study } = this.#tenant;
    const number = `load ${++this.#asked}`;
    const { alias } = await this.#custodian(node).call('subjects.create', { study, number });
    this.#aliases.add(alias);
    return true;
  }

  async #revokeKey(node: number): Promise<boolean> {
    const able = this.#keys.filter(({ ending, service }) => !ending && service !== '');
    const key = this.#choices.pick(able);
    if (key === undefined || able.length < 3) return false;
    key.ending = true;
    const why = { cause: 'cessation', reason: 'The load asks for it.' } as const;
    await this.#custodian(node).call('keys.revoke', { key: key.id, ...why });
    key.revoked = true;
    // Whoever asks any node from now on is refused.
    for (const other of this.#site.nodes.keys()) await this.#useRevoked(other, key);
    return true;
  }

  async #useRevoked(node: number, { id, service }: LoadKey): Promise<void> {
    const server = this.#site.nodes[node] as ServerNode;
    if (!server.isUp) return;
    const asked = clientOf(server, service).call('keys.encrypt', { key: id, plaintext: 'AAAA' });
    const code = await asked.then(
      () => 'success',
      (error: TrialkeepError) => error.code,
    );
    assert.ok(code === 'key.revoked' || passing.has(code), `${code} under a key that was revoked`);
  }

  async #encrypt(node: number): Promise<boolean> {
    const key = this.#choices.pick(this.#keys.filter(({ ending, service }) => !ending && service !== ''));
    if (key === undefined) return false;
    const name = `n${++this.#asked}`;
    this.#unknown.add(name);
    const server = this.#site.nodes[node] as ServerNode;
    try {
      const asked = { key: key.id, plaintext: plaintextOf(name), context: { class: name } };
      const { ciphertext } = await clientOf(server, key.service).call('keys.encrypt', asked);
      this.#unknown.delete(name);
      this.#protected.push({ key: key.id, ciphertext, class: name });
    } catch (error) {
      // It was revoked while this was under way.
      if ((error as TrialkeepError).code !== 'key.revoked' || !key.ending) throw error;
      this.#unknown.delete(name);
    }
    return true;
  }

  async #decrypt(node: number): Promise<boolean> {
    const made = this.#choices.pick(this.#protected);
    const key = this.#keys.find(({ id }) => id === made?.key);
    if (made === undefined || key === undefined || key.ending) return false;
    const server = this.#site.nodes[node] as ServerNode;
    try {
      const { plaintext } = await clientOf(server, key.service).call('keys.decrypt', asOpened(made));
      assert.equal(plaintext, plaintextOf(made.class));
    } catch (error) {
      if ((error as TrialkeepError).code !== 'key.revoked' || !key.ending) throw error;
    }
    return true;
  }

  #custodian(node: number) {
    return clientOf(this.#site.nodes[node] as ServerNode, this.#tenant.credentials.custodian.secret);
  }

  #reader(node: ServerNode) {
    return clientOf(node, this.#tenant.credentials.auditor.secret);
  }

  /** Everything that was acknowledged is there, on every node, and in the ledger once; what was revoked is refused. */
  async check(): Promise<{ entries: number; acknowledged: number; unknown: number }> {
    let entries = 0;
    for (const node of this.#site.nodes) {
      await this.#checkState(node);
      await this.#checkCiphertexts(node);
      entries = await this.#checkLedger(node);
    }
    const acknowledged = this.acknowledged.reduce((sum, count) => sum + count, 0);
    return { entries, acknowledged, unknown: this.#unknown.size };
  }

  async #checkState(node: ServerNode): Promise<void> {
    const { study, credentials } = this.#tenant;
    const custodian = clientOf(node, credentials.custodian.secret);
    const states = new Map<string, string>();
    for await (const page of pagesOf((at) => custodian.call('keys.list', at))) {
      for (const { id, state } of page.keys) states.set(id, state);
    }
    for (const { id, revoked, ending } of this.#keys) {
      const state = states.get(id);
      if (revoked || !ending) assert.equal(state, revoked ? 'deactivated' : 'active', `key ${id}`);
      else assert.ok(state === 'active' || state === 'deactivated', `key ${id}`);
    }
    const there = new Set<string>();
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page = await custodian.call('subjects.list', { study, ...(cursor !== undefined && { cursor }) });
      for (const { alias } of page.subjects) there.add(alias);
      cursor = page.next;
    }
    for (const alias of this.#aliases) assert.ok(there.has(alias), `subject ${alias} is lost`);
  }

  async #checkCiphertexts(node: ServerNode): Promise<void> {
    const recovery = clientOf(node, this.#tenant.credentials['data-recovery'].secret);
    for (let n = 0; n < opened; n++) {
      const made = this.#choices.pick(this.#protected);
      const key = this.#keys.find(({ id }) => id === made?.key);
      if (made === undefined || key === undefined || (key.ending && !key.revoked)) continue;
      const input = { ...asOpened(made), reason: 'A check.' };
      const reader = key.revoked ? recovery : clientOf(node, key.service);
      const { plaintext } = await reader.call('keys.decrypt', input);
      assert.equal(plaintext, plaintextOf(made.class));
    }
  }

  /** The ledger as the node exports it, held against each checkpoint that was kept. Gives its size. */
  async #checkLedger(node: ServerNode): Promise<number> {
    const folder = join(makeFolder(), 'ledger');
    const { verifierKey } = this.#tenant;
    await exportLedger(this.#reader(node), folder, { verifierKey });
    const entries: LedgerEntry[] = [];
    const onEntry = (index: number, bytes: Uint8Array): void =>
      void (entries[index] = JSON.parse(Buffer.from(bytes).toString()) as LedgerEntry);
    assert.ok(this.#checkpoints.length > 0);
    for (const kept of this.#checkpoints) {
      const keptCheckpoint = Buffer.from(kept);
      const { verdict, findings } = await verifyFolder({ folder, verifierKey, keptCheckpoint, onEntry });
      assert.deepEqual([verdict, findings], ['verified', []]);
    }
    const successes = entries.filter(({ outcome }) => outcome === 'success');
    const encrypted = successes.filter(({ operation }) => operation === 'keys.encrypt').map(classOf);
    assert.equal(new Set(encrypted).size, encrypted.length, 'encryptions that are recorded twice');
    const known = new Set(encrypted);
    for (const made of this.#protected) assert.ok(known.has(made.class), `${made.class} has no entry`);
    const asked = new Set([...this.#protected.map((made) => made.class), ...this.#unknown]);
    for (const name of known) assert.ok(asked.has(name), `${name} was not asked for, or was refused`);
    assertRevoked(successes);
    return entries.length;
  }
}

const classOf = (entry: LedgerEntry): string => (entry as { class?: string }).class ?? '';
const plaintextOf = (name: string): string => Buffer.from(name).toString('base64');
const asOpened = ({ key, ciphertext, class: name }: Protected) => ({
  key,
  ciphertext,
  context: { class: name },
});

/** After a key's revocation in the ledger no service has used it. */
export function assertRevoked(successes: readonly LedgerEntry[]): void {
  const revoked = new Set<string>();
  for (const { operation, key = '', role } of successes) {
    if (operation === 'keys.revoke') revoked.add(key);
    const isUse = /^keys\.(?:encrypt|decrypt|generate-data-key|decrypt-data-key)$/.test(operation);
    if (isUse && role === 'service') assert.ok(!revoked.has(key), `${operation} under revoked key ${key}`);
  }
}
