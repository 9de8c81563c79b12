import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { commitToSecret, formatShare, generateKey, splitSecret } from '@trialkeep/crypto';
import { systemClock } from '../../platform/clock.ts';
import { OperationError, StartupError } from '../../platform/errors.ts';
import { freshPlace, rootConformance } from '../conformance.fixture.test.ts';
import { createRoot, makeRoot, openRoot, openRootOnly } from '../open.ts';
import {
  readRootFile,
  releaseRootKey,
  resharedFile,
  rootKeyFrom,
  Unsealing,
  writeRootFile,
} from './index.ts';
import type { ShareSet } from './index.ts';

function newSet(threshold = 2, count = 3): ShareSet {
  const secret = randomBytes(32);
  const shares = splitSecret(secret, { threshold, count });
  return { shares, commitment: commitToSecret(secret, shares[0]?.set ?? '') };
}

function newFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-shares-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Seals the root of the folder, as the end of the process does. */
function seal(folder: string): void {
  releaseRootKey(readRootFile(folder).id);
}

function textsOf({ shares }: ShareSet): string[] {
  return shares.map(formatShare);
}

function refused(code: string): (error: unknown) => boolean {
  return (error) => (error instanceof OperationError || error instanceof StartupError) && error.code === code;
}

const conforming = async (t: TestContext) => {
  const folder = newFolder(t);
  const set = newSet();
  return {
    create: () => makeRoot(folder, { kind: 'shares', set }),
    open: async () => {
      seal(folder);
      const unsealing = new Unsealing(folder, systemClock);
      for (const text of textsOf(set).slice(1)) unsealing.give(text, '127.0.0.1');
      return openRootOnly(folder);
    },
    secrets: [...textsOf(set), ...set.shares.map(({ value }) => Buffer.from(value).toString('hex'))],
  };
};
rootConformance('shares', conforming, { hasModule: false });

test('a sealed root opens nothing, and still seals backups to its public key [URS-009] [URS-010]', async (t) => {
  const folder = newFolder(t);
  const set = newSet();
  const { root } = await createRoot(folder, { kind: 'shares', set });
  const [place, backup] = [freshPlace(), freshPlace('backup')];
  const key = generateKey('AES_256');
  const wrapped = await root.wrap(place, key);
  seal(folder);
  await assert.rejects(openRoot(folder), refused('root.sealed'));
  const sealed = await openRootOnly(folder);
  await assert.rejects(sealed.check(), refused('root.sealed'));
  await assert.rejects(sealed.unwrap(place, wrapped), refused('root.sealed'));
  await assert.rejects(sealed.wrap(place, key), refused('root.sealed'));
  const forBackup = await sealed.wrap(backup, key);
  assert.ok(key.equals(await sealed.unwrap(backup, forBackup)), 'Its own, to check the backup.');
  await assert.rejects((await openRootOnly(folder)).unwrap(backup, forBackup), refused('root.sealed'));
  assert.ok(key.equals(await root.unwrap(backup, forBackup)));
});

test('root.json holds no share, no secret and no root key, for its owner alone [URS-008] [URS-010]', async (t) => {
  const folder = newFolder(t);
  const set = newSet(3, 5);
  await makeRoot(folder, { kind: 'shares', set });
  const path = join(folder, 'root.json');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const text = readFileSync(path, 'utf8');
  const rootKey = rootKeyFrom(readRootFile(folder), set.shares).export();
  for (const secret of [rootKey, ...set.shares.map(({ value }) => value)]) {
    const bytes = Buffer.from(secret);
    for (const encoding of ['hex', 'base64', 'base64url'] as const)
      assert.ok(!text.includes(bytes.toString(encoding)));
  }
  for (const share of textsOf(set)) assert.ok(!text.includes(share));
});

test('any two of three shares open it, one does not, and a repeated one does not count [URS-010]', async (t) => {
  const folder = newFolder(t);
  const set = newSet();
  await createRoot(folder, { kind: 'shares', set });
  const texts = textsOf(set);
  for (const [first, second] of [
    [0, 1],
    [2, 0],
    [1, 2],
  ] as const) {
    seal(folder);
    const unsealing = new Unsealing(folder, systemClock);
    const one = unsealing.give(texts[first] ?? '', '127.0.0.1');
    assert.deepEqual([one.given, one.threshold, unsealing.isOpen], [1, 2, false]);
    assert.equal(unsealing.give(texts[first]?.toLowerCase() ?? '', '::1').given, 1);
    await assert.rejects(openRoot(folder), refused('root.sealed'));
    assert.equal(unsealing.give(texts[second] ?? '', '::1').given, 2);
    assert.ok(unsealing.isOpen);
    await openRoot(folder);
    const { shares, wrong } = unsealing.record;
    assert.deepEqual(
      shares.map(({ index, source }) => [index, source]),
      [
        [first + 1, '127.0.0.1'],
        [second + 1, '::1'],
      ],
    );
    assert.equal(wrong, 0);
  }
});

