import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import type { Client } from '@trialkeep/sdk/client';
import { clientOf, newInstallation, ServerProcess } from '../harness.ts';
import type { Installation } from '../harness.ts';
import { bringIn, invitePeople, readRequest } from '../people.ts';
import type { Invited, SignedIn } from '../people.ts';
import { askLedger, newPeople, newTenant } from '../tenant.ts';
import { makeTransfers } from './transfers.ts';
import type { Transfers } from './transfers.ts';
import type { Tenant, TenantPersonRole } from '../tenant.ts';

/** A tenant in which there is something to ask every operation for, and somebody of every kind to ask. */
export interface Sampled extends Tenant, Transfers {
  readonly ciphertext: string;
  readonly wrappedDataKey: string;
  /** A rewrap of its key that has ended: nothing was registered. */
  readonly rewrap: string;
  /** An entry of its ledger. */
  readonly entry: string;
  /** A question that its custodian saved. */
  readonly saved: string;
  /** A study that its custodian closed, and when, ms since 1970. */
  readonly closedStudy: string;
  readonly closedAt: number;
  /** An evidence document that its custodian had made. */
  readonly evidence: string;
  /** A plan of reviews, its open review, one of the entries in that, and the hash of the record that its auditor could sign. */
  readonly plan: string;
  readonly review: string;
  readonly reviewed: string;
  readonly reviewHash: string;
  readonly people: Readonly<Record<TenantPersonRole, SignedIn>>;
  /** A second custodian, who waits for the approval of a request. */
  readonly requester: SignedIn;
  /** That request, to destroy the spent key, and the hash of it. */
  readonly approval: string;
  readonly hash: string;
  /** A revoked key. */
  readonly spentKey: string;
  /** A hold on its key, and a place that has its keys. */
  readonly hold: string;
  readonly holder: string;
  /** When its seal was set, ms since 1970; 0 where it never was. */
  readonly sealedAt: number;
  /** Somebody who has not enrolled yet. */
  readonly newcomer: Invited;
}

export const reason = 'A walk over all operations.';

/** An installation of its own, its server, and tenants in it. */
export class World {
  readonly installation: Installation;
  server: ServerProcess;
  #tenants = 0;

  private constructor(installation: Installation, server: ServerProcess) {
    this.installation = installation;
    this.server = server;
  }

  static async start(): Promise<World> {
    const installation = await newInstallation();
    return new World(installation, await ServerProcess.start(installation.data));
  }

  /** Ends the server as an operator does, which writes what it was still counting, and starts another. */
  async restart(): Promise<void> {
    assert.equal(await this.server.stop(), 0);
    this.server = await ServerProcess.start(this.installation.data);
  }

  client(secret: string): Client {
    return clientOf(this.server, secret);
  }

  /** Reads the log of a tenant; without one, the instance's own. */
  reader(tenant?: Tenant): Client {
    return this.client((tenant?.credentials.auditor ?? this.installation.administrator).secret);
  }

  async newTenant(): Promise<Tenant> {
    this.#tenants += 1;
    return newTenant(this.server, this.installation.administrator.secret, `Sponsor ${this.#tenants}`);
  }

  /** Another person who manages the instance. */
  async newAdministrator(): Promise<SignedIn> {
    const [person] = await bringIn(this.server, this.installation.administrator.secret, {}, [
      { name: 'Iris Novak', login: `iris.${randomUUID()}`, roles: ['instance-administrator'] },
    ]);
    return person ?? assert.fail();
  }

  /** Further people of a tenant, one for each role named, who have done nothing yet but sign in. */
  async bringIn({ id, credentials }: Tenant, held: readonly TenantPersonRole[]): Promise<SignedIn[]> {
    const invitees = held.map((role) => ({
      name: `Kim of ${role}`,
      login: `kim.${randomUUID()}`,
      roles: [role],
    }));
    return bringIn(this.server, credentials.custodian.secret, { tenant: id }, invitees);
  }

