/** What the tests of batches share: a service that uses a key, on either store, and what may happen in the middle of its batch. */
import { randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import type { Input, ItemOutcome, OperationId, Operations, Output } from '@trialkeep/contract';
import { entriesOf, makeInstallation, openNode } from './installation.fixture.test.ts';
import type { Entry, Node, Store } from './installation.fixture.test.ts';
import type { Context } from './platform/implementation.ts';

export const requestId = 'one request';
export const plaintext = Buffer.from('a value').toString('base64');
export type Encrypted = ItemOutcome<Output<Operations['keys.encrypt']>>;

export class Batches {
  readonly node: Node;
  /** The node that the custodian asks. */
  readonly other: Node;
  readonly tenant: string;
  readonly custodian: string;
  readonly system: string;
  readonly key: string;
  readonly service: string;
  readonly credential: string;
  /** How often an encryption was done, whatever became of it. */
  encryptions = 0;
  /** Called before each encryption, with how many there were. */
  beforeEach: (done: number) => Promise<unknown> = async () => undefined;

  private constructor(
    [node, other]: readonly [Node, Node],
    made: Record<'tenant' | 'custodian' | 'system' | 'key' | 'service' | 'credential', string>,
  ) {
    this.node = node;
    this.other = other;
    this.tenant = made.tenant;
    this.custodian = made.custodian;
    this.system = made.system;
    this.key = made.key;
    this.service = made.service;
    this.credential = made.credential;
  }

  /** A new installation with its first tenant. */
  static async arrange(t: TestContext, store: Store): Promise<Batches> {
    const installation = await makeInstallation(t, store);
    const node = await openNode(t, installation);
    return Batches.tenant([node, node], installation.administrator);
  }

  /** Another tenant of an installation; the service asks the first of the nodes, the custodian the second. */
  static async tenant(nodes: readonly [Node, Node], administrator: string): Promise<Batches> {
    const [node] = nodes;
    const { tenant, custodian } = await ask(node, 'tenants.create', administrator, {
      name: `Tenant ${randomUUID()}`,
    });
    const made = { type: 'edc', name: 'edc', vendor: 'vendor' } as const;
    const { id: system } = await ask(node, 'systems.create', custodian.secret, made);
    const { id: key } = await ask(node, 'keys.create', custodian.secret, { system });
    const issue = { name: 'service', role: 'service', system, keys: [key] } as const;
    const issued = await ask(node, 'credentials.issue', custodian.secret, { ...issue, keys: [key] });
    const { secret: service, credential } = issued;
    const ids = { tenant: tenant.id, custodian: custodian.secret, system, key, service };
    const batches = new Batches(nodes, { ...ids, credential: credential.id });
    batches.#listen();
    return batches;
  }

  /** By the service. */
  asks<Id extends OperationId>(id: Id, input: Input<Operations[Id]>): Promise<Output<Operations[Id]>> {
    return ask(this.node, id, this.service, input);
  }

  /** By the custodian. */
  rules<Id extends OperationId>(id: Id, input: Input<Operations[Id]>): Promise<Output<Operations[Id]>> {
    return ask(this.other, id, this.custodian, input);
  }

  /** Encrypts that many values, which their class tells apart in the ledger: `c0`, `c1`, …. */
  async encrypts(count: number): Promise<Encrypted[]> {
    const items = Array.from({ length: count }, (_, i) => ({ plaintext, context: { class: `c${i}` } }));
    return (await this.asks('keys.encrypt-batch', { key: this.key, items })).items;
  }

  /** What the ledger says of an operation, in order; with none, of everything. */
  async entries(operation?: string): Promise<Entry[]> {
    const all = await entriesOf(this.node.instance, this.tenant);
    return all.filter((entry) => operation === undefined || entry['operation'] === operation);
  }

  #listen(): void {
    const { implementations } = this.node.rooms;
    const bound = implementations['keys.encrypt'];
    Reflect.set(implementations, 'keys.encrypt', async (context: Context<'keys.encrypt'>) => {
      if (context.input.key === this.key) await this.beforeEach(this.encryptions++);
      return bound(context);
    });
  }
}

function ask<Id extends OperationId>(
  { rooms }: Node,
  operation: Id,
  credential: string,
  input: Input<Operations[Id]>,
): Promise<Output<Operations[Id]>> {
  const authorization = `Bearer ${credential}`;
  return rooms.gate.admit({ operation, authorization, input, source: '192.0.2.1', requestId });
}
