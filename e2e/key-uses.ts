/** What tests share that look at the uses of a key while something changes: clients that use it, and what the ledger says of that. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { TrialkeepError } from '@trialkeep/sdk/client';
import type { Client, Input, Operations, Output } from '@trialkeep/sdk/client';
import { exportLedger, verifyFolder } from '@trialkeep/sdk/verify';
import { clientOf, makeFolder } from './harness.ts';
import type { ServerProcess } from './harness.ts';
import type { LedgerEntry, Tenant } from './tenant.ts';

const uses = ['keys.encrypt', 'keys.decrypt', 'keys.generate-data-key', 'keys.decrypt-data-key'] as const;
export type Use = (typeof uses)[number];
export const isUse = (operation: string): boolean => (uses as readonly string[]).includes(operation);

/** What a client asked for, when it began to (ms of this process's clock), and what became of it. */
export interface Attempt {
  readonly use: Use;
  readonly begun: number;
  /** The version of the key that was used; undefined where the request was refused. */
  readonly version: number | undefined;
  readonly code: string | undefined;
}

/** What a client has, to ask for each use of the key. */
export interface Material {
  readonly key: string;
  readonly ciphertext: string;
  readonly wrappedDataKey: string;
}

const context = { class: 'ecg' };
export const plaintext = Buffer.from('one reading').toString('base64');

export async function materialOf(client: Client, key: string): Promise<Material> {
  const { ciphertext } = await client.call('keys.encrypt', { key, context, plaintext });
  const wrapped = await client.call('keys.generate-data-key', { key, context });
  return { key, ciphertext, wrappedDataKey: wrapped.ciphertext };
}

export function use(client: Client, id: Use, { key, ciphertext, wrappedDataKey }: Material, reason?: string) {
  const why = reason === undefined ? {} : { reason };
  const inputs: { [Id in Use]: Input<Operations[Id]> } = {
    'keys.encrypt': { key, context, plaintext },
    'keys.decrypt': { key, context, ciphertext, ...why },
    'keys.generate-data-key': { key, context },
    'keys.decrypt-data-key': { key, context, ciphertext: wrappedDataKey, ...why },
  };
  return client.call(id, inputs[id]) as Promise<Output<Operations['keys.decrypt']>>;
}

export async function attempt(
  client: Client,
  id: Use,
  material: Material,
  reason?: string,
): Promise<Attempt> {
  const begun = performance.now();
  try {
    const { version } = await use(client, id, material, reason);
    return { use: id, begun, version, code: undefined };
  } catch (error) {
    if (!(error instanceof TrialkeepError)) throw error;
    return { use: id, begun, version: undefined, code: error.code };
  }
}

/** How many clients ask at once, and how often each asks before and after the change. */
export const clients = 8;
export const attemptsEach = 25;

/** Clients that use the key without a pause while `change` happens; gives what they saw, and when the change was acknowledged. */
export async function hammer<T>(
  server: ServerProcess,
  secret: string,
  material: Material,
  change: () => Promise<T>,
  { tried = uses, reason }: { readonly tried?: readonly Use[]; readonly reason?: string } = {},
): Promise<{ attempts: Attempt[]; acknowledged: number; changed: T }> {
  const attempts: Attempt[] = [];
  let acknowledged = Number.POSITIVE_INFINITY;
  let ready = 0;
  let allReady: () => void = () => undefined;
  const warm = new Promise<void>((resolve) => (allReady = resolve));
  const client = async (number: number): Promise<void> => {
    const connection = clientOf(server, secret);
    for (let before = 0, after = 0; after < attemptsEach;) {
      const id = tried[(number + before + after) % tried.length] ?? assert.fail();
      const made = await attempt(connection, id, material, reason);
      attempts.push(made);
      if (made.begun > acknowledged) after += 1;
      else before += 1;
      if (before === attemptsEach && (ready += 1) === clients) allReady();
    }
  };
  const working = Promise.all(Array.from({ length: clients }, (_, number) => client(number)));
  await Promise.race([warm, working]);
  // The clients end some attempts after the change, whether or not it came about.
  const changed = await change().finally(() => (acknowledged = performance.now()));
  await working;
  return { attempts, acknowledged, changed };
}

/** The attempts that were begun before the acknowledgement, and those after it; there are enough of both. */
export function divide({ attempts, acknowledged }: { attempts: Attempt[]; acknowledged: number }) {
  const { earlier = [], later = [] } = Object.groupBy(attempts, ({ begun }) =>
    begun > acknowledged ? 'later' : 'earlier',
  );
  assert.ok(earlier.length >= clients * attemptsEach && later.length === clients * attemptsEach);
  return { earlier, later };
}

export const codesOf = (attempts: readonly Attempt[]): Set<string> =>
  new Set(attempts.map(({ code }) => code ?? 'success'));

/** The tenant's whole ledger, exported, verified against a checkpoint kept before, and read from the export. */
export async function exported(
  server: ServerProcess,
  { credentials, verifierKey }: Tenant,
  kept: string,
): Promise<LedgerEntry[]> {
  const folder = join(makeFolder(), 'ledger');
  await exportLedger(clientOf(server, credentials.auditor.secret), folder, { verifierKey });
  const entries: LedgerEntry[] = [];
  const result = await verifyFolder({
    folder,
    verifierKey,
    keptCheckpoint: Buffer.from(kept),
    onEntry: (index, bytes) =>
      void (entries[index] = JSON.parse(Buffer.from(bytes).toString()) as LedgerEntry),
  });
  assert.deepEqual([result.verdict, result.findings], ['verified', []]);
  return entries;
}

/** The newest checkpoint of the tenant's log. */
export const keep = (server: ServerProcess, { credentials }: Tenant): Promise<string> =>
  clientOf(server, credentials.auditor.secret).call('ledger.checkpoint', {});

export function positionOf(entries: readonly LedgerEntry[], operation: string): number {
  const position = entries.findIndex((entry) => entry.operation === operation && entry.outcome === 'success');
  assert.ok(position > 0, operation);
  return position;
}

/** Successful uses of the key, by services. */
export const successes = (entries: readonly LedgerEntry[], key: string): LedgerEntry[] =>
  entries.filter((entry) => isUse(entry.operation) && entry.key === key && entry.outcome === 'success');

/** Attempts until one of another outcome than the first comes, and a few more; at most twenty seconds. */
export async function untilChanged(client: Client, id: Use, material: Material): Promise<Attempt[]> {
  const attempts = [await attempt(client, id, material)];
  for (let changed = 0; changed < 5;) {
    assert.ok(attempts.length < 1000, 'nothing changed within twenty seconds');
    await pause(20);
    const made = await attempt(client, id, material);
    attempts.push(made);
    if (made.code !== attempts[0]?.code) changed += 1;
  }
  return attempts;
}
