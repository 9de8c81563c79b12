import assert from 'node:assert/strict';
import { open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { openEscrowKey } from '@trialkeep/crypto';
import { cheap, inFolder, newPair, passphrase, withCode } from './fixture.test.ts';
import { makeEscrowPair, readEscrowFile } from './pair.ts';

const options = { name: 'Archive', timeMs: 1_772_366_400_000, cost: cheap };
const given = { passphrase: () => Promise.resolve(passphrase) };

test('a pair is two files of its owner, which belong together and open [URS-054]', async () => {
  await inFolder(async (parent) => {
    const folder = join(parent, 'new', 'stick');
    const made = await makeEscrowPair({ ...options, ...given, folder });
    assert.deepEqual((await readdir(folder)).sort(), ['escrow.private', 'escrow.public']);
    for (const path of ['', 'escrow.public', 'escrow.private']) {
      assert.equal((await stat(join(folder, path))).mode & 0o077, 0, path);
    }
    const publicText = await readFile(made.publicFile, 'utf8');
    const privateText = await readFile(made.privateFile, 'utf8');
    const key = await openEscrowKey(privateText, passphrase);
    assert.equal(key.publicFile, publicText);
    assert.ok(!privateText.includes(passphrase));
    const { id, name, suite, createdAt } = made.recipient;
    assert.deepEqual([name, suite, createdAt], ['Archive', 'mlkem768-x25519', '2026-03-01T12:00:00.000Z']);
    const shown = await Promise.all([publicText, privateText].map(readEscrowFile));
    assert.deepEqual(
      shown.map((file) => [file.kind, file.recipient.id]),
      [
        ['public', id],
        ['private', id],
      ],
    );
  });
});

test('the regulated profile has the suite with P-256 [URS-045]', async () => {
  await inFolder(async (folder) => {
    const regulated = { profile: 'regulated', cost: { i: 210_000 } } as const;
    const { recipient, privateFile } = await makeEscrowPair({ ...options, ...given, ...regulated, folder });
    assert.equal(recipient.suite, 'mlkem768-p256');
    assert.match(await readFile(privateFile, 'utf8'), /"algorithm":"pbkdf2-sha512"/);
  });
});

test('a pair, or what is left of one, is never replaced, and nobody is asked for a passphrase in vain', async () => {
  await inFolder(async (folder) => {
    for (const name of ['escrow.public', 'escrow.private']) {
      await writeFile(join(folder, name), 'kept');
      const asked: string[] = [];
      const asking = { passphrase: () => Promise.resolve((asked.push('once'), passphrase)) };
      await assert.rejects(makeEscrowPair({ ...options, ...asking, folder }), withCode('escrow.pair_exists'));
      assert.deepEqual([asked, await readdir(folder)], [[], [name]]);
      assert.equal(await readFile(join(folder, name), 'utf8'), 'kept');
      await rm(join(folder, name));
    }
    const elsewhere = join(folder, 'file');
    await writeFile(elsewhere, '');
    await assert.rejects(makeEscrowPair({ ...options, ...given, folder: elsewhere }), {
      code: 'seal.target_unwritable',
    });
  });
});

test('where a pair cannot be made, nothing of it stays [URS-046]', async () => {
  await inFolder(async (folder) => {
    const short = { passphrase: () => Promise.resolve('too short') };
    const cases = [
      { more: short, code: 'crypto.passphrase_too_short' },
      { more: { ...given, name: 'two\nlines' }, code: 'crypto.argument_invalid' },
      { more: { ...given, signal: AbortSignal.abort(new Error('no more')) }, code: undefined },
      { more: { passphrase: () => Promise.reject(new Error('no more')) }, code: undefined },
    ];
    for (const { more, code } of cases) {
      const expected = code === undefined ? { message: 'no more' } : { code };
      await assert.rejects(makeEscrowPair({ ...options, ...more, folder }), expected);
      assert.deepEqual(await readdir(folder), []);
    }
  });
});

test('a private file that does not open as it was written is no pair to seal to [URS-046]', async () => {
  await inFolder(async (folder) => {
    const other = await newPair();
    const spoil = async (): Promise<string> => {
      // The disk has something else under the name than what was written to it.
      for (const name of await readdir(folder)) {
        await rm(join(folder, name));
        await writeFile(join(folder, name), other.privateFile);
      }
      return passphrase;
    };
    const making = makeEscrowPair({ ...options, passphrase: spoil, folder });
    await assert.rejects(making, withCode('escrow.key_not_kept'));
    assert.deepEqual(await readdir(folder), []);
  });
});

/** Lets flushes of folders fail on which `fails` says so; it is told how many there were before. */
async function failFlushes(
  t: TestContext,
  folder: string,
  fails: (before: number) => boolean,
): Promise<void> {
  const handle = await open(folder);
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const { sync } = prototype;
  let before = 0;
  t.mock.method(prototype, 'sync', async function (this: FileHandle): Promise<void> {
    if ((await this.stat()).isDirectory() && fails(before++)) {
      throw Object.assign(new Error('flush'), { code: 'EIO' });
    }
    await sync.call(this);
  });
}

test('where a folder cannot be flushed, no public file is left without its private one [URS-046] [URS-054]', async (t) => {
  const [none, privateOnly]: string[][] = [[], ['escrow.private']];
  const cases = [
    { name: 'once, at the private file', fails: (before: number) => before === 0, left: none },
    { name: 'once, at the public file', fails: (before: number) => before === 1, left: none },
    { name: 'from the private file on', fails: () => true, left: none },
    // Whether the public file comes back after a crash nobody can tell: the private one stays.
    { name: 'from the public file on', fails: (before: number) => before >= 1, left: privateOnly },
  ];
  for (const { name, fails, left } of cases) {
    await inFolder(async (folder) => {
      await failFlushes(t, folder, fails);
      const making = makeEscrowPair({ ...options, ...given, folder });
      await assert.rejects(making, { code: 'seal.target_unwritable' }, name);
      t.mock.restoreAll();
      assert.deepEqual(await readdir(folder), left, name);
    });
  }
});

test('a file that another process made meanwhile is not taken away [URS-046]', async () => {
  for (const [taken, left] of [
    ['escrow.public', ['escrow.public']],
    ['escrow.private', ['escrow.private']],
  ] as const) {
    await inFolder(async (folder) => {
      const meanwhile = async (): Promise<string> => {
        await writeFile(join(folder, taken), 'theirs');
        return passphrase;
      };
      const making = makeEscrowPair({ ...options, passphrase: meanwhile, folder });
      await assert.rejects(making, { code: 'seal.target_exists' });
      assert.deepEqual(await readdir(folder), left);
      assert.equal(await readFile(join(folder, taken), 'utf8'), 'theirs');
    });
  }
});

test('what is no file of a pair, to the letter, is refused', async () => {
  const { publicFile, privateFile } = await newPair();
  const cases = [
    '',
    'null',
    '{}',
    '{"type":"trialkeep-escrow-key"}',
    publicFile.slice(0, -1),
    ` ${publicFile}`,
    publicFile.replace('Archive', 'archive'),
    privateFile.replace('Archive', 'archive'),
    privateFile.replace('"name"', '"v":1,"name"'),
    'x'.repeat(20_000),
  ];
  for (const text of cases) {
    await assert.rejects(readEscrowFile(text), { code: 'crypto.escrow_key_malformed' }, text.slice(0, 40));
  }
});
