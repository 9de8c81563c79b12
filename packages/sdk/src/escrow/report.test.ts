import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { inFolder, linesOf, listOf, newPair, openTimes, StandInLedger, withCode } from './fixture.test.ts';
import { reportOpenings } from './report.ts';

// The network and the server are replaced (fixture.test.ts).

test('a list comes into the ledger once, however often and in whatever portions it is brought [URS-038] [URS-032]', async () => {
  await inFolder(async (folder) => {
    const { key, recipient, id } = await newPair();
    const list = join(folder, 'openings.jsonl');
    const client = new StandInLedger();
    const freshOf = async (): Promise<number> => (await reportOpenings(client, list, { recipient })).fresh;
    for (const times of [1, 0, 1, 4, 0, 3]) {
      await openTimes(list, key, times);
      assert.equal(await freshOf(), times);
    }
    const { entries, gaps } = client.server;
    assert.deepEqual(
      entries.map(({ sequence }) => sequence),
      [1, 2, 3, 4, 5, 6, 7, 8, 9],
    );
    assert.ok(entries.every(({ recipient: of, use }) => of === id && use === 'open'));
    assert.deepEqual(gaps, []);
    const [before] = [client.asked['uses.report'] ?? 0];
    const seen: number[][] = [];
    const again = await reportOpenings(client, list, { onProgress: (...counts) => seen.push(counts) });
    assert.deepEqual([again.fresh, again.acknowledged, again.receipts], [0, 9, 9]);
    // The first line tells how far the ledger is, the last that it has the same openings.
    assert.equal((client.asked['uses.report'] ?? 0) - before, 2);
    assert.deepEqual(seen.at(-1), [9, 9]);
  });
});

test('an import that is interrupted is brought to its end by the next one [URS-046]', async () => {
  await inFolder(async (folder) => {
    const { key } = await newPair();
    const list = join(folder, 'openings.jsonl');
    await openTimes(list, key, 5);
    const client = new StandInLedger();
    const { server } = client;
    const interrupt = new AbortController();
    const onProgress = (done: number): void => {
      if (done === 2) interrupt.abort(new Error('enough'));
    };
    const interrupted = reportOpenings(client, list, { signal: interrupt.signal, onProgress });
    await assert.rejects(interrupted, { message: 'enough' });
    assert.equal(server.entries.length, 2);
    // The answer is lost, and what it acknowledged is there.
    server.faults.push('answer lost');
    await assert.rejects(reportOpenings(client, list), withCode('client.timeout'));
    server.away = true;
    await assert.rejects(reportOpenings(client, list), withCode('client.unreachable'));
    server.away = false;
    assert.equal((await reportOpenings(client, list)).fresh, 3);
    assert.equal(server.entries.length, 5);
    assert.deepEqual(server.gaps, []);
  });
});

test('a list that does not verify is not sent, not even its good lines [URS-033]', async () => {
  await inFolder(async (folder) => {
    const { key, recipient } = await newPair();
    const list = join(folder, 'openings.jsonl');
    await openTimes(list, key, 4);
    const [one = '', two = '', three = '', four = ''] = await linesOf(list);
    const client = new StandInLedger();
    const altered = await listOf(folder, [one, two, three.replace('"class":"ecg"', '"class":"mri"'), four]);
    await assert.rejects(reportOpenings(client, altered), withCode('escrow.openings_invalid'));
    const other = (await newPair('Other')).recipient;
    await assert.rejects(
      reportOpenings(client, list, { recipient: other }),
      withCode('escrow.openings_foreign'),
    );
    const lacking = await listOf(folder, [one, two, four]);
    await assert.rejects(reportOpenings(client, lacking), withCode('escrow.openings_incomplete'));
    assert.deepEqual(client.asked, {});
    const reported = await reportOpenings(client, lacking, { acceptGaps: true, recipient });
    assert.deepEqual([reported.fresh, reported.acknowledged], [3, 4]);
    assert.deepEqual(client.server.gaps, [{ from: 3, to: 3 }]);
    assert.deepEqual(reported.gaps, client.server.gaps);
    // What comes later in the place of the gap is not taken.
    const late = await listOf(folder, [one, two, three]);
    await assert.rejects(reportOpenings(client, late), { code: 'receipts.in_gap' });
    assert.equal((await reportOpenings(client, list)).acknowledged, 4);
    assert.equal(client.server.entries.length, 3);
    const nothing = await reportOpenings(client, await listOf(folder, []));
    assert.deepEqual([nothing.fresh, nothing.receipts], [0, 0]);
  });
});

test('two lists of one key do not pass for one, wherever they part [URS-033]', async () => {
  await inFolder(async (folder) => {
    const { key } = await newPair();
    const [list, second] = [join(folder, 'openings.jsonl'), join(folder, 'second.jsonl')];
    await openTimes(list, key, 3);
    await openTimes(second, key, 1);
    const client = new StandInLedger();
    await reportOpenings(client, list);
    await assert.rejects(reportOpenings(client, second), { code: 'receipts.forked' });
    // The same beginning, and then others.
    const parted = await listOf(folder, (await linesOf(list)).slice(0, 1));
    await openTimes(parted, key, 1);
    await assert.rejects(reportOpenings(client, parted), { code: 'receipts.forked' });
    await openTimes(parted, key, 3);
    await assert.rejects(reportOpenings(client, parted), { code: 'receipts.forked' });
    assert.equal(client.server.entries.length, 3);
  });
});
