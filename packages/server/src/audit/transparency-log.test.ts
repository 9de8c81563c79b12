import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { generateKey } from '@trialkeep/crypto';
import { openNote, parseCheckpoint } from '@trialkeep/ledger';
import { Hierarchy } from '../keys/index.ts';
import { createDatabase, openDatabase } from '../platform/database.ts';
import type { Database } from '../platform/database.ts';
import { ShredStore } from '../shred/index.ts';
import type { RootOfTrust } from '../roots/index.ts';
import { sealDraft } from './entry.ts';
import { Ledger } from './ledger.ts';
import * as store from './store.ts';
import { logVerifier } from './transparency-log.ts';

const origin = 'trialkeep.localhost/test';
const clock = { now: () => 1000 };

const sha256 = (...parts: Uint8Array[]): Buffer => {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** RFC 6962 section 2.1, word for word and slow: the oracle. */
function naiveRoot(entries: readonly Uint8Array[]): Buffer {
  const [only] = entries;
  if (only === undefined) return sha256();
  if (entries.length === 1) return sha256(Buffer.of(0), only);
  const k = 2 ** Math.floor(Math.log2(entries.length - 1));
  return sha256(Buffer.of(1), naiveRoot(entries.slice(0, k)), naiveRoot(entries.slice(k)));
}

interface Scene {
  /** The database's file. */
  readonly file: string;
  readonly database: Database;
  readonly anchor: string;
  /** The ledger, as it is after a start. */
  start(): Promise<{ ledger: Ledger; reasons: string[] }>;
}

/** A database with one log of one entry, which is anchored. */
async function makeScene(t: TestContext, name = origin): Promise<Scene> {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-log-'));
  const files = { main: join(folder, 'main.db'), shred: join(folder, 'shred.db') };
  createDatabase(files.main, 'main');
  createDatabase(files.shred, 'shred');
  const database: Database = openDatabase(files.main, 'main');
  const shred = ShredStore.open(files.shred);
  t.after(async () => {
    await database.close();
    await shred.close();
    rmSync(folder, { recursive: true, force: true });
  });
  const instanceKey = generateKey('AES_256');
  const root = { epochKey: () => assert.fail() } as unknown as RootOfTrust;
  const hierarchy = new Hierarchy({ root, instanceKey, database, shred });
  const anchor = join(folder, 'anchor');
  const makeLedger = (): Ledger =>
    new Ledger({ database, hierarchy, clock, anchorFolder: anchor, notes: { warn: () => undefined } });
  const log = makeLedger().newLog(name, null, instanceKey);
  const genesis = { operation: 'instance.create', outcome: 'success' as const, recorded: {} };
  const stored = await database.write((tx) => log.store(tx, 1000, genesis, {}));
  await stored.opened();
  const start = async () => {
    const ledger = makeLedger();
    return { ledger, reasons: await ledger.open() };
  };
  return { file: files.main, database, anchor, start };
}

async function append(ledger: Ledger, count: number): Promise<void> {
  const log = ledger.instanceLog;
  const draft = { operation: 'test.entry', outcome: 'success' as const, recorded: {} };
  const sealed = () => sealDraft(draft, log.origin, {}, log.payloadKey);
  await Promise.all(Array.from({ length: count }, () => ledger.appender.append(log.id, 1, sealed())));
}

async function entriesOf(database: Database, log: number): Promise<Uint8Array[]> {
  return database.read((snapshot) => store.readEntries(snapshot, log, 0, 100_000));
}

async function signed(ledger: Ledger) {
  const note = await ledger.anchorNow(ledger.instanceLog.id);
  const { text } = await openNote(note, [logVerifier(ledger.instanceLog.verifierKey)]);
  return parseCheckpoint(text);
}

test('checkpoints sign the RFC 6962 root over the committed entries, whatever the size [URS-033]', async (t) => {
  const { database, start } = await makeScene(t);
  const { ledger } = await start();
  for (const count of [0, 1, 253, 1, 1, 300, 1100]) {
    await append(ledger, count);
    const { origin: name, size, root } = await signed(ledger);
    const entries = await entriesOf(database, ledger.instanceLog.id);
    assert.deepEqual([name, size], [origin, entries.length]);
    assert.equal(Buffer.from(root).toString('hex'), naiveRoot(entries).toString('hex'), `size ${size}`);
  }
});

test('after a restart the tree goes on from its stored tiles, and catches up with what was committed [URS-032] [URS-033]', async (t) => {
  const { database, start } = await makeScene(t);
  const first = await start();
  await append(first.ledger, 700);
  await signed(first.ledger);
  // Committed, and never integrated: the process has ended before.
  await append(first.ledger, 50);
  const { ledger, reasons } = await start();
  assert.deepEqual(reasons, []);
  assert.equal(ledger.instanceLog.size, 751);
  await append(ledger, 600);
  const { size, root } = await signed(ledger);
  const entries = await entriesOf(database, ledger.instanceLog.id);
  assert.equal(size, 1351);
  assert.equal(Buffer.from(root).toString('hex'), naiveRoot(entries).toString('hex'));
  const indexed = await database.read((snapshot) =>
    store.findEntries(snapshot, ledger.instanceLog.id, {}, { after: -1, to: 1e9 }, 10_000),
  );
  assert.deepEqual(
    indexed.map(({ bytes }) => Buffer.from(bytes).toString('utf8')),
    entries.map((bytes) => Buffer.from(bytes).toString('utf8')),
  );
});

test('concurrent checkpoints of one log agree, and never go back [URS-033]', async (t) => {
  const { start } = await makeScene(t);
  const { ledger } = await start();
  const sizes: number[] = [];
  await Promise.all([
    append(ledger, 400),
    ...Array.from({ length: 10 }, async () => sizes.push((await signed(ledger)).size)),
  ]);
  assert.deepEqual(
    sizes,
    [...sizes].sort((a, b) => a - b),
  );
  assert.equal((await signed(ledger)).size, 401);
});

test('a database whose tiles, root or checkpoints do not fit each other does not start [URS-008] [URS-033]', async (t) => {
  const altered = { code: 'database.altered' };
  for (const damage of [
    'update ledger_tile set hashes = zeroblob(length(hashes)) where level = 0 and tile = 1',
    'delete from ledger_tile where level = 1',
    'update head set root = zeroblob(32)',
    'update head set integrated_size = integrated_size - 1',
  ]) {
    const { file, start } = await makeScene(t);
    const { ledger } = await start();
    await append(ledger, 400);
    await signed(ledger);
    await start();
    execute(file, damage);
    await assert.rejects(start(), altered, damage);
  }
});

/** Changes the database behind the server. */
function execute(file: string, ...statements: string[]): void {
  const database = new DatabaseSync(file, { timeout: 5000 });
  for (const sql of statements) database.exec(sql);
  database.close();
}

const anchorFile = (anchor: string): string => join(anchor, readdirSync(anchor)[0] ?? assert.fail());

test('a database behind its anchor is noticed at start [URS-080]', async (t) => {
  const scene = await makeScene(t);
  const { ledger } = await scene.start();
  await append(ledger, 10);
  await signed(ledger);
  execute(
    scene.file,
    'delete from ledger_entry where position >= 5',
    'delete from ledger_payload where position >= 5',
    'delete from ledger_index where position >= 5',
    'delete from ledger_checkpoint',
    'update ledger_tile set hashes = substr(hashes, 1, 160)',
    'update head set size = 5, integrated_size = 5, epoch = 1',
  );
  const entries = await entriesOf(scene.database, ledger.instanceLog.id);
  await scene.database.write((tx) =>
    tx
      .updateTable('head')
      .set({ root: naiveRoot(entries) })
      .execute(),
  );
  const { reasons } = await scene.start();
  assert.equal(reasons.length, 1);
  assert.match(reasons[0] ?? '', /knows 5 entries .* the anchor 11/);
});

test('a database beside its anchor, with another history of the same length, is noticed at start [URS-080]', async (t) => {
  const scene = await makeScene(t);
  const { ledger } = await scene.start();
  await append(ledger, 5);
  const kept = await signed(ledger);
  const anchored = readFileSync(anchorFile(scene.anchor));
  const rows = await entriesOf(scene.database, ledger.instanceLog.id);
  const other = [...rows.slice(0, 4), Buffer.from('{"entry":"another"}'), ...rows.slice(5)];
  await scene.database.write(async (tx) => {
    await tx
      .updateTable('ledger_entry')
      .set({ bytes: other[4] ?? new Uint8Array() })
      .where('position', '=', 4)
      .execute();
    const hashes = Buffer.concat(other.map((bytes) => sha256(Buffer.of(0), bytes)));
    await tx.updateTable('ledger_tile').set({ hashes }).execute();
    await tx
      .updateTable('head')
      .set({ root: naiveRoot(other) })
      .execute();
    await tx.deleteFrom('ledger_checkpoint').execute();
  });
  writeFileSync(anchorFile(scene.anchor), anchored);
  const { reasons } = await scene.start();
  assert.equal(reasons.length, 1);
  assert.match(reasons[0] ?? '', new RegExp(`differs from the anchor's at ${kept.size} entries`));
});

test('an anchor of another installation, a damaged one and a missing one are noticed at start [URS-080]', async (t) => {
  const scene = await makeScene(t);
  const { ledger } = await scene.start();
  await append(ledger, 3);
  await signed(ledger);
  const own = readFileSync(anchorFile(scene.anchor));
  const file = anchorFile(scene.anchor);

  const foreign = await makeScene(t, 'trialkeep.localhost/other');
  const beside = join(scene.anchor, 'other.checkpoint');
  writeFileSync(beside, readFileSync(anchorFile(foreign.anchor)));
  assert.match((await scene.start()).reasons.join(), /knows nothing of log trialkeep\.localhost\/other/);
  rmSync(beside);

  // The same origin, signed by a key that is not the log's.
  const forged = await makeScene(t);
  writeFileSync(file, readFileSync(anchorFile(forged.anchor)));
  assert.match((await scene.start()).reasons.join(), /is not a checkpoint of log/);

  for (const damaged of [
    own.subarray(0, own.length - 20),
    Buffer.from(own.toString('utf8').replace('\n4\n', '\n3\n')),
  ]) {
    writeFileSync(file, damaged);
    assert.equal((await scene.start()).reasons.length, 1);
  }
  for (const rubbish of [Buffer.alloc(0), Buffer.from([0xff, 0xfe, 0]), Buffer.alloc(100_000, 0x41)]) {
    writeFileSync(file, rubbish);
    assert.ok((await scene.start()).reasons.length > 0);
  }
  rmSync(file);
  assert.match((await scene.start()).reasons.join(), /anchor of log .* is gone/);

  writeFileSync(file, own);
  mkdirSync(join(scene.anchor, 'folder'));
  writeFileSync(`${file}.new`, own.subarray(0, 10));
  assert.deepEqual((await scene.start()).reasons, [], 'what a crash left of a newer one is not read');
});
