import assert from 'node:assert/strict';
import { readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { StandInServer, inFolder, nameOf, newUse, withCode } from './fixture.test.ts';
import { acknowledgeReceipts, exportReceipts, importReceipts } from './list.ts';
import { openReporter } from './reporter.ts';

const recipient = 'c4'.repeat(32);

test('what was opened offline is carried by hand, and is in the ledger once [URS-038] [URS-032]', async () => {
  await inFolder(async (parent) => {
    const [folder, list] = [join(parent, 'reporter'), join(parent, 'openings.jsonl')];
    const client = new StandInServer();
    const reporter = await openReporter({ folder });
    const used = Array.from({ length: 1203 }, () => newUse());
    await Promise.all(used.map(({ key: _key, ...use }) => reporter.record({ ...use, recipient })));
    // A message that was sealed without a server may hold anything in its context.
    const { dataKey } = newUse();
    const context = { subject: 'Not an alias', class: 'mri' };
    await reporter.record({ use: 'open', recipient, dataKey, context });
    await assert.rejects(reporter.flush(), withCode('client.invalid_input'));
    await reporter.close();

    const exported = await exportReceipts(folder, list);
    assert.deepEqual(exported, { reporter: reporter.id, receipts: 1204 });
    assert.equal((await readFile(list, 'utf8')).split('\n').length, 3);
    const brought = await importReceipts(client, list);
    assert.deepEqual(brought, { ...exported, acknowledged: 1204 });
    assert.deepEqual(await importReceipts(client, list), brought);
    assert.deepEqual(
      client.entries.map((receipt) => receipt.dataKey),
      [...used.map(nameOf), nameOf({ dataKey })],
    );
    const last = client.entries.at(-1);
    assert.deepEqual(
      [last?.recipient, last?.key, last?.subject, last?.class],
      [recipient, undefined, undefined, 'mri'],
    );

    // The same folder goes on, and the next list begins where its files do.
    const again = await openReporter({ folder });
    await again.record({ use: 'open', recipient, dataKey, context: {} });
    await again.close();
    await exportReceipts(folder, list, { overwrite: true });
    assert.equal((await importReceipts(client, list)).acknowledged, 1205);
    assert.equal(client.entries.length, 1205);
    assert.deepEqual(client.gaps, []);
  });
});

test('a list that is not what one reporter signed is refused before anything is sent [URS-033]', async () => {
  await inFolder(async (parent) => {
    const client = new StandInServer();
    const lists: string[] = [];
    for (const name of ['one', 'two']) {
      const folder = join(parent, name);
      const reporter = await openReporter({ folder });
      await Promise.all([newUse(), newUse()].map((use) => reporter.record(use)));
      await reporter.close();
      const list = join(parent, `${name}.jsonl`);
      await exportReceipts(folder, list);
      lists.push(await readFile(list, 'utf8'));
    }
    const [one = '', two = ''] = lists;
    const altered = join(parent, 'altered.jsonl');
    for (const text of [
      one + two,
      one.replace('"count":1', '"count":2'),
      one.slice(0, -1),
      one + one.slice(0, 100) + '\n',
      `${one}\n`,
      `${one}{}\n`,
      `${one}null\n`,
      `${one}{"uses":[null]}\n`,
      'x'.repeat(1000),
    ]) {
      await writeFile(altered, text);
      await assert.rejects(importReceipts(client, altered), withCode('receipts.list_invalid'));
    }
    assert.deepEqual(client.batches, []);
    await assert.rejects(importReceipts(client, join(parent, 'no')), withCode('receipts.list_unreadable'));
    await assert.rejects(importReceipts(client, parent), withCode('receipts.list_unreadable'));
    await writeFile(altered, '');
    const nothing = { reporter: undefined, receipts: 0, acknowledged: 0 };
    assert.deepEqual(await importReceipts(client, altered), nothing);
  });
});

test('an export makes no folder, and overwrites nothing unless it is told to', async () => {
  await inFolder(async (parent) => {
    const list = join(parent, 'list.jsonl');
    await assert.rejects(exportReceipts(join(parent, 'no'), list), withCode('receipts.folder_unusable'));
    assert.deepEqual(await readdir(parent), []);
    const folder = join(parent, 'reporter');
    const reporter = await openReporter({ folder });
    await assert.rejects(exportReceipts(folder, list), withCode('receipts.folder_in_use'));
    await reporter.close();
    assert.deepEqual(await exportReceipts(folder, list), { reporter: undefined, receipts: 0 });
    await assert.rejects(exportReceipts(folder, list), { code: 'seal.target_exists' });
  });
});

test('what was brought by hand makes room in the folder, for good [URS-038] [URS-046]', async () => {
  await inFolder(async (parent) => {
    const [folder, list] = [join(parent, 'reporter'), join(parent, 'openings.jsonl')];
    const client = new StandInServer();
    const { dataKey } = newUse();
    const use = { use: 'open' as const, recipient, dataKey, context: {} };
    const open = () => openReporter({ folder, maxUnsent: 1500 });
    const full = await open();
    await Promise.all(
      Array.from({ length: 1500 }, (_, i) => full.record({ ...use, dataKey: Buffer.from(`${i}`) })),
    );
    await assert.rejects(full.record(use), withCode('receipts.too_many'));
    const brought = async () => {
      await exportReceipts(folder, list, { overwrite: true });
      return importReceipts(client, list);
    };
    await full.close();
    const imported = await brought();
    // The server alone does not make room: it is not there where the folder is.
    const still = await open();
    await assert.rejects(still.record(use), withCode('receipts.too_many'));
    await assert.rejects(acknowledgeReceipts(folder, imported), withCode('receipts.folder_in_use'));
    await still.close();
    await acknowledgeReceipts(folder, imported);
    await acknowledgeReceipts(folder, { ...imported, acknowledged: 3 });
    const names = (await readdir(folder)).filter((name) => name.startsWith('receipts-'));
    assert.deepEqual(names, ['receipts-0000000000001001.jsonl']);
    for (let round = 0; round < 2; round++) {
      const again = await open();
      assert.equal(again.unsent, round);
      await again.record(use);
      await again.close();
    }
    const { acknowledged, reporter } = await brought();
    assert.equal(acknowledged, 1502);
    assert.deepEqual([client.entries.length, client.gaps], [1502, []]);

    for (const [wrong, code] of [
      [{ reporter, acknowledged: 1503 }, 'receipts.outdated'],
      [{ reporter: 'ab'.repeat(32), acknowledged }, 'client.invalid_input'],
      [{ reporter, acknowledged: 1.5 }, 'client.invalid_input'],
      [{ reporter, acknowledged: -1 }, 'client.invalid_input'],
    ] as const) {
      await assert.rejects(acknowledgeReceipts(folder, wrong), withCode(code));
    }
    await acknowledgeReceipts(folder, { reporter: undefined, acknowledged: 0 });
    const unchanged = await open();
    assert.equal(unchanged.unsent, 2);
    await unchanged.close();
  });
});
