/** What holds for every place that an archive can lie in. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { TrialkeepError } from '../errors.ts';
import { verifyFolder } from '../verify/index.ts';
import { archiveLedger } from './archive.ts';
import { GrowingLog, newEd25519, newMlDsa } from './fixture.test.ts';
import type { StoreKind } from './fixture.test.ts';

export const withCode = (code: string) => (error: unknown) => {
  assert.ok(error instanceof TrialkeepError, String(error));
  assert.equal(error.code, code, error.message);
  return true;
};

export async function verdictOf(folder: string, verifierKey: readonly string[]) {
  const { verdict, size, findings } = await verifyFolder({ folder, verifierKey });
  return [verdict, size, findings.map(({ code }) => code)];
}

export function testArchives(kind: StoreKind): void {
  testGrowth(kind);
  testInterruption(kind);
  testHistory(kind);
  testKeys(kind);
  testTwo(kind);
}

/** What is new is added, and nothing else. */
function testGrowth({ name, skip, make }: StoreKind): void {
  test(
    `an archive in ${name} grows by what is new, and is the log at every step [URS-033] [URS-039]`,
    { skip },
    async (t) => {
      const { store, folder } = await make(t);
      const log = new GrowingLog();
      let previous = 0;
      // One entry, within a bundle, over several steps of fetching, up to a full tile, and nothing at all.
      for (const count of [1, 200, 5000, 256 * 24 - 5201, 0, 3]) {
        log.grow(count).calls.length = 0;
        const result = await archiveLedger(log, store);
        assert.deepEqual([result.previousSize, result.size], [previous, log.entries.length]);
        assert.deepEqual(await verdictOf(folder, log.verifierKeys), ['consistent', log.entries.length, []]);
        const fetched = log.calls.filter((call) => call.startsWith('entries/'));
        const first = Math.floor(previous / 256);
        assert.equal(fetched.length, count === 0 ? 0 : Math.ceil(log.entries.length / 256) - first);
        assert.ok(result.files <= fetched.length * 2 + 6, 'a full file is never written again');
        previous = log.entries.length;
      }
      assert.deepEqual(readKeys(folder), log.verifierKeys);
    },
  );
}

/** What an interrupted run left is used; what was altered is not. */
function testInterruption({ name, skip, make }: StoreKind): void {
  test(
    `an archive in ${name} that was interrupted is gone on with, and one that was altered is not [URS-033]`,
    { skip },
    async (t) => {
      const { store, folder } = await make(t);
      const log = new GrowingLog().grow(700);
      await archiveLedger(log, store);
      log.grow(5000);
      // Cut off in the middle: files without the checkpoint that covers them.
      const calling = new AbortController();
      const onProgress = () => calling.abort(new Error('cut off'));
      await assert.rejects(archiveLedger(log, store, { signal: calling.signal, onProgress }), /cut off/);
      assert.equal((await verdictOf(folder, log.verifierKeys))[1], 700);
      await archiveLedger(log, store);
      assert.deepEqual(await verdictOf(folder, log.verifierKeys), ['consistent', 5700, []]);

      log.grow(1000);
      const edge = join(folder, 'tile', '0', '022.p', String(5700 % 256));
      const genuine = readFileSync(edge);
      writeFileSync(edge, Buffer.alloc(genuine.length));
      await assert.rejects(archiveLedger(log, store), withCode('archive.altered'));
      writeFileSync(edge, genuine);
      assert.equal(await store.add('tile/entries/022', Buffer.from('something else')), true);
      await assert.rejects(archiveLedger(log, store), withCode('archive.altered'));
      const next = readFileSync(join(folder, 'tile', 'entries', '022'), 'utf8');
      assert.equal(next, 'something else', 'what is there is not replaced');
    },
  );
}

