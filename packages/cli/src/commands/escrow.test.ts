import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { createEscrowKey } from '@trialkeep/crypto';
import { openBytes, recipientKeys, sealBytes } from '@trialkeep/sdk/seal';
import { escrowKeys, parseEscrowRecipient } from '@trialkeep/sdk/escrow';
import { errorBody, inFolder, interrupted, runCommand, serving } from '../fixture.test.ts';
import type { Asked } from '../fixture.test.ts';

const passphrase = 'six words that nobody has drawn';
/** The least that the format allows: the default takes seconds. */
const cost = { m: 19_456, t: 2, p: 1 };

/** A pair whose passphrase is cheap to guess, and a list of so many openings, below `folder`. */
async function arrange(folder: string, openings: number) {
  const made = await createEscrowKey({ name: 'Archive', passphrase, timeMs: 1_772_366_400_000, cost });
  const paths = {
    publicFile: join(folder, 'escrow.public'),
    privateFile: join(folder, 'escrow.private'),
    list: join(folder, 'openings.jsonl'),
  };
  await writeFile(paths.publicFile, made.publicFile);
  await writeFile(paths.privateFile, made.privateFile);
  const { recipient } = await parseEscrowRecipient(made.publicFile);
  const sealed = await sealBytes(recipientKeys({ recipients: [recipient] }), Buffer.from('x'));
  const keys = await escrowKeys({ privateFile: made.privateFile, passphrase, openings: paths.list });
  for (let i = 0; i < openings; i++) await openBytes(keys, sealed);
  await keys.close();
  return { ...paths, id: made.id };
}

interface Shown {
  readonly id: string;
  readonly kind: string;
  readonly name: string;
  readonly suite: string;
  readonly createdAt: string;
}

test('a pair is made without any server, shown by its id, and never replaced [URS-054]', async () => {
  await inFolder(async (folder) => {
    const outDir = join(folder, 'stick');
    const create = ['escrow', 'create', 'Archive of the sponsor', '--out-dir', outDir];
    const made = await runCommand(create, { stdin: `${passphrase}\n` });
    assert.deepEqual([made.status, made.stderr], [0, '']);
    assert.deepEqual((await readdir(outDir)).sort(), ['escrow.private', 'escrow.public']);
    const grouped = /^id +((?:[0-9a-f]{8} ?){8})$/m.exec(made.stdout)?.[1] ?? '';
    const show = ['escrow', 'show', join(outDir, 'escrow.private')];
    assert.ok((await runCommand(show)).stdout.includes(grouped));
    const { stdout } = await runCommand(['escrow', 'show', join(outDir, 'escrow.public'), '--json']);
    const { id, kind, name, suite } = JSON.parse(stdout) as Shown;
    assert.deepEqual(
      [id, kind, name, suite],
      [grouped.replaceAll(' ', ''), 'public', 'Archive of the sponsor', 'mlkem768-x25519'],
    );
    const tried = await runCommand([...show, '--open'], { stdin: passphrase });
    assert.match(tried.stdout, /^opens +yes$/m);

    const again = await runCommand(create, { stdin: passphrase });
    assert.equal(again.status, 1);
    assert.match(again.stderr, /\[escrow\.pair_exists\]\nfix: Name another folder/);
  });
});

test('whoever needs it gets the suite with P-256 [URS-045]', async () => {
  await inFolder(async (folder) => {
    const create = ['escrow', 'create', 'Archive', '--out-dir', folder, '--profile-suite', 'regulated'];
    const { stdout } = await runCommand([...create, '--json'], { stdin: passphrase });
    const made = JSON.parse(stdout) as Shown & { publicFile: string; privateFile: string };
    assert.equal(made.suite, 'mlkem768-p256');
    assert.deepEqual(Object.keys(made), ['id', 'name', 'suite', 'createdAt', 'publicFile', 'privateFile']);
    const unknown = await runCommand([...create.slice(0, -1), 'rsa']);
    assert.deepEqual([unknown.status, /\[cli\.usage\]/.test(unknown.stderr)], [2, true]);
  });
});

test('a passphrase is typed twice, unseen, and nothing is made of two different, a short one or none', async () => {
  await inFolder(async (folder) => {
    const create = ['escrow', 'create', 'Archive', '--out-dir', folder];
    const typed = (again: string) =>
      [
        ['Passphrase: ', passphrase],
        ['The passphrase again: ', again],
      ] as const;
    const cases = [
      { options: { typed: typed('six words that somebody has drawn') }, code: 'cli.passphrases_differ' },
      { options: { stdin: 'fourteen chars' }, code: 'crypto.passphrase_too_short' },
      { options: { stdin: '' }, code: 'cli.input_invalid' },
      { options: { stdin: `${passphrase}\n${passphrase}\n` }, code: 'cli.input_invalid' },
      { options: { stdin: passphrase, signal: interrupted() }, code: 'cli.interrupted' },
    ];
    for (const { options, code } of cases) {
      const ran = await runCommand(create, options);
      assert.notEqual(ran.status, 0);
      assert.ok(ran.stderr.includes(`[${code}]\nfix: `), ran.stderr);
      assert.ok(!(ran.stdout + ran.stderr).includes('drawn'));
      assert.deepEqual(await readdir(folder), []);
    }
    const made = await runCommand(create, { typed: typed(passphrase) });
    assert.equal(made.status, 0, made.stderr);
    assert.ok(!(made.stdout + made.stderr).includes('drawn'));
  });
});

