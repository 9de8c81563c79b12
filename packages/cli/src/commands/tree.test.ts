import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { appendFileSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { mkdir, readFile, rename, stat, symlink, truncate, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createEscrowKey } from '@trialkeep/crypto';
import { verifyOpenings } from '@trialkeep/sdk/escrow';
import { inFolder, interrupted, runCommand } from '../fixture.test.ts';
import type { Ran, RunOptions } from '../fixture.test.ts';

// Files, formats and keys are real. The keys are those of an escrow pair, so that no server is needed.

const launcher = fileURLToPath(new URL('../../bin/trialkeep', import.meta.url));
const passphrase = 'six words that nobody has drawn';
/** The least that the format allows: the default takes seconds. */
const cost = { m: 19_456, t: 2, p: 1 };

interface World {
  readonly folder: string;
  readonly source: string;
  readonly sealed: string;
  readonly opened: string;
  readonly publicFile: string;
  readonly privateFile: string;
  readonly env: Readonly<Record<string, string>>;
  /** Runs a verb, and gives what it said. */
  run(argv: readonly string[], options?: RunOptions): Promise<Ran>;
  seal(...more: string[]): Promise<Ran>;
  open(...more: string[]): Promise<Ran>;
}

async function inWorld(work: (world: World) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const paths = {
      source: join(folder, 'source'),
      sealed: join(folder, 'sealed'),
      opened: join(folder, 'opened'),
      publicFile: join(folder, 'escrow.public'),
      privateFile: join(folder, 'escrow.private'),
    };
    const made = await createEscrowKey({ name: 'Archive', passphrase, timeMs: 1_772_366_400_000, cost });
    await writeFile(paths.publicFile, made.publicFile);
    await writeFile(paths.privateFile, made.privateFile);
    await mkdir(join(paths.source, 'sub', 'empty'), { recursive: true });
    await writeFile(join(paths.source, 'canary.txt'), 'canary content');
    await writeFile(join(paths.source, 'sub', 'größe.bin'), randomBytes(100_000), { mode: 0o640 });
    await symlink('../canary.txt', join(paths.source, 'sub', 'link'));
    await utimes(join(paths.source, 'sub'), 1_600_000_000.5, 1_600_000_000.5);
    const env = { HOME: folder, PATH: process.env['PATH'] ?? '' };
    const run = (argv: readonly string[], options: RunOptions = {}) => runCommand(argv, { env, ...options });
    await work({
      folder,
      ...paths,
      env,
      run,
      seal: (...more) =>
        run(['seal', paths.source, '--recipient', paths.publicFile, '--out-dir', paths.sealed, ...more]),
      open: (...more) =>
        run(['open', paths.sealed, '--identity', paths.privateFile, '--out-dir', paths.opened, ...more], {
          stdin: `${passphrase}\n`,
        }),
    });
  });
}

/** What tar says of a tree: names, kinds, modes, times to the millisecond, sizes, targets. */
function listing(folder: string, name: string): string {
  const script = 'tar -C "$1" --sort=name --format=posix -cf - "$2" | tar -tvf - --full-time';
  const text = execFileSync('sh', ['-c', script, 'sh', folder, name], { encoding: 'utf8' });
  return text.replaceAll(/(:\d\d)\.?(\d*) */g, (_, seconds: string, digits: string) => {
    return `${seconds}.${digits.padEnd(3, '0').slice(0, 3)} `;
  });
}

test('a folder is sealed and opened without any server, and comes back as it was [URS-047] [URS-054]', async () => {
  await inWorld(async ({ folder, source, sealed, opened, privateFile, seal, open }) => {
    const sealing = await seal();
    assert.deepEqual([sealing.status, sealing.stderr], [0, '']);
    assert.match(sealing.stdout, /source → .*sealed: 2 files, 3 folders, 1 links, 100 kB\n/);
    const manifest = /^manifest: ([0-9a-f]{64})$/m.exec(sealing.stdout)?.[1] ?? '';
    assert.doesNotMatch(readdirSync(sealed, { recursive: true }).join(), /canary|source|sub|link/);
    const opening = await open('--manifest', manifest);
    assert.deepEqual([opening.status, opening.stderr], [0, '']);
    assert.equal(listing(opened, 'source'), listing(folder, 'source'));
    assert.ok(
      (await readFile(join(opened, 'source', 'canary.txt'))).equals(
        await readFile(join(source, 'canary.txt')),
      ),
    );
    // The manifest and two files: each opening is on the signed list.
    const { openings } = await verifyOpenings(join(privateFile, '..', 'openings.jsonl'));
    assert.equal(openings, 3);
    assert.deepEqual(readdirSync(join(folder, '.local', 'state', 'trialkeep', 'sealing')), []);
  });
});

