import assert from 'node:assert/strict';
import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeFolder } from './fixture.test.ts';
import { describeFile } from './sealed-file.ts';

test('a file of more than 2 GiB is read for a backup and a restore [URS-080]', async (t) => {
  const file = join(makeFolder(t), 'large');
  const bytes = 2 ** 31 + 1;
  writeFileSync(file, '');
  truncateSync(file, bytes);
  const described = await describeFile(file);
  assert.equal(described.bytes, bytes);
  // SHA-256 of 2^31 + 1 zero bytes, as sha256sum computes it.
  assert.equal(described.sha256, 'b8030a8ab89280935633d8d991da3d9907c0f12e8b6fc3bfc515f4d440872b6e');
});