test('a wrong passphrase, an altered file and one of another kind do not open', async () => {
  await inFolder(async (folder) => {
    const { publicFile, privateFile, list } = await arrange(folder, 1);
    const altered = join(folder, 'altered');
    await writeFile(altered, (await readFile(publicFile, 'utf8')).replace('Archive', 'archive'));
    const cases = [
      { file: privateFile, more: ['--open'], stdin: `${passphrase}!`, code: 'crypto.passphrase_wrong' },
      { file: publicFile, more: ['--open'], stdin: passphrase, code: 'cli.usage' },
      { file: altered, more: [], stdin: '', code: 'crypto.escrow_key_malformed' },
      { file: list, more: [], stdin: '', code: 'crypto.escrow_key_malformed' },
      { file: join(folder, 'none'), more: [], stdin: '', code: 'cli.input_unreadable' },
    ];
    for (const { file, more, stdin, code } of cases) {
      const ran = await runCommand(['escrow', 'show', file, ...more, '--json'], { stdin });
      assert.deepEqual([ran.status, ran.stdout], [code === 'cli.usage' ? 2 : 1, '']);
      assert.equal((JSON.parse(ran.stderr) as { error: { code: string } }).error.code, code);
    }
  });
});

test('a list is verified offline, against the public file [URS-033]', async () => {
  await inFolder(async (folder) => {
    const { publicFile, list, id } = await arrange(folder, 3);
    const verify = ['escrow', 'verify', list, '--recipient', publicFile];
    const verified = await runCommand(verify);
    assert.equal(verified.status, 0, verified.stderr);
    assert.match(verified.stdout, /^verified\n/);
    assert.ok(verified.stdout.includes(id));
    const { stdout } = await runCommand([...verify, '--json']);
    const { firstTime, lastTime, ...counts } = JSON.parse(stdout) as Record<string, unknown>;
    assert.ok(Number(firstTime) <= Number(lastTime));
    const { verificationKey } = await parseEscrowRecipient(await readFile(publicFile, 'utf8'));
    const reporter = Buffer.from(verificationKey).toString('hex');
    assert.deepEqual(counts, { recipient: id, reporter, openings: 3, receipts: 3, gaps: [], cutOff: false });

    const [one = '', , three = ''] = (await readFile(list, 'utf8')).split('\n');
    await writeFile(list, `${one}\n${three}\n${one.slice(0, 50)}`);
    const lacking = await runCommand(verify);
    assert.deepEqual([lacking.status, lacking.stdout], [1, '']);
    assert.match(lacking.stderr, /line 2: 2 to 2\) \[escrow\.openings_incomplete\]/);
    const accepted = await runCommand([...verify, '--accept-gaps']);
    assert.match(accepted.stdout, /^missing: receipts 2 to 2$/m);
    assert.match(accepted.stdout, /^The list ends within a line/m);
    const other = join(folder, 'other');
    await writeFile(
      other,
      (await createEscrowKey({ name: 'Other', passphrase, timeMs: 0, cost })).publicFile,
    );
    const foreign = await runCommand(['escrow', 'verify', list, '--recipient', other]);
    assert.match(foreign.stderr, /\[escrow\.openings_foreign\]/);
  });
});

test('a list is brought to the server line by line, once it is verified [URS-038]', async () => {
  await inFolder(async (folder) => {
    const { list, publicFile } = await arrange(folder, 3);
    const answer = ({ path, body }: Asked): readonly [number, unknown] => {
      if (path === '/v1/ledger/query') return [200, { entries: [], next: null, size: 0 }];
      const { first, uses } = body as { first: number; uses: unknown[] };
      return [200, { acknowledged: first + uses.length - 1 }];
    };
    await serving(answer, async (url, asked) => {
      const env = { TRIALKEEP_URL: url, TRIALKEEP_CREDENTIAL: 'c' };
      const report = ['escrow', 'report', list, '--recipient', publicFile];
      const { stdout } = await runCommand([...report, '--json'], { env });
      const { fresh, acknowledged, receipts } = JSON.parse(stdout) as Record<string, unknown>;
      assert.deepEqual([fresh, acknowledged, receipts], [3, 3, 3]);
      assert.deepEqual(
        asked.map(({ path }) => path),
        ['/v1/ledger/query', '/v1/uses', '/v1/uses', '/v1/uses'],
      );
      assert.match((await runCommand(report, { env })).stdout, /^3 of 3 receipts were new/);

      const sent = asked.length;
      await writeFile(list, (await readFile(list, 'utf8')).replace('"count":1', '"count":2'));
      const altered = await runCommand(report, { env });
      assert.match(altered.stderr, /\[escrow\.openings_invalid\]/);
      assert.deepEqual([altered.status, asked.length], [1, sent]);
    });
  });
  await inFolder(async (folder) => {
    const { list } = await arrange(folder, 1);
    const refused = ({ path }: Asked): readonly [number, unknown] =>
      path === '/v1/uses'
        ? [403, errorBody('receipts.foreign_use')]
        : [200, { entries: [], next: null, size: 0 }];
    await serving(refused, async (url) => {
      const env = { TRIALKEEP_URL: url, TRIALKEEP_CREDENTIAL: 'c' };
      const ran = await runCommand(['escrow', 'report', list], { env });
      assert.deepEqual([ran.status, ran.stdout], [1, '']);
      assert.match(ran.stderr, /\[receipts\.foreign_use\]/);
    });
    const nowhere = await runCommand(['escrow', 'report', list], { env: { XDG_CONFIG_HOME: folder } });
    assert.match(nowhere.stderr, /\[cli\.no_credential\]/);
  });
});
