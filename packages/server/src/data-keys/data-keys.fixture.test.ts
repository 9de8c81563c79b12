/** What tests of registered data keys share: a tenant with a key, a service of it, and its custodian. */
import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import type { TestContext } from 'node:test';
import type { Input, OperationId, Operations, Output } from '@trialkeep/contract';
import type { Clock } from '../platform/clock.ts';
import { OperationError } from '../platform/errors.ts';
import { makeInstallation, openNode } from '../installation.fixture.test.ts';
import type { Installation, Node, Store } from '../installation.fixture.test.ts';

export type Wrapped = Output<Operations['keys.generate-data-key']>;

export interface Scene {
  readonly installation: Installation;
  readonly node: Node;
  readonly tenant: string;
  readonly system: string;
  readonly key: string;
  readonly custodian: string;
  readonly service: string;
  call<Id extends OperationId>(
    operation: Id,
    secret: string,
    input: Input<Operations[Id]>,
    at?: Node,
  ): Promise<Output<Operations[Id]>>;
  /** Data keys as the server makes them, each with its context. */
  make(count: number, context?: Record<string, string>): Promise<Wrapped[]>;
}

export const referenceOf = (ciphertext: string): string =>
  createHash('sha256').update(Buffer.from(ciphertext, 'base64')).digest('hex');

/** The code of a refusal. */
export async function codeOf(call: Promise<unknown>): Promise<string> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof OperationError, String(error));
    return error.code;
  }
  return 'success';
}

/** Wraps data keys anew while the test runs. */
export async function work(t: TestContext, { rooms }: Node): Promise<void> {
  await rooms.rewraps.start();
  t.after(() => rooms.rewraps.stop());
}

export async function makeScene(t: TestContext, store: Store, clock?: Clock): Promise<Scene> {
  const installation = await makeInstallation(t, store);
  const node = await openNode(t, installation, clock);
  const call: Scene['call'] = (operation, secret, input, at = node) =>
    at.rooms.gate.admit({
      operation,
      input,
      authorization: `Bearer ${secret}`,
      source: '192.0.2.1',
      requestId: 'request',
    });
  const made = await call('tenants.create', installation.administrator, { name: `Tenant ${randomUUID()}` });
  const custodian = made.custodian.secret;
  const { id: system } = await call('systems.create', custodian, { name: 'edc', type: 'edc', vendor: 'v' });
  const { id: key } = await call('keys.create', custodian, { system });
  const issued = await call('credentials.issue', custodian, {
    name: 'edc',
    role: 'service',
    system,
    keys: [key],
  });
  const make: Scene['make'] = async (count, context) => {
    const all: Wrapped[] = [];
    for (let i = 0; i < count; i += 1) {
      const input = { key, ...(context !== undefined && { context }) };
      all.push(await call('keys.generate-data-key', issued.secret, input));
    }
    return all;
  };
  return {
    installation,
    node,
    tenant: made.tenant.id,
    system,
    key,
    custodian,
    service: issued.secret,
    call,
    make,
  };
}
