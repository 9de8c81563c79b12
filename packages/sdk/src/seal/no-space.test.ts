import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { test } from 'node:test';
import { SealError } from '../errors.ts';
import { mountSmall } from '../small-disk.fixture.test.ts';
import { openFile, sealFile } from './file.ts';
import { inFolder, namesIn, StandInKeys } from './fixture.test.ts';
import { serverKeys } from './server-keys.ts';
import { sealStream } from './stream.ts';

// The network and the server are replaced (fixture.test.ts); the full disk is a real one.

test('a disk that fills up is named, and keeps no part of the target [URS-046]', async (t) => {
  await inFolder(async (folder) => {
    const small = join(folder, 'small');
    await mkdir(small);
    const impossible = mountSmall(small);
    if (impossible !== undefined) return t.skip(impossible);
    try {
      const client = new StandInKeys();
      const [source, sealed] = [join(folder, 'source'), join(folder, 'sealed')];
      await writeFile(source, randomBytes(3_000_000));
      const key = client.newKey();
      await sealFile(serverKeys(client, { key }), { source, target: sealed });
      const target = join(small, 'target');
      const full = (error: unknown) =>
        error instanceof SealError && error.code === 'seal.no_space' && error.path === target;
      await assert.rejects(sealFile(serverKeys(client, { key }), { source, target }), full);
      await assert.rejects(openFile(serverKeys(client), { source: sealed, target }), full);
      assert.deepEqual(await namesIn(small), []);
    } finally {
      execFileSync('umount', [small]);
    }
  });
});

test('a stream into a full device ends with its error', async (t) => {
  if (!existsSync('/dev/full')) return t.skip('this system has no /dev/full');
  await inFolder(async (folder) => {
    const client = new StandInKeys();
    const key = client.newKey();
    const source = join(folder, 'source');
    await writeFile(source, randomBytes(1_000_000));
    const sealing = pipeline(
      createReadStream(source),
      (plaintext) => sealStream(serverKeys(client, { key }), plaintext as AsyncIterable<Uint8Array>),
      createWriteStream('/dev/full'),
    );
    await assert.rejects(sealing, { code: 'ENOSPC' });
  });
});
