import assert from 'node:assert/strict';
import { TrialkeepError } from '@trialkeep/sdk/client';
import { clientOf } from '../harness.ts';
import { until } from '../nodes.ts';
import type { ServerNode, Site } from '../nodes.ts';
import { enrol, invitePeople, proofsOf, readRequest, signIn } from '../people.ts';
import type { ApprovalView, Invitee, SignedIn } from '../people.ts';
import { askLedger, newTenant } from '../tenant.ts';
import type { LedgerEntry, Tenant } from '../tenant.ts';

type Server = Pick<ServerNode, 'url'>;

/** An entry with what those about decisions say beside the rest. */
type DecisionEntry = Omit<LedgerEntry, 'outcome'> & {
  readonly outcome: LedgerEntry['outcome'] | 'requested';
  readonly approval?: string;
  readonly hash?: string;
};

/** A tenant with three custodians, an auditor, and approvers. */
export interface House {
  readonly site: Site;
  /** The server that is asked where it makes no difference. */
  readonly server: ServerNode;
  readonly tenant: Tenant;
  readonly ada: SignedIn;
  readonly ben: SignedIn;
  readonly cleo: SignedIn;
  readonly auditor: SignedIn;
  /** The approver whose turn it is: so that nobody has to wait long for their next code. */
  nextApprover(): SignedIn;
}

export async function openHouse(site: Site, approvers: number): Promise<House> {
  const [server] = site.nodes;
  assert.ok(server);
  const tenant = await newTenant(server, site.administrator.secret, 'Sponsor');
  const invitee = (name: string, role: Invitee['roles'][number]): Invitee => {
    const login = `${name.toLowerCase().replace(' ', '.')}@sponsor.example`;
    return { name, login, roles: [role] };
  };
  const people = await bringInTurn(server, tenant, [
    invitee('Ada Lang', 'custodian'),
    invitee('Ben Okafor', 'custodian'),
    invitee('Cleo Marsh', 'custodian'),
    invitee('Ines Duarte', 'auditor'),
    ...Array.from({ length: approvers }, (_, number) => invitee(`Noor Vale${number}`, 'approver')),
  ]);
  const [ada, ben, cleo, auditor, ...others] = people;
  assert.ok(ada && ben && cleo && auditor);
  const nextApprover = (): SignedIn => {
    const next = others.shift();
    assert.ok(next);
    others.push(next);
    return next;
  };
  return { site, server, tenant, ada, ben, cleo, auditor, nextApprover };
}

/** People, one after the other: so many at once would keep each other's codes waiting for too long. */
async function bringInTurn(
  server: Server,
  tenant: Tenant,
  invitees: readonly Invitee[],
): Promise<SignedIn[]> {
  const people: SignedIn[] = [];
  for (const { invitation } of await invitePeople(server, tenant.credentials.custodian.secret, invitees)) {
    const person = await enrol(server, invitation);
    people.push({ ...person, session: await signIn(server, person, { tenant: tenant.id }) });
  }
  return people;
}

/** A key that is out of use, with what it protected while it was in use. */
export interface Retired {
  readonly key: string;
  readonly ciphertext: string;
  readonly wrappedDataKey: string;
}

export async function retiredKeys({ server, tenant }: House, count: number): Promise<Retired[]> {
  const custodian = clientOf(server, tenant.credentials.custodian.secret);
  const { system } = tenant;
  const keys: string[] = [];
  while (keys.length < count) keys.push((await custodian.call('keys.create', { system })).id);
  const issued = await custodian.call('credentials.issue', { name: 'EDC', role: 'service', system, keys });
  const service = clientOf(server, issued.secret);
  const retired: Retired[] = [];
  for (const key of keys) {
    const { ciphertext } = await service.call('keys.encrypt', { key, plaintext: 'c2FtcGxl' });
    const dataKey = await service.call('keys.generate-data-key', { key });
    await custodian.call('keys.revoke', { key, cause: 'cessation', reason: 'The study has ended.' });
    retired.push({ key, ciphertext, wrappedDataKey: dataKey.ciphertext });
  }
  return retired;
}

/** What data recovery, the one role that may still read, gets of a retired key: twice `read`, or the codes of two refusals. */
export async function readAll(server: Server, { credentials }: Tenant, retired: Retired): Promise<string[]> {
  const recovery = clientOf(server, credentials['data-recovery'].secret);
  const { key, ciphertext, wrappedDataKey } = retired;
  const reason = 'For the final report.';
  const outcomeOf = (asked: Promise<unknown>): Promise<string> => asked.then(() => 'read', codeOf);
  return [
    await outcomeOf(recovery.call('keys.decrypt', { key, ciphertext, reason })),
    await outcomeOf(recovery.call('keys.decrypt-data-key', { key, ciphertext: wrappedDataKey, reason })),
  ];
}
export const readable = ['read', 'read'];
export const unreadable = ['key.destruction_pending', 'key.destruction_pending'];