  async newSampled(): Promise<Sampled> {
    const tenant = await this.newTenant();
    const people = await newPeople(this.server, tenant);
    const manager = tenant.credentials.custodian.secret;
    const [requester] = await bringIn(this.server, manager, { tenant: tenant.id }, [
      { name: 'Rosa Custodian', login: 'rosa.lind', roles: ['custodian'] },
    ]);
    const [newcomer] = await invitePeople(this.server, manager, [
      { name: 'Nils Newcomer', login: 'nils.berg', roles: ['auditor'] },
    ]);
    assert.ok(requester && newcomer);
    return {
      ...tenant,
      ...(await this.#usedKey(tenant)),
      ...(await this.#waitingRequest(tenant, requester)),
      ...(await this.#concludedReview(manager, people.auditor)),
      ...(await this.#keeping(manager, tenant.key)),
      ...(await makeTransfers(this.client(people.custodian.session), tenant.system, reason)),
      saved: await this.#savedQuestion(manager),
      ...(await this.closedStudy(manager, 'Closed')),
      evidence: await this.#evidence(manager),
      people,
      requester,
      sealedAt: 0,
      newcomer,
    };
  }

  /** A study that somebody has registered and closed. */
  async closedStudy(manager: string, protocol: string): Promise<Pick<Sampled, 'closedStudy' | 'closedAt'>> {
    const custodian = this.client(manager);
    const { id: study } = await custodian.call('studies.create', { protocol });
    await custodian.call('revocations.revoke', { scope: { study }, cause: 'cessation', reason });
    const { closedAt } = await custodian.call('revocations.preview', { scope: { study } });
    assert.ok(closedAt !== null);
    return { closedStudy: study, closedAt };
  }

  async #keeping(manager: string, key: string) {
    const custodian = this.client(manager);
    const hold = await custodian.call('holds.place', { key, kind: 'legal', reason });
    const place = { kind: 'site', name: 'Second site', contact: 'The operators' } as const;
    const holder = await custodian.call('holders.register', place);
    return { hold: hold.id, holder: holder.id };
  }

  async #savedQuestion(manager: string): Promise<string> {
    const question = { period: 'last-month' as const };
    return (await this.client(manager).call('questions.save', { name: 'Last month', question })).id;
  }

  async #evidence(manager: string): Promise<string> {
    const question = { operation: 'keys.create' };
    return (await this.client(manager).call('evidence.make', { kind: 'ledger.answer', question })).id;
  }

  async #concludedReview(manager: string, auditor: SignedIn) {
    const custodian = this.client(manager);
    const { id: plan } = await custodian.call('reviews.plan', {
      name: 'Keys that were made',
      filter: { operation: 'keys.create' },
      intervalDays: 30,
      graceDays: 14,
      risk: 'high',
      reviewers: { roles: ['auditor'], persons: [] },
      rationale: reason,
      first: 0,
    });
    const { id: review } = await custodian.call('reviews.open', { plan, reason });
    const client = this.client(auditor.session);
    const { entries } = await client.call('reviews.entries', { review });
    const { entry: reviewed } = JSON.parse(entries[0]?.entry ?? '') as { entry: string };
    const concluded = await client.call('reviews.conclude', {
      review,
      outcome: 'no-findings',
      conclusion: reason,
    });
    return { plan, review, reviewed, reviewHash: concluded.hash ?? assert.fail() };
  }

  async #usedKey(tenant: Tenant) {
    const { key, study, subject } = tenant;
    const context = { study, subject };
    const service = this.client(tenant.credentials.service.secret);
    const { ciphertext } = await service.call('keys.encrypt', { key, context, plaintext: 'c2FtcGxl' });
    const dataKey = await service.call('keys.generate-data-key', { key, context });
    const [first] = await askLedger(this.reader(tenant));
    assert.ok(first);
    const custodian = this.client(tenant.credentials.custodian.secret);
    const { id: rewrap } = await custodian.call('rewraps.start', { key });
    return { ciphertext, wrappedDataKey: dataKey.ciphertext, rewrap, entry: first.entry };
  }

  async #waitingRequest({ system }: Tenant, requester: SignedIn) {
    const client = this.client(requester.session);
    const { id: spentKey } = await client.call('keys.create', { system });
    await client.call('keys.revoke', { key: spentKey, cause: 'cessation', reason });
    const asked = await client.attempt('keys.schedule-destruction', { key: spentKey, reason });
    assert.ok(asked.state === 'approval-needed');
    const { hash } = await readRequest(this.server, requester.session, asked.approval);
    return { spentKey, approval: asked.approval, hash };
  }
}

/** A tenant of which nothing exists. */
export function nowhere(tenant: Sampled): Sampled {
  const renamed = <T extends { readonly id: string }>(known: T): T => ({ ...known, id: randomUUID() });
  const all = <T extends Readonly<Record<string, { readonly id: string }>>>(known: T): T =>
    Object.fromEntries(Object.entries(known).map(([role, each]) => [role, renamed(each)])) as T;
  return {
    ...tenant,
    id: randomUUID(),
    study: randomUUID(),
    system: randomUUID(),
    key: randomUUID(),
    keys: { sign: randomUUID(), mac: randomUUID(), agree: randomUUID(), encapsulate: randomUUID() },
    spentKey: randomUUID(),
    hold: randomUUID(),
    holder: randomUUID(),
    importedKey: randomUUID(),
    exportableKey: randomUUID(),
    destination: { ...tenant.destination, id: randomUUID() },
    rewrap: randomUUID(),
    closedStudy: randomUUID(),
    subject: randomBytes(16).toString('hex'),
    entry: randomUUID(),
    saved: randomUUID(),
    evidence: randomUUID(),
    plan: randomUUID(),
    review: randomUUID(),
    reviewed: randomUUID(),
    approval: randomUUID(),
    credentials: all(tenant.credentials),
    people: all(tenant.people),
    requester: renamed(tenant.requester),
    newcomer: renamed(tenant.newcomer),
  };
}
