import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { chainUses, generateKey, noReceipt, signUses } from '@trialkeep/crypto';
import type { AttestedUse } from '@trialkeep/crypto';
import { TrialkeepError } from '../errors.ts';
import { inFolder, linesOf, listOf, newPair, openTimes, withCode } from './fixture.test.ts';
import { formatLine, verifyOpenings } from './list.ts';
import type { OpeningsLine } from './list.ts';

/** Five openings on five lines. */
async function newList(folder: string) {
  const pair = await newPair();
  const list = join(folder, 'openings.jsonl');
  await openTimes(list, pair.key, 5);
  return { ...pair, list, lines: await linesOf(list) };
}

test('lines that are missing are noticed, and named where that is accepted [URS-033]', async () => {
  await inFolder(async (folder) => {
    const { recipient, lines } = await newList(folder);
    const [one = '', two = '', three = '', four = '', five = ''] = lines;
    const cases = [
      { left: [two, three, four, five], gaps: [{ from: 1, to: 1 }] },
      { left: [one, three, five], gaps: [2, 4].map((n) => ({ from: n, to: n })) },
      { left: [five], gaps: [{ from: 1, to: 4 }] },
    ];
    for (const { left, gaps } of cases) {
      const path = await listOf(folder, left);
      await assert.rejects(verifyOpenings(path, { recipient }), withCode('escrow.openings_incomplete'));
      const summary = await verifyOpenings(path, { recipient, acceptGaps: true });
      assert.deepEqual([summary.gaps, summary.openings], [gaps, left.length]);
    }
    // That the end is missing only another copy, or the ledger, can tell.
    assert.equal((await verifyOpenings(await listOf(folder, [one, two]), { recipient })).openings, 2);
    assert.deepEqual(await verifyOpenings(await listOf(folder, [])), {
      recipient: undefined,
      reporter: undefined,
      openings: 0,
      receipts: 0,
      firstTime: undefined,
      lastTime: undefined,
      gaps: [],
      isCutOff: false,
    });
  });
});

test('a line that is altered, repeated, moved or spelled otherwise is refused, gaps or not [URS-033]', async () => {
  await inFolder(async (folder) => {
    const { recipient, lines } = await newList(folder);
    const [one = '', two = '', three = ''] = lines;
    const respelled = JSON.stringify({ ...(JSON.parse(two) as object), note: 1 });
    const cases = [
      [one, one],
      [one, two, one],
      [one, two.replace('"class":"ecg"', '"class":"mri"')],
      [one, two.replace('"first":2', '"first":3')],
      [one, two.replace('"first":2', '"first":3'), three],
      [one, respelled],
      [one, ` ${two}`],
      [one, two.replace('{"class"', '{ "class"')],
      [one, ''],
      [one, 'null'],
      [one, '{}'],
      [one, '{"uses":[null]}'],
      [one, '[]'],
      [one, 'x'.repeat(600_000)],
      [one, `${two}\r`],
      [`${one}${two}`],
    ];
    for (const [i, altered] of cases.entries()) {
      const path = await listOf(folder, altered);
      for (const acceptGaps of [false, true]) {
        const verifying = verifyOpenings(path, { recipient, acceptGaps });
        await assert.rejects(verifying, withCode('escrow.openings_invalid'), `case ${i}`);
      }
    }
    const swapped = await listOf(folder, [two, one, three]);
    await assert.rejects(verifyOpenings(swapped), withCode('escrow.openings_incomplete'));
    await assert.rejects(verifyOpenings(swapped, { acceptGaps: true }), withCode('escrow.openings_invalid'));
  });
});

test('a list without line ends is bounded, whatever it holds', async () => {
  await inFolder(async (folder) => {
    const path = join(folder, 'long');
    await writeFile(path, Buffer.alloc(3_000_000, '['));
    await assert.rejects(verifyOpenings(path), withCode('escrow.openings_invalid'));
  });
});

test('what another key signed, or what is said of another, is refused [URS-033]', async () => {
  await inFolder(async (folder) => {
    const { recipient, list, lines } = await newList(folder);
    const other = await newPair('Other');
    await assert.rejects(
      verifyOpenings(list, { recipient: other.recipient }),
      withCode('escrow.openings_foreign'),
    );
    const openings = join(folder, 'other.jsonl');
    await openTimes(openings, other.key, 2);
    const [, second = ''] = await linesOf(openings);
    const mixed = await listOf(folder, [lines[0] ?? '', second]);
    await assert.rejects(verifyOpenings(mixed), withCode('escrow.openings_foreign'));

    // A forger has a key of their own, and names the escrow key as the one that opened.
    const { uses } = JSON.parse(lines[0] ?? '') as { uses: AttestedUse[] };
    const lineOf = (signer: typeof other.key.signer, said: AttestedUse[]): string => {
      const place = { first: 1, previous: noReceipt, uses: said };
      const batch = signUses(signer, place);
      const line: OpeningsLine = { batch, receipts: chainUses({ reporter: batch.reporter, ...place }) };
      return formatLine(line);
    };
    const forged = await listOf(folder, [lineOf(generateKey('ED25519'), uses)]);
    await assert.rejects(verifyOpenings(forged, { recipient }), withCode('escrow.openings_foreign'));
    const [use] = uses;
    assert.ok(use !== undefined);
    const claimed = await listOf(folder, [lineOf(other.key.signer, uses)]);
    await assert.rejects(
      verifyOpenings(claimed, { recipient: other.recipient }),
      withCode('escrow.openings_foreign'),
    );
    // A list of openings has nothing else in it.
    const { recipient: _, ...rest } = use;
    const ofServer = { ...rest, key: '1f0e9c4b-3a77-4c55-8a50-1d2c3b4a5f60' };
    for (const said of [ofServer, { ...use, use: 'seal' as const }]) {
      const path = await listOf(folder, [lineOf(other.key.signer, [said])]);
      await assert.rejects(verifyOpenings(path), withCode('escrow.openings_invalid'));
    }
  });
});

test('of a list that is altered anywhere at most whole lines at its end go unnoticed [URS-033]', async () => {
  await inFolder(async (folder) => {
    const { recipient, lines } = await newList(folder);
    const whole = Buffer.from(lines.map((line) => `${line}\n`).join(''));
    const path = join(folder, 'altered');
    const change = fc.record({
      at: fc.nat(whole.length - 1),
      length: fc.nat(300),
      bytes: fc.oneof(fc.uint8Array({ maxLength: 3 }), fc.constant(Buffer.from('\n'))),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ at, length, bytes }) => {
        const altered = Buffer.concat([whole.subarray(0, at), bytes, whole.subarray(at + length)]);
        await writeFile(path, altered);
        try {
          const { openings } = await verifyOpenings(path, { recipient });
          const expected = lines.slice(0, openings).map((line) => `${line}\n`);
          assert.equal(altered.toString().slice(0, expected.join('').length), expected.join(''));
          assert.ok(!altered.subarray(expected.join('').length).includes('\n'));
        } catch (error) {
          assert.ok(error instanceof TrialkeepError && error.code.startsWith('escrow.'), String(error));
        }
      }),
      { numRuns: 100 },
    );
  });
});