test('with --json there is one object, for sealing, checking and opening', async () => {
  await inWorld(async ({ source, sealed, opened, seal, open, run, privateFile }) => {
    const made = JSON.parse((await seal('--json', '--sign')).stdout) as Record<string, unknown>;
    const { tree, manifest, ...rest } = made;
    const counts = { files: 2, folders: 3, links: 1, bytes: 100_014 };
    assert.deepEqual(rest, {
      sources: [source],
      target: sealed,
      ...counts,
      kept: 0,
      notSealed: 0,
      findings: [],
    });
    const check = ['open', sealed, '--check', '--identity', privateFile, '--json'];
    const checking = await run(check, { stdin: passphrase });
    assert.equal(checking.stderr, '');
    const checked = JSON.parse(checking.stdout) as { files: object[] };
    const common = {
      kind: 'tree',
      source: sealed,
      tree,
      manifest,
      signed: true,
      ...counts,
      missing: 0,
      notSealed: [],
    };
    const { key, ...shown } = checked.files[0] as { key: string };
    assert.deepEqual(shown, common);
    const ran = JSON.parse((await open('--json')).stdout) as { files: object[]; failed: object[] };
    assert.deepEqual(ran, { files: [{ ...common, key, target: opened, kept: 0 }], failed: [] });
  });
});

test('what has to be signed is refused where it is not [URS-047]', async () => {
  await inWorld(async ({ folder, source, sealed, publicFile, privateFile, seal, run }) => {
    const file = join(folder, 'f.sealed');
    const sealFile = [
      'seal',
      join(source, 'canary.txt'),
      '--recipient',
      publicFile,
      '--out',
      file,
      '--overwrite',
    ];
    const check = (path: string) =>
      run(['open', path, '--check', '--signed', '--identity', privateFile], { stdin: passphrase });
    await seal();
    await run(sealFile);
    for (const path of [sealed, file]) {
      const refused = await check(path);
      assert.deepEqual([refused.status, /\[seal\.signature_missing\]/.test(refused.stderr)], [1, true]);
    }
    await seal('--overwrite', '--sign');
    await run([...sealFile, '--sign']);
    for (const path of [sealed, file]) assert.equal((await check(path)).status, 0);
  });
});

test('a tree that is damaged, and an older one in its place, are found [URS-047]', async () => {
  await inWorld(async ({ folder, source, sealed, opened, seal, open, run, privateFile }) => {
    const before = JSON.parse((await seal('--json')).stdout) as { manifest: string };
    await rename(sealed, join(folder, 'older'));
    appendFileSync(join(source, 'canary.txt'), '!');
    const after = JSON.parse((await seal('--json')).stdout) as { manifest: string; tree: string };
    assert.notEqual(after.manifest, before.manifest);

    const other = await run(
      ['open', join(folder, 'older'), '--check', '--manifest', after.manifest, '--identity', privateFile],
      { stdin: passphrase },
    );
    assert.deepEqual([other.status, /\[seal\.other_tree\]/.test(other.stderr)], [1, true]);

    const objects = readdirSync(join(sealed, after.tree), { recursive: true, withFileTypes: true });
    const files = objects.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
    assert.equal(files.length, 2);
    for (const file of files) if ((await stat(file)).size < 50_000) await truncate(file, 300);
    await writeFile(join(sealed, 'planted.txt'), 'x');
    const opening = await open();
    assert.equal(opening.status, 1);
    assert.match(opening.stderr, /error: source\/canary\.txt: .*\[seal\.damaged\]\nfix: /);
    assert.match(opening.stderr, /error: planted\.txt: .*\[seal\.object_unknown\]\nfix: /);
    assert.match(opening.stderr, /\[seal\.tree_damaged\]\nfix: /);
    assert.ok(existsSync(join(opened, 'source', 'sub', 'größe.bin')));
    assert.ok(!existsSync(join(opened, 'source', 'canary.txt')));
    const asJson = await open('--json');
    const { failed } = JSON.parse(asJson.stdout) as { failed: { findings: { code: string }[] }[] };
    assert.deepEqual(failed[0]?.findings.map(({ code }) => code).sort(), [
      'seal.damaged',
      'seal.object_unknown',
    ]);
  });
});

