import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, mkdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { openBytes, recipientKeys, sealBytes } from '../seal/index.ts';
import { mountSmall } from '../small-disk.fixture.test.ts';
import { escrowKeys } from './escrow-keys.ts';
import { inFolder, linesOf, newOpening, newPair, openTimes, passphrase, withCode } from './fixture.test.ts';
import { verifyOpenings } from './list.ts';
import { Openings } from './openings.ts';

const hashOf = (dataKey: Uint8Array): string => createHash('sha256').update(dataKey).digest('hex');

test('an opening is on the list, signed by the escrow key, before it is released [URS-038] [URS-054]', async () => {
  await inFolder(async (folder) => {
    const { recipient, privateFile, id } = await newPair();
    const list = join(folder, 'openings.jsonl');
    const context = { study: 'P-1', subject: 'b2'.repeat(16), class: 'ecg', site: '17' };
    const message = await sealBytes(recipientKeys({ recipients: [recipient.recipient] }), Buffer.from('x'), {
      context,
    });
    const keys = await escrowKeys({ privateFile, passphrase, openings: list, now: () => 1000 });
    assert.deepEqual([keys.recipient.id, keys.openingsBefore], [id, 0]);
    const { plaintext } = await openBytes(keys, message, { context });
    assert.equal(plaintext.toString(), 'x');
    const [line = ''] = await linesOf(list);
    const { uses } = JSON.parse(line) as { uses: Record<string, unknown>[] };
    const [{ dataKey, ...use } = {}] = uses;
    assert.match(String(dataKey), /^[0-9a-f]{64}$/);
    assert.deepEqual(use, {
      class: 'ecg',
      count: 1,
      recipient: id,
      subject: 'b2'.repeat(16),
      time: 1000,
      use: 'open',
    });
    const summary = await verifyOpenings(list, { recipient });
    assert.deepEqual(
      [summary.openings, summary.receipts, summary.recipient, summary.isCutOff, summary.gaps],
      [1, 1, id, false, []],
    );
    assert.equal((await stat(list)).mode & 0o777, 0o600);

    await keys.close();
    await assert.rejects(openBytes(keys, message), withCode('escrow.opening_not_recorded'));
    assert.equal((await linesOf(list)).length, 1);
    await assert.rejects(sealBytes(keys, Buffer.from('x')), withCode('client.invalid_input'));
  });
});

test('another key’s message, a wrong passphrase and an altered private file open nothing, and leave no trace [URS-047]', async () => {
  await inFolder(async (folder) => {
    const [own, other] = [await newPair(), await newPair('Other')];
    const openings = join(folder, 'openings.jsonl');
    const message = await sealBytes(
      recipientKeys({ recipients: [other.recipient.recipient] }),
      Buffer.from('x'),
    );
    const keys = await escrowKeys({ privateFile: own.privateFile, passphrase, openings });
    await assert.rejects(openBytes(keys, message), withCode('seal.no_key'));
    const altered = await sealBytes(
      recipientKeys({ recipients: [own.recipient.recipient] }),
      Buffer.from('x'),
      {
        context: { site: '17' },
      },
    );
    altered.writeUInt8(altered.readUInt8(altered.indexOf('17')) ^ 1, altered.indexOf('17'));
    await assert.rejects(openBytes(keys, altered), withCode('seal.damaged'));
    await keys.close();
    assert.equal(await readFile(openings, 'utf8'), '');

    const { privateFile } = own;
    const at = privateFile.indexOf('"sealed":"') + 20;
    const flipped =
      privateFile.slice(0, at) + (privateFile[at] === 'A' ? 'B' : 'A') + privateFile.slice(at + 1);
    for (const wrong of [
      { privateFile, passphrase: `${passphrase} ` },
      { privateFile: flipped, passphrase },
    ]) {
      const missing = join(folder, 'none.jsonl');
      await assert.rejects(escrowKeys({ ...wrong, openings: missing }), { code: 'crypto.passphrase_wrong' });
      await assert.rejects(stat(missing), { code: 'ENOENT' });
    }
    await rm(openings);
    await openTimes(openings, other.key, 1);
    await assert.rejects(
      escrowKeys({ privateFile, passphrase, openings }),
      withCode('escrow.openings_foreign'),
    );
  });
});

test('the list goes on where it ended, and openings that wait for one write share a signature', async () => {
  await inFolder(async (folder) => {
    const { key, recipient } = await newPair();
    const list = join(folder, 'openings.jsonl');
    await openTimes(list, key, 2);
    const openings = await Openings.open(list, key, Date.now);
    assert.equal(openings.before, 2);
    const many = Array.from({ length: 1500 }, () => newOpening());
    await Promise.all(many.map((opening) => openings.record(opening)));
    await openings.close();
    const sizes = (await linesOf(list)).map((line) => (JSON.parse(line) as { uses: unknown[] }).uses.length);
    assert.deepEqual(sizes, [1, 1, 1000, 500]);
    assert.equal((await verifyOpenings(list, { recipient })).openings, 1502);
  });
});

