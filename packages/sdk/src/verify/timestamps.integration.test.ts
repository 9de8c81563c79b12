import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import type { TestContext } from 'node:test';
import { formatTimestampRequest, parseCertificates, parseTimestampResponse } from '@trialkeep/crypto';
import { Tree, leafHash, parseCheckpoint, parseNote, tilePath } from '@trialkeep/ledger';
import { opensslMissing } from '../../../../tools/self-signed.ts';
import { TestAuthority } from '../../../../tools/timestamp-authority.ts';
import { timestampFiles } from './export-timestamps.ts';
import { sha256 } from './primitives.ts';
import { checkTimestamps, timestampPaths } from './timestamps.ts';

const skip = opensslMissing;
const origin = 'example.com/log';
const entries = Array.from({ length: 600 }, (_, i) => Buffer.from(`{"entry":${i}}`));

let authority: TestAuthority;
before(() => {
  if (skip === false) authority = new TestAuthority();
});
after(() => authority?.remove());

function treeOf(size: number) {
  return Tree.empty(sha256).append(entries.slice(0, size).map((entry) => leafHash(sha256, entry)));
}

function noteOf(size: number, of = origin): Buffer {
  const root = Buffer.from(treeOf(size).tree.root()).toString('base64');
  return Buffer.from(`${of}\n${size}\n${root}\n\n— ${of} ${Buffer.alloc(68, 1).toString('base64')}\n`);
}

function answerTo(data: Uint8Array, by = authority): Buffer {
  const digest = createHash('sha512').update(data).digest();
  return by.reply(formatTimestampRequest({ hash: 'SHA-512', digest, nonce: Buffer.alloc(16, 7) }));
}

/** An export whose folder of timestamps holds these files. */
function exported(t: TestContext, files: Readonly<Record<string, Uint8Array>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-stamps-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const tiles = treeOf(entries.length).tiles.map(
    ({ address, hashes }) => [tilePath(address), hashes] as const,
  );
  for (const [path, content] of [...tiles, ...Object.entries(files)]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), content);
  }
  return folder;
}

function stamped(
  size: number,
  note = noteOf(size),
  answer: Uint8Array = answerTo(note),
): Record<string, Uint8Array> {
  const paths = timestampPaths(size);
  return { [paths.checkpoint]: note, [paths.answer]: answer };
}

const logOf = (size: number) => ({ origin, size, root: parseCheckpoint(parseNote(noteOf(size)).text).root });

async function check(folder: string, roots: string | undefined = authority.rootPem) {
  return checkTimestamps(folder, logOf(600), roots === '' ? undefined : parseCertificates(roots));
}

test(
  'timestamps of any size of the log verify, with nothing but the roots [URS-035]',
  { skip },
  async (t) => {
    const folder = exported(t, { ...stamped(1), ...stamped(256), ...stamped(300), ...stamped(600) });
    const result = await check(folder);
    assert.deepEqual(result.findings, []);
    assert.deepEqual([result.present, result.verified, result.checked, result.failed], [4, 4, true, false]);
    assert.deepEqual([result.newest?.size, result.newest?.authority], [600, 'Test signer']);
    const unchecked = await check(folder, '');
    assert.deepEqual(
      [unchecked.present, unchecked.verified, unchecked.checked, unchecked.failed],
      [4, 0, false, false],
    );
  },
);

test('an export without timestamps says nothing about them', async (t) => {
  const { present, failed, findings } = await checkTimestamps(exported(t, {}), logOf(600));
  assert.deepEqual([present, failed, findings], [0, false, []]);
});

test(
  'a timestamp that does not verify, or is not of this log, is a failure [URS-035]',
  { skip },
  async (t) => {
    const other = new TestAuthority();
    t.after(() => other.remove());
    const note = noteOf(300);
    const answer = answerTo(note);
    const altered = Buffer.from(answer);
    altered[altered.length - 1] = (altered.at(-1) ?? 0) ^ 1;
    const cosigned = Buffer.concat([
      note,
      Buffer.from(`— witness ${Buffer.alloc(68, 2).toString('base64')}\n`),
    ]);
    const forked = Buffer.from(note.toString().replace(/\n300\n.{43}/, `\n300\n${'A'.repeat(43)}`));
    const bad: [Record<string, Uint8Array>, string][] = [
      [stamped(300, note, altered), 'timestamp.invalid'],
      [stamped(300, note, answerTo(noteOf(299))), 'timestamp.invalid'],
      [stamped(300, note, Buffer.alloc(0)), 'timestamp.invalid'],
      [stamped(300, note, Buffer.alloc(100_000)), 'timestamp.malformed'],
      [stamped(300, note, answerTo(note, other)), 'timestamp.untrusted'],
      [stamped(300, cosigned), 'timestamp.malformed'],
      [stamped(300, Buffer.from('note')), 'timestamp.malformed'],
      [stamped(300, forked), 'timestamp.foreign'],
      [stamped(300, noteOf(300, 'example.com/other')), 'timestamp.foreign'],
      [stamped(299, note), 'timestamp.foreign'],
      [stamped(601, Buffer.from(note.toString().replace('300', '601'))), 'timestamp.foreign'],
      [{ [timestampPaths(300).checkpoint]: note }, 'timestamp.malformed'],
      [{ [timestampPaths(300).answer]: answer }, 'timestamp.malformed'],
      [{ 'timestamps/0300.tsr': answer }, 'timestamp.malformed'],
    ];
    for (const [files, code] of bad) {
      const { failed, verified, findings } = await check(exported(t, files));
      assert.deepEqual([failed, verified, findings.map((each) => each.code)], [true, 0, [code]], code);
    }
    const expired = new TestAuthority({ days: -1 });
    t.after(() => expired.remove());
    const late = await check(exported(t, stamped(300, note, answerTo(note, expired))), expired.rootPem);
    assert.deepEqual(
      late.findings.map((each) => each.code),
      ['timestamp.certificate'],
    );
  },
);

test(
  'no timestamp is believed of a log that was not verified, or whose tiles are gone [URS-035]',
  { skip },
  async (t) => {
    const folder = exported(t, { ...stamped(200), ...stamped(600) });
    const roots = parseCertificates(authority.rootPem);
    const unknown = { origin: undefined, size: undefined, root: undefined };
    const other = { ...logOf(600), root: Buffer.alloc(32) };
    for (const log of [unknown, other]) {
      const { failed, verified, findings } = await checkTimestamps(folder, log, roots);
      assert.deepEqual([failed, verified, findings.length], [true, 0, 2]);
    }
    rmSync(join(folder, 'tile'), { recursive: true });
    const { verified, findings } = await checkTimestamps(folder, logOf(600), roots);
    assert.deepEqual(
      [verified, findings.map(({ code, index }) => [code, index])],
      [1, [['timestamp.foreign', 199]]],
    );
  },
);

test('an export takes the timestamps up to its own checkpoint', { skip }, async () => {
  const page = (size: number, next: string | null) => {
    const note = noteOf(size);
    const token = Buffer.from(parseTimestampResponse(answerTo(note))).toString('base64');
    const timestamps = [
      { size, time: 0, authority: 'https://tsa.example/', checkpoint: note.toString(), token },
    ];
    return { timestamps, next };
  };
  const pages = [page(3, 'a'), page(300, 'b'), page(600, null)];
  const client = { call: async () => pages.shift() };
  const paths: string[] = [];
  for await (const { path } of timestampFiles(client as never, 300, {})) paths.push(path);
  assert.deepEqual(
    paths,
    [3, 300].flatMap((size) => Object.values(timestampPaths(size))),
  );
});