test('what cannot be sealed is named and leaves the tree unfinished, unless it may be incomplete', async () => {
  await inWorld(async ({ source, sealed, seal, open }) => {
    execFileSync('mkfifo', [join(source, 'pipe')]);
    const refused = await seal();
    assert.deepEqual([refused.status, refused.stdout], [1, '']);
    assert.match(refused.stderr, /error: source\/pipe: .*\[seal\.source_special\]/);
    assert.match(refused.stderr, /\[seal\.tree_incomplete\]\nfix: /);
    assert.ok(!existsSync(join(sealed, 'manifest.sealed')));
    const asJson = await seal('--json');
    assert.match(asJson.stdout, /"findings":\[\{"code":"seal\.source_special"/);

    const incomplete = await seal('--incomplete');
    assert.equal(incomplete.status, 1);
    assert.match(incomplete.stdout, /2 files had been sealed before the interruption\./);
    assert.match(incomplete.stderr, /\[cli\.some_failed\]/);
    const opening = await open();
    assert.equal(opening.status, 0);
    assert.match(opening.stdout, /Incomplete when it was sealed: 1 missing\n {2}source\/pipe \(special\)/);
  });
});

test('several folders and files become one tree; where it goes has to be said', async () => {
  await inWorld(async ({ folder, source, sealed, opened, publicFile, privateFile, run }) => {
    const inputs = [join(source, 'sub'), join(source, 'canary.txt')];
    const unclear = await run(['seal', ...inputs, '--recipient', publicFile]);
    assert.deepEqual([unclear.status, /--out-dir/.test(unclear.stderr)], [2, true]);
    const made = await run(['seal', ...inputs, '--recipient', publicFile, '--out-dir', sealed]);
    assert.equal(made.status, 0, made.stderr);
    // A sealed file and a sealed tree, in one command.
    const single = join(folder, 'single.sealed');
    await run(['seal', join(source, 'canary.txt'), '--recipient', publicFile, '--out', single]);
    const both = await run(
      ['open', single, sealed, '--identity', privateFile, '--out-dir', opened, '--json'],
      {
        stdin: passphrase,
      },
    );
    assert.equal(both.status, 0, both.stderr + both.stdout);
    const { files } = JSON.parse(both.stdout) as { files: { source: string }[] };
    assert.deepEqual(
      files.map((each) => each.source),
      [single, sealed],
    );
    assert.deepEqual(readdirSync(opened).sort(), ['canary.txt', 'single', 'sub']);
    // Beside the source, where nothing is said.
    const beside = await run(['seal', `${source}/`, '--recipient', publicFile]);
    assert.equal(beside.status, 0, beside.stderr);
    assert.ok(existsSync(`${source}.sealed/manifest.sealed`));
    await rename(source, `${source}.kept`);
    const back = await run(['open', `${source}.sealed`, '--identity', privateFile], { stdin: passphrase });
    assert.equal(back.status, 0, back.stderr);
    assert.equal(
      listing(folder, 'source'),
      listing(folder, 'source.kept').replaceAll('source.kept', 'source'),
    );
  });
});

test('a range of a single file goes to standard output, or to a file [URS-047]', async () => {
  await inWorld(async ({ folder, source, publicFile, privateFile, run }) => {
    const [file, sealed] = [join(source, 'sub', 'größe.bin'), join(folder, 'f.sealed')];
    await run(['seal', file, '--recipient', publicFile, '--out', sealed]);
    const content = await readFile(file);
    const out = join(folder, 'range');
    for (const [range, expected] of [
      ['0-499', content.subarray(0, 500)],
      ['99990-', content.subarray(99_990)],
      ['5-5', content.subarray(5, 6)],
    ] as const) {
      const open = ['open', sealed, '--identity', privateFile, '--range', range];
      const ran = await run([...open, '--out', out, '--overwrite'], { stdin: passphrase });
      assert.equal(ran.status, 0, ran.stderr);
      assert.ok((await readFile(out)).equals(expected));
    }
    const text = join(folder, 'text.sealed');
    await run(['seal', join(source, 'canary.txt'), '--recipient', publicFile, '--out', text]);
    const open = ['open', text, '--identity', privateFile];
    assert.equal((await run([...open, '--range', '0-5'], { stdin: passphrase })).stdout, 'canary');
    const checked = await run([...open, '--check'], { stdin: passphrase });
    assert.equal(checked.stdout, `${text}\n1 of 1 files checked.\n`);
    assert.ok(!existsSync(join(folder, 'text')));
    await truncate(text, 200);
    const damaged = await run([...open, '--check'], { stdin: passphrase });
    assert.deepEqual([damaged.status, damaged.stderr.includes(`${text}: `)], [1, true]);
  });
});

test('options that do not go together are refused before anything is asked or done', async () => {
  await inWorld(async ({ source, sealed, publicFile, privateFile, run }) => {
    const wrong = [
      ['seal', source],
      ['seal', source, '--recipient', publicFile, '--out', sealed],
      ['seal', join(source, 'canary.txt'), '--recipient', publicFile, '--incomplete'],
      ['open', source, '--identity', privateFile, '--out', sealed],
      ['open', source, '--identity', privateFile, '--range', '0-1'],
      ['open', source, '--identity', privateFile, '--key', 'k'],
      ['open', source, '--openings', 'x'],
      ['open', 'a.sealed', '--identity', privateFile, '--range', '5-1'],
      ['open', 'a.sealed', '--identity', privateFile, '--range', '0-1', '--json'],
      ['open', 'a.sealed', '--identity', privateFile, '--range', '0-1', '--signed'],
      ['open', 'a.sealed', '--identity', privateFile, '--manifest', 'a'.repeat(64)],
      ['open', source, '--identity', privateFile, '--manifest', 'abc'],
      ['open', source, '--identity', privateFile, '--check', '--out-dir', sealed],
    ];
    for (const argv of wrong) {
      const ran = await run(argv, { stdin: passphrase });
      assert.deepEqual([ran.status, /cli\.usage/.test(ran.stderr)], [2, true], argv.join(' '));
    }
    assert.ok(!existsSync(sealed));
  });
});

test('a wrong passphrase, a folder that is no tree, and an interruption say so and leave nothing', async () => {
  await inWorld(async ({ source, sealed, opened, env, privateFile, publicFile, seal, open, run }) => {
    await seal();
    const wrong = await run(['open', sealed, '--identity', privateFile, '--out-dir', opened], {
      stdin: 'another six words entirely',
    });
    assert.deepEqual([wrong.status, /\[crypto\.passphrase_wrong\]/.test(wrong.stderr)], [1, true]);
    assert.doesNotMatch(wrong.stderr, /another six words/);
    const none = await run(['open', source, '--identity', privateFile], { stdin: passphrase });
    assert.match(none.stderr, /\[seal\.not_a_tree\]\nfix: /);
    const argv = ['seal', source, '--recipient', publicFile, '--out-dir', `${sealed}2`];
    const cut = await runCommand(argv, { env, signal: interrupted() });
    assert.deepEqual([cut.status, /\[cli\.interrupted\]/.test(cut.stderr)], [130, true]);
    assert.ok(!existsSync(join(`${sealed}2`, 'manifest.sealed')));
    assert.ok(!existsSync(opened));
    assert.equal((await open()).status, 0);
  });
});

test('a command that is killed goes on when it is run again [URS-047]', async () => {
  await inWorld(async ({ source, sealed, publicFile, privateFile, env, opened, folder, run }) => {
    for (let index = 0; index < 3000; index++) await writeFile(join(source, `f${index}`), `${index}`);
    const argv = ['seal', source, '--recipient', publicFile, '--out-dir', sealed, '--json'];
    const journals = join(folder, '.local', 'state', 'trialkeep', 'sealing');
    // Until something is in the journal, whose log grows with each entry.
    const entered = async () =>
      (
        await Promise.all(readNames(journals).map(async (name) => (await stat(join(journals, name))).size))
      ).some((size) => size > 100_000);
    const wasKilled = async (): Promise<boolean> => {
      const child = spawn(launcher, argv, { env, stdio: 'ignore' });
      const exited = once(child, 'exit');
      while (child.exitCode === null && !(await entered().catch(() => false))) await setTimeout(5);
      child.kill('SIGKILL');
      await exited;
      return !existsSync(join(sealed, 'manifest.sealed'));
    };
    // One that was done before it could be killed, or whose first batch was not yet committed, is begun again from nothing.
    let kept = 0;
    for (let tries = 0; tries < 10 && kept === 0; tries++) {
      rmSync(sealed, { recursive: true, force: true });
      if (!(await wasKilled())) continue;
      const made = JSON.parse((await run(argv)).stdout) as { files: number; kept: number };
      assert.equal(made.files, 3002);
      kept = made.kept;
    }
    assert.ok(kept >= 512, `${kept}`);
    const opening = await run(['open', sealed, '--identity', privateFile, '--out-dir', opened], {
      stdin: passphrase,
    });
    assert.equal(opening.status, 0, opening.stderr);
    assert.equal(listing(opened, 'source'), listing(folder, 'source'));
    rmSync(opened, { recursive: true });
  });
});

function readNames(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder) : [];
}