test('openings that come while others are being written are none of them left behind', async () => {
  await inFolder(async (folder) => {
    const { key } = await newPair();
    const list = join(folder, 'openings.jsonl');
    const openings = await Openings.open(list, key, Date.now);
    // Each comes some turns of the queue after the one before: also in the turn in which the writer ends.
    const late = async (turns: number): Promise<void> => {
      for (let i = 0; i < turns; i++) await Promise.resolve();
      await openings.record(newOpening());
    };
    for (let round = 0; round < 10; round++) {
      await openings.record(newOpening());
      await Promise.all(Array.from({ length: 20 }, (_, turns) => late(turns)));
    }
    await openings.close();
    assert.equal((await verifyOpenings(list)).openings, 210);
  });
});

test('half a line at the end is cut off; anything else that is not the chain is an error [URS-033]', async () => {
  await inFolder(async (folder) => {
    const { key } = await newPair();
    const list = join(folder, 'openings.jsonl');
    await openTimes(list, key, 3);
    const whole = await readFile(list, 'utf8');
    const [one = '', two = ''] = whole.split('\n');
    for (const half of [one.slice(0, 1), one.slice(0, -1), one, '\0\0\0']) {
      await appendFile(list, half);
      assert.equal((await verifyOpenings(list)).isCutOff, true);
      await (await Openings.open(list, key, Date.now)).close();
      assert.equal(await readFile(list, 'utf8'), whole);
    }
    await appendFile(list, `${two}\n`);
    await assert.rejects(Openings.open(list, key, Date.now), withCode('escrow.openings_invalid'));
    await writeFile(list, `${one}\n`);
    await openTimes(list, key, 1);
    assert.equal((await verifyOpenings(list)).openings, 2);
  });
});

test('what is no file, or is reached by a link, holds no list', async () => {
  await inFolder(async (folder) => {
    const { key } = await newPair();
    const [there, link] = [join(folder, 'there'), join(folder, 'link')];
    await writeFile(there, '');
    await symlink(there, link);
    for (const path of [link, folder, join(folder, 'no', 'such', 'list')]) {
      await assert.rejects(Openings.open(path, key, Date.now), withCode('escrow.openings_unusable'), path);
    }
    for (const path of [folder, join(folder, 'none'), '/dev/null']) {
      await assert.rejects(verifyOpenings(path), withCode('escrow.openings_unusable'), path);
    }
  });
});

test('one process at a time has the list; what a killed one was told is on it [URS-038] [URS-046]', async () => {
  await inFolder(async (folder) => {
    const { key, privateFile, recipient } = await newPair();
    const [identity, list] = [join(folder, 'escrow.private'), join(folder, 'openings.jsonl')];
    await writeFile(identity, privateFile);
    const script = fileURLToPath(new URL('./killed.fixture.ts', import.meta.url));
    const said: string[] = [];
    for (let round = 1; round <= 2; round++) {
      const child = spawn(process.execPath, [script, identity, list], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      for (let i = 0; i < round * 7; i++) said.push(String((await lines.next()).value));
      await assert.rejects(Openings.open(list, key, Date.now), withCode('escrow.openings_in_use'));
      child.kill('SIGKILL');
      await once(child, 'exit');
      for await (const line of { [Symbol.asyncIterator]: () => lines }) said.push(line);
    }
    const openings = await Openings.open(list, key, Date.now);
    await assert.rejects(Openings.open(list, key, Date.now), withCode('escrow.openings_in_use'));
    await openings.close();
    const text = await readFile(list, 'utf8');
    assert.ok(said.length >= 21);
    assert.deepEqual(
      said.filter((dataKey) => !text.includes(hashOf(Buffer.from(dataKey, 'base64')))),
      [],
    );
    const summary = await verifyOpenings(list, { recipient });
    assert.equal(summary.isCutOff, false);
    assert.ok(summary.openings <= said.length + 6, 'beyond those only the ones under way at each kill');
  });
});

test('on a full disk nothing is opened, and it goes on once there is space, without a gap [URS-046]', async (t) => {
  await inFolder(async (parent) => {
    const small = join(parent, 'small');
    await mkdir(small);
    const impossible = mountSmall(small);
    if (impossible !== undefined) return t.skip(impossible);
    try {
      const { key, recipient } = await newPair();
      const list = join(small, 'openings.jsonl');
      const openings = await Openings.open(list, key, Date.now);
      const filler = join(small, 'filler');
      await writeFile(filler, new Uint8Array(900_000));
      let kept = 0;
      const recordMany = async (): Promise<void> => {
        await Promise.all(Array.from({ length: 50 }, () => openings.record(newOpening())));
        kept += 50;
      };
      const untilFull = async (): Promise<never> => {
        for (;;) await recordMany();
      };
      await assert.rejects(untilFull(), (error: Error) => {
        assert.match(error.message, /ENOSPC/);
        return withCode('escrow.opening_not_recorded')(error);
      });
      assert.equal((await verifyOpenings(list, { recipient })).openings, kept);
      await rm(filler);
      await recordMany();
      await openings.close();
      const { openings: listed, isCutOff } = await verifyOpenings(list, { recipient });
      assert.deepEqual([listed, isCutOff], [kept, false]);
    } finally {
      execFileSync('umount', [small]);
    }
  });
});
