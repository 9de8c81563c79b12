/** What the tests of the ledger share: nodes on one database, and what they can find there. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { generateKey } from '@trialkeep/crypto';
import { Ledger, sealDraft } from './audit/index.ts';
import { Hierarchy } from './keys/index.ts';
import type { Database } from './platform/database.ts';
import { makeFolder } from './platform/fixture.test.ts';
import type { Store } from './platform/fixture.test.ts';
import { newId } from './platform/ids.ts';
import type { ShredStore } from './shred/index.ts';

export const origin = 'trialkeep.localhost/test';
export const clock = { now: () => 1000 };

/** A node with its own anchor. */
export interface Node {
  readonly database: Database;
  readonly hierarchy: Hierarchy;
  readonly ledger: Ledger;
  readonly anchor: string;
  /** Why it would be in recovery. */
  readonly reasons: readonly string[];
  /** What it said when the database was put back underneath. */
  readonly rolledBack: string[];
}

/** An installation with an instance's log of one entry, and as many nodes as a test starts. */
export interface Scene {
  readonly database: Database;
  readonly folder: string;
  /** A node as it is after a start; the anchor of that name is its own. */
  start(anchor?: string): Promise<Node>;
}

export async function makeScene(t: TestContext, under: Store, name = origin): Promise<Scene> {
  const open = await under.make(t);
  const folder = makeFolder(t);
  const instanceKey = generateKey('AES_256');
  const makeNode = async (anchor: string): Promise<Node> => {
    const database = await open();
    const hierarchy = new Hierarchy({
      epochs: { current: () => assert.fail(), open: () => assert.fail(), refresh: () => assert.fail() },
      instanceKey,
      database,
      shred: {} as ShredStore,
    });
    const rolledBack: string[] = [];
    const parts = { database, hierarchy, clock, anchorFolder: join(folder, anchor) };
    const onRolledBack = (reason: string): void => void rolledBack.push(reason);
    const notes = { warn: (details: object) => assert.fail(JSON.stringify(details)) };
    const ledger = new Ledger({ ...parts, notes, onRolledBack });
    return { database, hierarchy, ledger, anchor: parts.anchorFolder, reasons: [], rolledBack };
  };
  const { database, ledger } = await makeNode('anchor');
  const log = ledger.newLog(name, null, instanceKey);
  const genesis = { operation: 'instance.create', outcome: 'success' as const, recorded: {} };
  const stored = await database.write((tx) => log.store(tx, 1000, genesis, {}));
  await stored.opened();
  const start = async (anchor = 'anchor'): Promise<Node> => {
    const node = await makeNode(anchor);
    return { ...node, reasons: await node.ledger.openAll() };
  };
  return { database, folder, start };
}

/** Makes a tenant as an operation of the instance's log does; `opened` has still to be called. */
export async function makeTenant({ database, hierarchy, ledger }: Node) {
  const tenant = newId();
  const key = hierarchy.newTenantKey(tenant);
  const made = ledger.newLog(`${origin}/${tenant}`, tenant, key.key);
  const { instanceLog } = ledger;
  const draft = { operation: 'tenants.create', outcome: 'success' as const, recorded: {} };
  const epoch = await epochOf(database, instanceLog.id);
  const stored = await ledger.appender.change(instanceLog.id, epoch, async (tx, time) => {
    const row = { id: tenant, account: tenant, name: tenant, created_at: time };
    await tx
      .insertInto('tenant')
      .values({ ...row, key_version: key.versionId, wrapped_key: key.wrapped })
      .execute();
    const result = await made.store(tx, time, draft, {});
    return { result, draft: sealDraft(draft, instanceLog.origin, {}, instanceLog.payloadKey) };
  });
  if (typeof stored === 'symbol') throw new Error('The epoch has moved on.');
  return { tenant, ...stored };
}

/** Appends entries of key use to the log, under the epoch that it has. */
export async function append(
  { database, ledger }: Node,
  count: number,
  id = ledger.instanceLog.id,
): Promise<void> {
  const log = await ledger.open(id);
  const epoch = await epochOf(database, id);
  const draft = { operation: 'test.entry', outcome: 'success' as const, recorded: {} };
  const sealed = () => sealDraft(draft, log.origin, {}, log.payloadKey);
  const outcomes = await Promise.all(
    Array.from({ length: count }, () => ledger.appender.append(id, epoch, sealed())),
  );
  for (const outcome of outcomes) assert.equal(typeof outcome, 'object');
}

async function epochOf(database: Database, log: number): Promise<number> {
  const head = await database.read((snapshot) =>
    snapshot.selectFrom('head').select('epoch').where('log', '=', log).executeTakeFirstOrThrow(),
  );
  return head.epoch;
}

export const sha256 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** RFC 6962 section 2.1, word for word and slow: the oracle. */
export function naiveRoot(entries: readonly Uint8Array[]): Buffer {
  const [only] = entries;
  if (only === undefined) return sha256();
  if (entries.length === 1) return sha256(Buffer.of(0), only);
  const k = 2 ** Math.floor(Math.log2(entries.length - 1));
  return sha256(Buffer.of(1), naiveRoot(entries.slice(0, k)), naiveRoot(entries.slice(k)));
}

/** Every entry of the log, in order. */
export async function entriesOf(database: Database, log: number): Promise<Uint8Array[]> {
  const rows = await database.read((snapshot) =>
    snapshot.selectFrom('ledger_entry').select('bytes').where('log', '=', log).orderBy('position').execute(),
  );
  return rows.map(({ bytes }) => bytes);
}

export const anchorFile = (anchor: string): string => join(anchor, readdirSync(anchor)[0] ?? assert.fail());

/** Puts the instance's log back to a smaller size, and all that follows from it, as restoring a backup does. */
export async function putBack({ database, ledger }: Node, size: number): Promise<void> {
  const { id: log } = ledger.instanceLog;
  const entries = (await entriesOf(database, log)).slice(0, size);
  const hashes = Buffer.concat(entries.map((entry) => sha256(Buffer.of(0), entry)));
  await database.write(async (tx) => {
    for (const table of ['ledger_entry', 'ledger_payload', 'ledger_index'] as const) {
      await tx.deleteFrom(table).where('log', '=', log).where('position', '>=', size).execute();
    }
    await tx.deleteFrom('ledger_checkpoint').where('log', '=', log).where('size', '>', size).execute();
    await tx.updateTable('ledger_tile').set({ hashes }).where('log', '=', log).execute();
    await tx
      .updateTable('ledger_tree')
      .set({ size, root: naiveRoot(entries) })
      .where('log', '=', log)
      .execute();
    await tx.updateTable('head').set({ size, epoch: 1 }).where('log', '=', log).execute();
  });
}

/** The sizes of the log's stored checkpoints. */
export async function checkpoints({ database, ledger }: Node, log = ledger.instanceLog.id) {
  const rows = await database.read((snapshot) =>
    snapshot.selectFrom('ledger_checkpoint').selectAll().where('log', '=', log).orderBy('size').execute(),
  );
  return rows.map(({ size }) => size);
}

/** How many entries the instance's log has. */
export async function sizeOf({ database, ledger }: Node): Promise<{ size: number }> {
  return database.read((snapshot) =>
    snapshot
      .selectFrom('head')
      .select('size')
      .where('log', '=', ledger.instanceLog.id)
      .executeTakeFirstOrThrow(),
  );
}
