import assert from 'node:assert/strict';
import {
  existsSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Epochs } from '../roots/index.ts';
import { copyOf, makeInstance, open, refusal } from './fixture.test.ts';

const openFiles = '/proc/self/fd';
const skip = !existsSync(openFiles) && `${openFiles} is not there: open files cannot be listed`;

/** The files below a folder that this process has open. */
function openBelow(folder: string): string[] {
  return readdirSync(openFiles).flatMap((fd) => {
    try {
      const file = readlinkSync(join(openFiles, fd));
      return file.startsWith(folder) ? [file] : [];
    } catch {
      // Closed meanwhile, such as the listing itself.
      return [];
    }
  });
}

test('an installation that does not open leaves nothing open', { skip }, async (t) => {
  const data = await makeInstance(t);
  truncateSync(join(data, 'shred', 'shred.db'), 4096);
  await assert.rejects(open(data), refusal('database.damaged'));
  assert.deepEqual(openBelow(data), []);
});

test('a node with another key under the number of the epoch does not open, write or go on [URS-037]', async (t) => {
  const data = await makeInstance(t);
  const other = copyOf(data, t);
  const instance = await open(data);
  const { epochs, shred, root } = instance;
  const [first, second] = [await epochs.current(), await epochs.begin()];
  // The second node did not share the folder, and made a second epoch of its own.
  const own = new Epochs(join(other, 'root'), root);
  const theirs = await own.begin();
  assert.ok(theirs.number === second.number && theirs.id !== second.id);
  const row = (number: number) => ({
    id: `row ${number}`,
    tenant: 't',
    kind: 'subject' as const,
    version: 'v',
    epoch: number,
    wrapped_secret: Buffer.alloc(1),
  });
  assert.equal(await shred.put(row(1), first), true);
  await shred.advance(second);
  await shred.advance(second);
  await assert.rejects(shred.advance(theirs), refusal('root.epoch_other'));
  await assert.rejects(shred.put(row(2), theirs), refusal('root.epoch_other'));
  await assert.rejects(shred.requireKey(theirs), refusal('root.epoch_other'));
  assert.equal(await shred.put(row(1), first), false);
  assert.equal(await shred.find('row 2'), undefined);
  await shred.requireKey(second);
  await epochs.retire(1);
  await instance.close();
  // It opens neither with the old epoch, nor with its own.
  const [kept, made] = ['epoch.json', 'epoch-2.json'].map((name) => readFileSync(join(other, 'root', name)));
  assert.ok(kept && made);
  for (const [name, content, code] of [
    ['epoch-2.json', made, 'root.epoch_other'],
    ['epoch.json', kept, 'root.epoch_missing'],
  ] as const) {
    const copy = copyOf(data, t);
    rmSync(join(copy, 'root', 'epoch-2.json'));
    writeFileSync(join(copy, 'root', name), content);
    await assert.rejects(open(copy), refusal(code));
  }
  await (await open(data)).close();
});

test('what an interrupted change of the epoch has left is destroyed when the installation opens [URS-037]', async (t) => {
  const data = await makeInstance(t);
  const left = join(data, 'root', 'epoch-1.json.x.retired');
  writeFileSync(left, 'a key that has lost its name');
  await (await open(data)).close();
  assert.equal(existsSync(left), false);
});
