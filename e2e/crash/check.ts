import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import {
  bundlePath,
  bundlesOfSize,
  decodeBundle,
  parseCheckpoint,
  parseNote,
  tileWidth,
} from '@trialkeep/ledger';
import { TrialkeepError, createClient, pagesOf } from '@trialkeep/sdk/client';
import type { Client, Operations, Output } from '@trialkeep/sdk/client';
import { exportLedger, verifyFolder } from '@trialkeep/sdk/verify';
import { usesOf } from './model.ts';
import type { Model, ModelCiphertext, TenantModel } from './model.ts';
import type { Choices } from './random.ts';
import { Replay } from './replay.ts';

/** How many of the ciphertexts and revocations of earlier kills are tried again each time. */
const triedAgain = 10;
const openedAtOnce = 8;
/** For longer than the test takes. */
const recoveryMs = 86_400_000;

/** What is kept of a tenant from check to check. */
interface Watch {
  readonly replay: Replay;
  /** Of a credential that opens what revoked keys protected. */
  readonly recovery: string;
  /** Signed checkpoints, the oldest first. */
  readonly checkpoints: Uint8Array[];
  /** Revocations whose refusal has been seen before. */
  readonly refused: Set<string>;
}

/** Holds a server that has just come up against what was acknowledged, and its ledgers against both. */
export class Check {
  readonly #model: Model;
  readonly #administrator: string;
  readonly #choices: Choices;
  readonly #watches = new Map<string, Watch>();

  constructor(model: Model, administrator: string, choices: Choices) {
    this.#model = model;
    this.#administrator = administrator;
    this.#choices = choices;
  }

