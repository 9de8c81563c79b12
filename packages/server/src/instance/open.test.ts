import assert from 'node:assert/strict';
import { existsSync, readdirSync, readlinkSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeInstance, open, refusal } from './fixture.test.ts';

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
