/** What the tests of receipts share: a tenant with a use-logged key on either store, and a reporter that keeps its chain. */
import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { after } from 'node:test';
import type { TestContext } from 'node:test';
import type { Input, OperationId, Operations, Output } from '@trialkeep/contract';
import { chainUses, ed25519PublicKey, generateKey, noReceipt, signUses } from '@trialkeep/crypto';
import type { AttestedUse, ChainedReceipt } from '@trialkeep/crypto';
import { makeInstallation, openNode } from '../installation.fixture.test.ts';
import type { Node, Store } from '../installation.fixture.test.ts';

type Batch = Input<Operations['uses.report']>;

/** An entry as the ledger holds it. */
export interface Entry {
  readonly operation: string;
  readonly outcome: string;
  readonly code?: string;
  readonly [member: string]: unknown;
}

/** A request through the gate of the node. */
export function admitAt({ rooms }: Node) {
  return <Id extends OperationId>(
    operation: Id,
    credential: string,
    input: Input<Operations[Id]>,
  ): Promise<Output<Operations[Id]>> =>
    rooms.gate.admit({
      operation,
      authorization: `Bearer ${credential}`,
      input,
      source: '192.0.2.1',
      requestId: 'request',
    });
}
export type Admit = ReturnType<typeof admitAt>;

/** A tenant with a study, a subject, and a system that has a use-logged key and a service. */
export async function makeTenant(admit: Admit, administrator: string) {
  const name = `tenant ${randomUUID()}`;
  const { tenant, custodian } = await admit('tenants.create', administrator, { name });
  const { id: study } = await admit('studies.create', custodian.secret, { protocol: 'P-1' });
  const { alias: subject } = await admit('subjects.create', custodian.secret, { study, number: '001' });
  const made = { tenant: tenant.id, custodian: custodian.secret, study, subject };
  return { ...made, ...(await makeSystem(admit, custodian.secret, 'edc')) };
}

export async function makeSystem(admit: Admit, custodian: string, name: string) {
  const { id: system } = await admit('systems.create', custodian, { name, type: 'edc', vendor: 'vendor' });
  const { id: key } = await admit('keys.create', custodian, { system, useLogged: true });
  const renew = async () =>
    admit('credentials.issue', custodian, { name: 'service', role: 'service', system, keys: [key] });
  return { system, key, service: (await renew()).secret, renew };
}

/** One installation for all tests of a file on that store, each with a tenant of its own; made when it is first asked for. */
export function shareInstallation(store: Store): () => Promise<Arranged> {
  let made: Promise<{ node: Node; administrator: string }> | undefined;
  // What a test would end with ends with the file, the newest first.
  const endings: (() => unknown)[] = [];
  after(async () => {
    for (const end of endings.reverse()) await end();
  });
  const file = { after: (end: () => unknown) => void endings.push(end) } as unknown as TestContext;
  const make = async () => {
    const installation = await makeInstallation(file, store);
    return { node: await openNode(file, installation), administrator: installation.administrator };
  };
  return async () => {
    made ??= make();
    const { node, administrator } = await made;
    return arrange(node, administrator);
  };
}

async function arrange(node: Node, administrator: string) {
  const admit = admitAt(node);
  const tenant = await makeTenant(admit, administrator);
  const context = { study: tenant.study, subject: tenant.subject };
  return { node, administrator, admit, ...tenant, context };
}
export type Arranged = Awaited<ReturnType<typeof arrange>>;

/** Every entry of a tenant's log about receipts, in order. */
export async function useEntries({ instance }: Node, tenant: string): Promise<Entry[]> {
  const log = await instance.ledger.openOfTenant(tenant);
  assert.ok(log);
  const rows = await instance.database.read((tx) =>
    tx.selectFrom('ledger_entry').select('bytes').where('log', '=', log.id).orderBy('position').execute(),
  );
  const entries = rows.map(({ bytes }) => JSON.parse(Buffer.from(bytes).toString('utf8')) as Entry);
  return entries.filter(({ operation }) => operation === 'uses.report');
}

/** A client's chain of receipts. */
export class TestReporter {
  readonly key = generateKey('ED25519');
  readonly id = ed25519PublicKey(this.key).toString('hex');
  readonly uses: Batch['uses'];

  constructor(uses: readonly AttestedUse[]) {
    this.uses = uses.map((use) => ({ ...use }));
  }

  get chain(): ChainedReceipt[] {
    return chainUses({ reporter: this.id, first: 1, previous: noReceipt, uses: this.uses });
  }

  /** The receipts of these sequences, both included. */
  batch(first: number, last: number): Batch {
    const uses = this.uses.slice(first - 1, last);
    const previous = this.chain[first - 2]?.hash ?? noReceipt;
    return { ...signUses(this.key, { first, previous, uses }), uses };
  }
}

/** Some uses of a key for a subject, each another. */
export function usesOf(
  { key, study, subject }: Pick<Arranged, 'key' | 'study' | 'subject'>,
  count: number,
): AttestedUse[] {
  return Array.from({ length: count }, (_, i) => ({
    use: i % 2 === 0 ? ('seal' as const) : ('open' as const),
    key,
    dataKey: randomBytes(32).toString('hex'),
    study,
    subject,
    class: 'ecg',
    count: i + 1,
    time: 1_700_000_000_000 + i,
  }));
}