export function codeOf(error: unknown): string {
  if (error instanceof TrialkeepError) return error.code;
  throw error;
}

export const withCode = (code: string) => (error: unknown) => codeOf(error) === code;

/** What a person asks for, kept until others approve it. */
export interface Kept {
  readonly approval: string;
  readonly key: string;
  readonly reason: string;
}

export async function requestDestruction(server: Server, { session }: SignedIn, key: string): Promise<Kept> {
  const reason = `Key ${key} has protected nothing since its study ended.`;
  const asked = await clientOf(server, session).attempt('keys.schedule-destruction', { key, reason });
  assert.equal(asked.state, 'approval-needed');
  return { approval: asked.approval, key, reason };
}

/** Reads a request and waits for the person's next code; gives what then approves it, and says how long that took. */
export async function readyToApprove(
  server: Server,
  person: SignedIn,
  approval: string,
): Promise<() => Promise<number>> {
  const { hash } = await readRequest(server, person.session, approval);
  const input = { approval, hash, signature: await proofsOf(person) };
  const client = clientOf(server, person.session);
  return async () => {
    const begun = performance.now();
    await client.call('approvals.approve', input);
    return performance.now() - begun;
  };
}

export const show = async (server: Server, { session }: SignedIn, approval: string): Promise<ApprovalView> =>
  (await clientOf(server, session).call('approvals.show', { approval })).approval;

export async function untilState(
  house: House,
  { approval }: Kept,
  state: ApprovalView['state'],
): Promise<void> {
  for (const node of house.site.nodes) {
    await until(`${approval} is ${state}`, async () => {
      const shown = await show(node, house.ada, approval);
      if (shown.state === state) return true;
      assert.ok(shown.state === 'pending' || shown.state === 'approved', JSON.stringify(shown));
      return false;
    });
  }
}

/** What the ledger says of the request and of what became of it, in order. */
export async function entriesOf({ server, tenant }: House, { approval }: Kept): Promise<DecisionEntry[]> {
  const auditor = clientOf(server, tenant.credentials.auditor.secret);
  const entries: DecisionEntry[] = await askLedger(auditor, { operation: 'keys.schedule-destruction' });
  return entries.filter((entry) => entry.approval === approval);
}

/** The one entry of the execution, which names exactly what was approved: the input of the request, under the hash that was signed. */
async function assertExecutedOnce(house: House, kept: Kept): Promise<void> {
  const { server, ada, tenant } = house;
  const { approval, key, reason } = kept;
  const { hash, document } = await readRequest(server, ada.session, approval);
  assert.deepEqual(
    [document['operation'], document['input'], document['requester']],
    ['keys.schedule-destruction', { key, reason }, ada.id],
  );
  const entries = await entriesOf(house, kept);
  assert.deepEqual(
    entries.map((entry) => [entry.outcome, entry.actor, entry.hash, entry.state]),
    [
      ['requested', ada.id, hash, undefined],
      ['success', ada.id, hash, 'deactivated'],
    ],
  );
  const auditor = clientOf(server, tenant.credentials.auditor.secret);
  const question = { key, operation: 'keys.schedule-destruction', outcome: 'success' } as const;
  assert.equal((await askLedger(auditor, question)).length, 1);
  const { payload } = await auditor.call('ledger.payload', { entry: entries[1]?.entry ?? '' });
  assert.deepEqual((payload as { input: unknown }).input, { reason });
}

/** The key is as it was, on every node. */
export async function assertNeverExecuted({ site, tenant }: House, retired: Retired): Promise<void> {
  for (const node of site.nodes) {
    const question = {
      key: retired.key,
      operation: 'keys.schedule-destruction',
      outcome: 'success',
    } as const;
    assert.deepEqual(await askLedger(clientOf(node, tenant.credentials.auditor.secret), question), []);
    assert.deepEqual(await readAll(node, tenant, retired), readable);
  }
}

/** Every node says that the destruction waits, the ledger that it was asked for once, and nothing opens any more. */
export async function untilScheduled(house: House, retired: Retired, kept: Kept): Promise<void> {
  await untilState(house, kept, 'executed');
  await assertExecutedOnce(house, kept);
  for (const node of house.site.nodes) {
    const { key, versions } = await clientOf(node, house.ada.session).call('keys.show', { key: kept.key });
    assert.deepEqual([key.destructionDueAt !== null, versions.length], [true, 1]);
    assert.deepEqual(await readAll(node, house.tenant, retired), unreadable);
  }
}