/** Whatever a server tells. */
function testHistory({ name, skip, make }: StoreKind): void {
  test(
    `an archive in ${name} keeps its history, whatever the server tells [URS-033] [URS-080]`,
    { skip },
    async (t) => {
      const { store, folder } = await make(t);
      const log = new GrowingLog().grow(600);
      await archiveLedger(log, store);
      const kept = readFileSync(join(folder, 'checkpoint'));
      const refused = async (other: GrowingLog, code: string, keys = log.verifierKeys) => {
        await assert.rejects(archiveLedger(other, store, { verifierKeys: keys }), withCode(code));
        assert.deepEqual(readFileSync(join(folder, 'checkpoint')), kept);
      };
      const like = (): GrowingLog => Object.assign(new GrowingLog(), { keys: log.keys });
      await refused(like().grow(500), 'archive.not_verified');
      await refused(like().grow(600, 'other'), 'archive.not_verified');
      await refused(like().grow(10, 'other').grow(900), 'archive.not_verified');
      await refused(
        Object.assign(like(), { name: 'archive.example/other' }).grow(900),
        'archive.key_unknown',
      );
      await refused(new GrowingLog().grow(900), 'archive.key_unknown');
      const lying = like().grow(900);
      lying.lie = (id, answer) => (id === 'ledger.tile' ? alter(answer as Uint8Array) : answer);
      await refused(lying, 'archive.not_verified');
      lying.lie = (id, answer) => (id === 'ledger.consistency' ? { hashes: [] } : answer);
      await refused(lying, 'archive.not_verified');
      const pruned = like().grow(1400);
      pruned.minimumIndex = 768;
      await refused(pruned, 'archive.pruned');
      pruned.minimumIndex = 512;
      assert.equal((await archiveLedger(pruned, store)).size, 1400);
    },
  );
}

/** Through a rotation. */
function testKeys({ name, skip, make }: StoreKind): void {
  test(
    `an archive in ${name} follows the keys of the log through a rotation, and believes no others [URS-003] [URS-033]`,
    { skip },
    async (t) => {
      const { store, folder } = await make(t);
      const log = new GrowingLog().grow(300);
      const [first, second, third] = [log.keys, [newEd25519(), newMlDsa()], [newEd25519()]] as const;
      await archiveLedger(log, store);
      Object.assign(log.grow(5), { keys: [...second, ...first] });
      assert.deepEqual((await archiveLedger(log, store)).verifierKeys, log.verifierKeys);
      Object.assign(log.grow(5), { keys: second });
      assert.deepEqual((await archiveLedger(log, store)).verifierKeys, log.verifierKeys);
      assert.deepEqual(readKeys(folder), log.verifierKeys);
      // Nobody was there during the overlap.
      Object.assign(log.grow(5), { keys: third });
      await assert.rejects(archiveLedger(log, store), withCode('archive.key_unknown'));
      assert.equal((await archiveLedger(log, store, { verifierKeys: log.verifierKeys })).size, 315);
    },
  );
}

/** Two that archive at once. */
function testTwo({ name, skip, make }: StoreKind): void {
  test(
    `in ${name} of two that archive at once none puts the checkpoint back [URS-033]`,
    { skip },
    async (t) => {
      const { store, folder } = await make(t);
      const log = new GrowingLog().grow(10);
      await archiveLedger(log, store);
      const slow = Object.assign(new GrowingLog(), { keys: log.keys }).grow(20);
      slow.lie = async (id, answer) => {
        if (id === 'ledger.bounds') await archiveLedger(log.grow(500), store);
        return answer;
      };
      await assert.rejects(archiveLedger(slow, store), withCode('archive.busy'));
      assert.equal((await verdictOf(folder, log.verifierKeys))[1], 510);
    },
  );
}

function alter(bundle: Uint8Array): Uint8Array {
  const altered = Uint8Array.from(bundle);
  altered[10] = (altered[10] ?? 0) ^ 1;
  return altered;
}

function readKeys(folder: string): string[] {
  return readFileSync(join(folder, 'verifier-keys'), 'utf8').trim().split('\n');
}
