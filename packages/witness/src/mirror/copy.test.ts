import assert from 'node:assert/strict';
import files from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { Tree, leafHash } from '@trialkeep/ledger';
import { sha256 } from '../primitives.ts';
import { makeFolder } from '../process.fixture.ts';
import { LogCopy, type AuthenticEntries } from './copy.ts';

const entriesOf = (start: number, end: number): AuthenticEntries => {
  const entries = Array.from({ length: end - start }, (_, i) => Buffer.from(`entry ${start + i}`));
  return { start, entries, leafHashes: entries.map((entry) => leafHash(sha256, entry)) };
};

/** Has something happen before the file of that name is read for the first time. */
function beforeReading(t: TestContext, name: string, happen: () => Promise<void>): void {
  const { readFile } = files;
  let pending = true;
  const mocked = t.mock.method(files, 'readFile', async (...args: Parameters<typeof readFile>) => {
    const [path] = args;
    if (pending && typeof path === 'string' && path.endsWith(name)) {
      pending = false;
      await happen();
    }
    return readFile(...args);
  });
  syncBuiltinESMExports();
  t.after(() => {
    mocked.mock.restore();
    syncBuiltinESMExports();
  });
}

async function copyOf(t: TestContext): Promise<{ copy: LogCopy; folder: string }> {
  const folder = makeFolder(t);
  const copy = await LogCopy.open({ folder: join(folder, 'copy'), staging: join(folder, 'staging') }, 0);
  await copy.append(entriesOf(0, 300));
  return { copy, folder };
}

test('a tile that another upload fills while it is read is read in its new width [URS-034]', async (t) => {
  const { copy } = await copyOf(t);
  beforeReading(t, join('tile', '0', '001.p', '44'), async () => {
    await copy.append(entriesOf(300, 600));
    await copy.dropOutgrown(300);
  });
  const expected = Tree.empty(sha256).append(entriesOf(0, 300).leafHashes).tiles;
  const partial = expected.find(({ address }) => address.level === 0 && address.index === 1);
  assert.deepEqual(Buffer.from(await copy.leafHashes(1, 44)), Buffer.from(partial?.hashes ?? []));
  assert.equal(copy.nextEntry, 600);
});

test('a tile that is missing without another upload is damage [URS-033] [URS-034]', async (t) => {
  const { copy, folder } = await copyOf(t);
  await files.rm(join(folder, 'copy', 'tile', '0', '001.p', '44'));
  await assert.rejects(copy.leafHashes(1, 44), { code: 'witness.copy_damaged' });
});