test('each wrong share is told by itself, counted, and keeps nothing shut for the right ones [URS-010]', async (t) => {
  const folder = newFolder(t);
  const set = newSet();
  await createRoot(folder, { kind: 'shares', set });
  seal(folder);
  const [first = assert.fail(), second = assert.fail()] = set.shares;
  const value = Uint8Array.from(first.value);
  value[31] = (value[31] ?? 0) ^ 1;
  const right = formatShare(first);
  const slip = right.slice(0, -1) + (right.endsWith('Z') ? 'Y' : 'Z');
  const cases: [string, string][] = [
    ['', 'unseal.share_malformed'],
    ['TKS1', 'unseal.share_malformed'],
    [slip, 'unseal.share_mistyped'],
    [formatShare({ ...first, value }), 'unseal.share_wrong'],
    [formatShare({ ...first, index: 2 }), 'unseal.share_wrong'],
    [formatShare({ ...first, threshold: 3 }), 'unseal.share_wrong'],
    [formatShare(newSet().shares[0] ?? first), 'unseal.share_foreign'],
  ];
  const unsealing = new Unsealing(folder, systemClock);
  for (const [text, code] of cases) {
    assert.throws(
      () => unsealing.give(text, '127.0.0.1'),
      (error: unknown) => refused(code)(error) && (text === '' || !String(error).includes(text)),
      code,
    );
  }
  assert.deepEqual([unsealing.progress.given, unsealing.progress.wrong], [0, cases.length]);
  for (const share of [first, second]) unsealing.give(formatShare(share), '127.0.0.1');
  assert.ok(unsealing.isOpen);
});

test('a new set makes the shares of the old one void, for the same root [URS-010]', async (t) => {
  const folder = newFolder(t);
  const [old, fresh] = [newSet(), newSet(3, 4)];
  const { root } = await createRoot(folder, { kind: 'shares', set: old });
  const place = freshPlace();
  const key = generateKey('AES_256');
  const wrapped = await root.wrap(place, key);
  const before = readRootFile(folder);
  writeRootFile(folder, resharedFile(before, rootKeyFrom(before, old.shares.slice(1)), fresh));
  seal(folder);
  const unsealing = new Unsealing(folder, systemClock);
  assert.throws(
    () => unsealing.give(formatShare(old.shares[0] ?? assert.fail()), '::1'),
    refused('unseal.share_foreign'),
  );
  for (const text of textsOf(fresh).slice(1)) unsealing.give(text, '::1');
  const again = await openRootOnly(folder);
  assert.equal(again.id, root.id);
  assert.ok(key.equals(await again.unwrap(place, wrapped)));
  assert.throws(() => rootKeyFrom(readRootFile(folder), old.shares), refused('root.shares_refused'));
});

test('a root in shares is made of a whole set in memory, never of a settings file [URS-010] [URS-011]', async (t) => {
  const folder = newFolder(t);
  const set = newSet();
  const make = (more: object) => makeRoot(folder, { kind: 'shares', ...more });
  await assert.rejects(make({}), refused('root.ceremony_needed'));
  await assert.rejects(make({ set: JSON.parse(JSON.stringify(set)) }), refused('root.ceremony_needed'));
  await assert.rejects(
    make({ set: { ...set, shares: set.shares.slice(1) } }),
    refused('root.shares_refused'),
  );
  await assert.rejects(
    make({ set: { ...set, commitment: newSet().commitment } }),
    refused('root.shares_refused'),
  );
});

test('an altered root.json is refused, and right shares do not open it [URS-008] [URS-010]', async (t) => {
  const folder = newFolder(t);
  const set = newSet();
  await makeRoot(folder, { kind: 'shares', set });
  const path = join(folder, 'root.json');
  const right = readFileSync(path, 'utf8');
  const file = readRootFile(folder);
  const other = newSet();
  const otherFolder = newFolder(t);
  await makeRoot(otherFolder, { kind: 'shares', set: other });
  const foreign = readRootFile(otherFolder);
  const cases: [object, string][] = [
    [{ threshold: 1 }, 'config.invalid'],
    [{ count: 2 }, 'config.invalid'],
    [{ fingerprints: [] }, 'config.invalid'],
    [{ more: 1 }, 'config.invalid'],
    [{ threshold: 3 }, 'root.shares_refused'],
    [{ commitment: foreign.commitment }, 'root.shares_refused'],
    [{ fingerprints: foreign.fingerprints }, 'root.shares_refused'],
    [{ rootKey: foreign.rootKey }, 'root.wrong'],
    [{ backup: foreign.backup }, 'root.wrong'],
    [{ backup: { ...file.backup, publicKey: foreign.backup.publicKey } }, 'root.wrong'],
    [{ id: foreign.id }, 'root.wrong'],
  ];
  for (const [change, code] of cases) {
    writeFileSync(path, JSON.stringify({ ...file, ...change }));
    assert.throws(
      () => rootKeyFrom(readRootFile(folder), set.shares),
      refused(code),
      JSON.stringify(change).slice(0, 60),
    );
  }
  writeFileSync(path, right);
  rootKeyFrom(readRootFile(folder), set.shares);
});
