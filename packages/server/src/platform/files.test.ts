import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { writeFileDurably } from './files.ts';
import { SpaceReserve } from './reserve.ts';

function makeFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-files-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

test('a file is replaced as a whole, over what a crash left of an earlier attempt [URS-080]', (t) => {
  const folder = makeFolder(t);
  const file = join(folder, 'file');
  writeFileDurably(file, 'a longer first content');
  writeFileSync(`${file}.new`, 'half of someth');
  writeFileDurably(file, Buffer.from('second'));
  assert.equal(readFileSync(file, 'utf8'), 'second');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(folder), ['file']);
});

test('a file that cannot be replaced stays as it was, and nothing lies beside it [URS-080]', (t) => {
  const folder = makeFolder(t);
  const target = join(folder, 'folder');
  mkdirSync(join(target, 'kept'), { recursive: true });
  assert.throws(() => writeFileDurably(target, 'content'));
  assert.deepEqual(readdirSync(folder), ['folder']);
  assert.throws(() => writeFileDurably(join(folder, 'nowhere', 'file'), 'content'));
  assert.equal(existsSync(join(folder, 'nowhere')), false);
});

test('the reserve is set aside, given back once, and set aside again a while later [URS-004]', (t) => {
  const file = join(makeFolder(t), 'state', 'reserve');
  const clock = { time: 0, now: () => clock.time };
  const reserve = new SpaceReserve(file, clock);
  assert.equal(reserve.held(), true);
  assert.ok(statSync(file).size >= 1024 * 1024);
  assert.equal(reserve.release(), true);
  assert.deepEqual([existsSync(file), reserve.held(), reserve.release()], [false, false, false]);
  clock.time = 60_000;
  assert.deepEqual([reserve.held(), existsSync(file)], [true, true]);
});

test('a reserve that finds no room is not held [URS-004]', (t) => {
  const folder = makeFolder(t);
  // Stands for a disk that takes nothing more: no file can be made below a file.
  writeFileSync(join(folder, 'state'), '');
  assert.equal(new SpaceReserve(join(folder, 'state', 'reserve'), { now: () => 0 }).held(), false);
});