  /** Entries that have been seen in the ledgers of tenants so far. */
  get entries(): number {
    return [...this.#watches.values()].reduce((sum, { replay }) => sum + replay.entries.length, 0);
  }

  /** Everything acknowledged is there, everything revoked is refused, and each has its entry. */
  async run(url: string): Promise<void> {
    const administrator = createClient({ url, credential: this.#administrator });
    const { tenants } = await administrator.call('tenants.list', {});
    settleNames(this.#model.made, new Map(tenants.map(({ name, id }) => [name, id])), 'tenant');
    for (const tenant of this.#model.tenants.values()) await this.#checkTenant(url, tenant);
  }

  /** Exports every ledger, verifies it offline against the oldest and the newest kept checkpoint, and compares its entries. */
  async verifyLedgers(url: string, folder: string): Promise<void> {
    for (const tenant of this.#model.tenants.values()) {
      const watch = this.#watches.get(tenant.id);
      if (watch === undefined) continue;
      const { verifierKey } = tenant;
      const client = createClient({ url, credential: tenant.custodian });
      const target = mkdtempSync(join(folder, 'export-'));
      await exportLedger(client, target, { verifierKey });
      for (const keptCheckpoint of [watch.checkpoints[0], watch.checkpoints.at(-1)]) {
        assert.ok(keptCheckpoint);
        const seen = watch.replay.entries;
        const onEntry = (index: number, entry: Uint8Array): void => {
          if (index < seen.length) assert.equal(Buffer.from(entry).toString('utf8'), seen[index]);
        };
        const { verdict, findings, size } = await verifyFolder({
          folder: target,
          verifierKey,
          keptCheckpoint,
          onEntry,
        });
        assert.equal(verdict, 'verified', JSON.stringify(findings));
        assert.ok((size ?? 0) >= seen.length, 'The export is shorter than what was answered before.');
      }
      rmSync(target, { recursive: true });
    }
  }

  async #checkTenant(url: string, tenant: TenantModel): Promise<void> {
    const client = createClient({ url, credential: tenant.custodian });
    const watch = this.#watches.get(tenant.id) ?? (await this.#watch(client, tenant));
    const listed = await list(client);
    settle(tenant, listed);
    await readLedger(client, watch.replay);
    compareWithLedger(tenant, listed, watch.replay);
    await this.#checkRefusals(url, tenant, watch);
    await useSubjects(url, tenant);
    await this.#openCiphertexts(url, tenant, watch.recovery);
    watch.checkpoints.push(Buffer.from(await client.call('ledger.checkpoint', {})));
  }

  async #watch(client: Client, tenant: TenantModel): Promise<Watch> {
    const issued = await client.call('credentials.issue', {
      name: 'recovery',
      role: 'data-recovery',
      expiresAt: Date.now() + recoveryMs,
    });
    tenant.made.set('recovery', issued.credential.id);
    const watch = {
      replay: new Replay(),
      recovery: issued.secret,
      checkpoints: [],
      refused: new Set<string>(),
    };
    this.#watches.set(tenant.id, watch);
    return watch;
  }

  /** Tries whatever was revoked since the last check, and some of what was revoked before. */
  async #checkRefusals(url: string, tenant: TenantModel, { refused }: Watch): Promise<void> {
    const services = [...tenant.credentials.values()].filter(({ keys }) => keys.length > 0);
    const active = services.filter(({ states }) => states.has('active'));
    const tries: { name: string; secret: string; key: string; code: string }[] = [];
    for (const { states, secret = '', keys } of services) {
      if (states.has('revoked'))
        tries.push({ name: secret, secret, key: keys[0] ?? '', code: 'auth.revoked' });
    }
    for (const [key, { states }] of tenant.keys) {
      const service = active.find(({ keys }) => keys.includes(key));
      if (states.has('active') || states.has('suspended') || service?.secret === undefined) continue;
      tries.push({ name: key, secret: service.secret, key, code: 'key.revoked' });
    }
    const again = Array.from({ length: triedAgain }, () => this.#choices.pick(tries)?.name);
    for (const { name, secret, key, code } of tries) {
      if (refused.has(name) && !again.includes(name)) continue;
      const client = createClient({ url, credential: secret });
      const input = { key, plaintext: 'AAAA', context: { class: 'check' } };
      await assert.rejects(client.call('keys.encrypt', input), withCode(code));
      refused.add(name);
    }
  }

  async #openCiphertexts(url: string, tenant: TenantModel, recovery: string): Promise<void> {
    const again = Array.from({ length: triedAgain }, () => this.#choices.pick(tenant.opened));
    const due = [...tenant.fresh.splice(0), ...again.filter((each) => each !== undefined)];
    const next = async (): Promise<void> => {
      for (let made = due.pop(); made !== undefined; made = due.pop()) {
        const credential = credentialFor(tenant, made.key, recovery);
        // Nobody opens anything under this key at present: its turn comes when it is resumed or revoked.
        if (credential === undefined) tenant.fresh.push(made);
        else {
          await openOne(createClient({ url, credential }), made);
          if (credential !== recovery) usesOf(tenant, made.operation, made.context).succeeded++;
          if (!tenant.opened.includes(made)) tenant.opened.push(made);
        }
      }
    };
    await Promise.all(Array.from({ length: openedAtOnce }, next));
  }
}

/** The key of every subject that was acknowledged since the last check is there. */
async function useSubjects(url: string, tenant: TenantModel): Promise<void> {
  const [key = ''] = [...tenant.keys].find(([id]) => serviceFor(tenant, id) !== undefined) ?? [];
  const credential = serviceFor(tenant, key);
  if (credential === undefined) return;
  const client = createClient({ url, credential });
  for (const context of tenant.freshSubjects.splice(0)) {
    await client.call('keys.encrypt', { key, plaintext: 'AAAA', context });
    usesOf(tenant, 'keys.encrypt', {}).succeeded++;
  }
}

/** The secret of a service that can use the key now. */
function serviceFor(tenant: TenantModel, key: string): string | undefined {
  if (tenant.keys.get(key)?.states.has('active') !== true) return undefined;
  return [...tenant.credentials.values()].find(
    ({ states, keys }) => states.has('active') && keys.includes(key),
  )?.secret;
}

/** Who can open under a key: a service while it is active, data recovery once it is revoked, nobody while it is suspended. */
function credentialFor(tenant: TenantModel, key: string, recovery: string): string | undefined {
  const states = tenant.keys.get(key)?.states;
  if (states?.has('suspended') === true) return undefined;
  return states?.has('active') === true ? serviceFor(tenant, key) : recovery;
}

async function openOne(client: Client, made: ModelCiphertext): Promise<void> {
  const { operation, key, context, ciphertext, plaintext } = made;
  const reason = 'the check after a crash';
  const answer = await client.call(operation, { key, context, ciphertext, reason });
  assert.equal(answer.plaintext, plaintext, `What key ${key} protected does not open byte-identical.`);
}

function withCode(code: string): (error: unknown) => boolean {
  return (error) => {
    if (!(error instanceof TrialkeepError)) throw error;
    assert.equal(error.code, code);
    return true;
  };
}

type Listed = Awaited<ReturnType<typeof list>>;

async function list(client: Client) {
  const { studies } = await client.call('studies.list', {});
  const { systems } = await client.call('systems.list', {});
  const keys: Output<Operations['keys.list']>['keys'] = [];
  for await (const page of pagesOf((at) => client.call('keys.list', at))) keys.push(...page.keys);
  const { credentials } = await client.call('credentials.list', {});
  const subjects: string[] = [];
  for (const { id: study } of studies) {
    for (let cursor: string | null | undefined; cursor !== null;) {
      const page = await client.call('subjects.list', { study, ...(cursor !== undefined && { cursor }) });
      subjects.push(...page.subjects.map(({ alias }) => alias));
      cursor = page.next;
    }
  }
  return { studies, systems, keys, credentials, subjects };
}

/**
 * Everything that was acknowledged is there, in a state that is explained; what is there beside it was asked for. From here on
 * what was seen counts as acknowledged, and what was not there must never appear.
 */
function settle(tenant: TenantModel, { studies, systems, keys, credentials, subjects }: Listed): void {
  const named = new Map([
    ...studies.map(({ protocol, id }) => [protocol, id] as const),
    ...systems.map(({ name, id }) => [name, id] as const),
    ...keys.map(({ description, id }) => [description, id] as const),
    ...credentials.map(({ name, id }) => [name, id] as const),
  ]);
  settleNames(tenant.made, named, tenant.id);
  for (const { id, state, version, revocation } of keys) {
    const unknown = { states: new Set(['active']), versions: new Set([1]), unsure: true };
    const expected = tenant.keys.get(id) ?? unknown;
    assert.ok(expected.states.has(state), `Key ${id} is ${state}, not ${[...expected.states].join(' or ')}.`);
    assert.ok(expected.versions.has(version), `Key ${id} has version ${version}.`);
    assert.equal(revocation !== null, state === 'deactivated' || state === 'compromised', `Key ${id}.`);
    tenant.keys.set(id, { ...expected, states: new Set([state]), versions: new Set([version]) });
  }
  for (const { id, state, keys: named } of credentials) {
    const expected = tenant.credentials.get(id) ?? { states: new Set(['active']), secret: undefined };
    assert.ok(expected.states.has(state), `Credential ${id} is ${state}.`);
    tenant.credentials.set(id, { ...expected, states: new Set([state]), keys: named });
  }
  const there = new Set(subjects);
  for (const alias of tenant.subjects) assert.ok(there.has(alias), `Subject ${alias} is lost.`);
  const unexplained = there.size - tenant.subjects.size;
  assert.ok(unexplained <= tenant.unknownSubjects, `${unexplained} subjects that nobody asked for.`);
  for (const alias of there) tenant.subjects.add(alias);
  tenant.unknownSubjects = 0;
}

function settleNames(
  made: Map<string, string | undefined>,
  there: ReadonlyMap<string, string>,
  where: string,
): void {
  for (const [name, id] of there) assert.ok(made.has(name), `${name} (${id}) of ${where} was not asked for.`);
  for (const [name, id] of made) {
    const found = there.get(name);
    if (id !== undefined) assert.equal(found, id, `${name} of ${where} is lost.`);
    if (found === undefined) made.delete(name);
    else made.set(name, found);
  }
}

/** Takes the entries in that were committed since the last time: out of the log itself, since asking for them would add more. */
async function readLedger(client: Client, replay: Replay): Promise<void> {
  const note = Buffer.from(await client.call('ledger.checkpoint', {}));
  const { size } = parseCheckpoint(parseNote(note).text);
  const seen = replay.entries.length;
  for (const { index, width } of bundlesOfSize(size)) {
    const first = index * tileWidth;
    if (first + width <= seen) continue;
    const path = bundlePath(index, width).replace(/^tile\//, '');
    const entries = decodeBundle(await client.call('ledger.tile', { path }), width);
    for (const [i, entry] of entries.entries()) {
      if (first + i >= seen) replay.read(first + i, Buffer.from(entry).toString('utf8'));
    }
  }
}

/** The database is what its ledger says, and the ledger has an entry for whatever was acknowledged. */
function compareWithLedger(tenant: TenantModel, listed: Listed, replay: Replay): void {
  const ids = (rows: readonly { id: string }[]): string[] => rows.map(({ id }) => id).sort();
  assert.deepEqual([...replay.studies].sort(), ids(listed.studies));
  assert.deepEqual([...replay.systems].sort(), ids(listed.systems));
  assert.deepEqual([...replay.subjects].sort(), [...listed.subjects].sort());
  assert.deepEqual([...replay.keys.keys()].sort(), ids(listed.keys));
  for (const { id, state, version } of listed.keys) {
    assert.deepEqual(replay.keys.get(id), { state, version }, `Key ${id} and its ledger differ.`);
  }
  // The first custodian came with the tenant.
  assert.equal(replay.credentialsIssued, listed.credentials.length - 1);
  const revoked = listed.credentials.filter(({ state }) => state === 'revoked').length;
  assert.ok(replay.credentialsRevoked >= revoked, 'A credential was revoked without an entry.');
  for (const [name, { succeeded, unknown }] of tenant.uses) {
    const entries = replay.uses.get(name) ?? 0;
    assert.ok(entries >= succeeded, `${name}: ${succeeded} acknowledged, ${entries} in the ledger.`);
    assert.ok(entries <= succeeded + unknown, `${name}: ${entries} in the ledger, more than were asked for.`);
  }
  for (const name of replay.uses.keys()) assert.ok(tenant.uses.has(name), `${name} was not asked for.`);
  for (const [name, refused] of tenant.refusals) {
    assert.ok((replay.refusals.get(name) ?? 0) >= refused, `${name}: a refusal has no entry.`);
  }
}
