import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../fixture.test.ts';
import type { Ran, RunOptions } from '../fixture.test.ts';
import { startServer } from '../server-process.ts';
import type { RunningServer } from '../server-process.ts';

const launcher = fileURLToPath(new URL('../../bin/trialkeep', import.meta.url));

// Against a real server in a process of its own. The verbs run in this process, with streams of their own.
describe('the command and a real server', () => {
  let folder: string;
  let data: string;
  let server: RunningServer;
  let env: Record<string, string>;
  /** Every secret that was shown, to be looked for where none may be. */
  const secrets: string[] = [];
  const everySaid: string[] = [];

  async function command(argv: string[], options: RunOptions = {}): Promise<Ran> {
    const ran = await runCommand(argv, { env, ...options });
    everySaid.push(ran.stderr);
    return ran;
  }

  /** Runs a verb with --json that has to succeed, and gives its one JSON object. */
  async function answer<Result>(argv: string[], options: RunOptions = {}): Promise<Result> {
    const { status, stdout, stderr } = await command([...argv, '--json'], options);
    assert.equal(status, 0, `${argv.join(' ')}: ${stderr}`);
    assert.match(stdout, /^\{.*\}\n$/);
    return JSON.parse(stdout) as Result;
  }

  /** Runs a verb for people that has to succeed, and gives what it says. */
  async function said(argv: string[], options: RunOptions = {}): Promise<string> {
    const { status, stdout, stderr } = await command(argv, options);
    assert.equal(status, 0, `${argv.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** Runs a verb that has to fail with a code. */
  async function failure(argv: string[], code: string, options: RunOptions = {}): Promise<Ran> {
    const ran = await command(argv, options);
    assert.equal(ran.status, 1, ran.stdout + ran.stderr);
    assert.ok(ran.stderr.includes(`[${code}]\nfix: `), ran.stderr);
    return ran;
  }

  interface World {
    readonly study: string;
    readonly system: string;
    readonly key: string;
    readonly alias: string;
  }
  let world: World;

  /** The pairs of a context as options. */
  const context = (...more: string[]) =>
    [`study=${world.study}`, `subject=${world.alias}`, ...more].flatMap((pair) => ['--context', pair]);

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trialkeep-commands-'));
    data = join(folder, 'data');
    env = { XDG_CONFIG_HOME: join(folder, 'config'), PATH: process.env['PATH'] ?? '' };
    const init = ['self', 'init', '--data', data];
    const { administrator } = await answer<{ administrator: { secret: string } }>(init);
    secrets.push(administrator.secret);
    server = await startServer({ env, dataDirectory: data, port: 0 });
    const asAdministrator = { ...env, TRIALKEEP_URL: server.url, TRIALKEEP_CREDENTIAL: administrator.secret };
    await said(['tenant', 'create', 'Sponsor', '--save-profile', 'default'], { env: asAdministrator });

    const { id: study } = await answer<{ id: string }>(['study', 'create', 'TK-001', '--title', 'A study']);
    const { id: system } = await answer<{ id: string }>([
      'system',
      'create',
      'EDC',
      '--type',
      'edc',
      '--vendor',
      'V',
    ]);
    const { id: key } = await answer<{ id: string }>(['key', 'create', '--system', system]);
    const issue = [
      'system',
      'credential',
      'issue',
      'edc',
      '--system',
      system,
      '--key',
      key,
      '--save-profile',
      'edc',
    ];
    await said(issue);
    const create = ['subject', 'create', '--study', study, '--profile', 'edc'];
    const { subjects } = await answer<{ subjects: { alias: string }[] }>(create, {
      stdin: '1001-canary\n1002-canary\n',
    });
    assert.equal(subjects.length, 2);
    world = { study, system, key, alias: subjects[0]?.alias ?? '' };
  });

  after(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('an installation is made once; what is there is not touched', async () => {
    await failure(['self', 'init', '--data', data], 'data.not_empty');
    const taken = ['tenant', 'create', 'Other', '--save-profile', 'default'];
    await failure(taken, 'cli.profile_exists');
  });

  test('the inventory names owner, system, state and dates [URS-007]', async () => {
    const { study, system, key } = world;
    assert.match(await said(['study', 'list']), new RegExp(`${study}  TK-001 +A study`));
    assert.match(await said(['system', 'list']), new RegExp(`${system}  EDC +edc`));
    assert.match(await said(['key', 'list', '--system', system]), new RegExp(`${key}  active +1 +AES_256`));
    assert.match(await said(['key', 'show', key]), /state +active\n/);
    assert.match(await said(['subject', 'list', '--study', study]), new RegExp(world.alias));
    assert.match(await said(['system', 'credential', 'list']), /edc +service +active/);
    const second = await answer<{ key: { id: string } }>(['key', 'show', key]);
    assert.equal(second.key.id, key);
  });

  test('encrypt and decrypt carry any bytes, under one key and context [URS-012]', async () => {
    const key = ['--key', world.key, '--profile', 'edc'];
    const plaintext = randomBytes(1000);
    const ciphertext = await said(['encrypt', ...key, ...context('class=ecg')], { stdin: plaintext });
    assert.match(ciphertext, /^[A-Za-z0-9+/]+=*\n$/);
    const target = join(folder, 'plaintext');
    const decrypt = ['decrypt', ...key, ...context('class=ecg')];
    const result = await answer<object>([...decrypt, '--out', target], { stdin: ciphertext });
    assert.deepEqual(result, { out: target, bytes: 1000, key: world.key, version: 1 });
    assert.ok((await readFile(target)).equals(plaintext));
    assert.equal((await stat(target)).mode & 0o777, 0o600);
    await failure([...decrypt, '--out', target], 'seal.target_exists', { stdin: ciphertext });
    await failure(['decrypt', ...key, ...context('class=dicom')], 'ciphertext.invalid', {
      stdin: ciphertext,
    });
    await failure(decrypt, 'request.invalid', { stdin: 'no base64!' });
    await failure(['encrypt', '--key', world.key], 'access.denied', { stdin: 'x' });
  });

  test('a rotation keeps what was sealed readable; a revocation ends it [URS-002] [URS-003] [URS-047]', async () => {
    const { system } = world;
    const { id: key } = await answer<{ id: string }>([
      'key',
      'create',
      '--system',
      system,
      '--description',
      'gateway',
    ]);
    const gateway = ['--profile', 'gateway'];
    await said([
      'system',
      'credential',
      'issue',
      'gw',
      '--system',
      system,
      '--key',
      key,
      '--save-profile',
      'gateway',
    ]);
    const [one, two] = [join(folder, 'one.bin'), join(folder, 'two.txt')];
    await writeFile(one, randomBytes(2_000_000));
    await writeFile(two, '');
    const sealed = join(folder, 'sealed');
    const seal = ['seal', one, two, join(folder, 'none'), '--key', key, ...gateway, '--out-dir', sealed];
    const some = await failure([...seal, ...context()], 'cli.some_failed');
    assert.match(some.stderr, /none: The source file does not exist\. \[seal\.source_missing\]/);
    assert.match(some.stdout, /2 of 3 files sealed\./);
    assert.deepEqual((await readdir(sealed)).sort(), ['one.bin.sealed', 'two.txt.sealed']);

    const rotated = await answer<{ version: number }>(['key', 'rotate', key, '--reason', 'a drill']);
    assert.equal(rotated.version, 2);
    const names = (await readdir(sealed)).sort().map((name) => join(sealed, name));
    const opened = join(folder, 'opened');
    const open = ['open', ...names, ...gateway, '--digest', '--key', key];
    const { files } = await answer<{ files: { source: string; bytes: number; sha256: string }[] }>([
      ...open,
      '--out-dir',
      opened,
    ]);
    assert.deepEqual(
      files.map(({ source, bytes }) => [source, bytes]),
      [
        [names[0], 2_000_000],
        [names[1], 0],
      ],
    );
    assert.ok((await readFile(join(opened, 'one.bin'))).equals(await readFile(one)));

    assert.match(await said(['key', 'suspend', key, '--reason', 'a look']), /is suspended now/);
    await failure([...open, '--out-dir', join(folder, 'never')], 'key.unusable');
    assert.match(await said(['key', 'resume', key, '--reason', 'looked']), /is active now/);
    const revoke = ['key', 'revoke', key, '--cause', 'device-compromise', '--reason', '-'];
    assert.match(
      await said(revoke, { stdin: 'a lost device\n' }),
      /is revoked: its state is compromised now/,
    );
    const refused = await failure([...open, '--out-dir', join(folder, 'never')], 'key.revoked');
    assert.match(refused.stdout, /0 of 2 files opened/);
    assert.deepEqual(await readdir(join(folder, 'never')), []);
  });

  test('the ledger answers, is exported, and verifies offline; a changed byte is named [URS-032] [URS-033] [URS-038]', async () => {
    const kept = join(folder, 'kept-checkpoint');
    await said(['ledger', 'checkpoint', '--out', kept]);
    await said(['encrypt', '--key', world.key, '--profile', 'edc', ...context('class=ecg')], { stdin: 'x' });
    const filters = [
      '--subject',
      world.alias,
      '--class',
      'ecg',
      '--operation',
      'keys.encrypt',
      '--outcome',
      'success',
    ];
    const { entries } = await answer<{ entries: { entry: { key: string }; payload: object }[] }>([
      'ledger',
      'show',
      ...filters,
      '--payload',
    ]);
    assert.ok(entries.length > 0);
    for (const { entry, payload } of entries) {
      assert.equal(entry.key, world.key);
      assert.match(JSON.stringify(payload), new RegExp(world.study));
    }
    assert.match(await said(['ledger', 'show', ...filters]), /success  keys\.encrypt .*subject=[0-9a-f]{32}/);
    assert.match(
      await said(['ledger', 'show', '--limit', '3']),
      /\n3 entries; the answer is complete up to size \d+\.\n$/,
    );

    const exported = join(folder, 'ledger');
    const { verifierKey } = await answer<{ verifierKey: string }>([
      'ledger',
      'export',
      exported,
      '--checkpoint',
      kept,
    ]);
    const verify = ['verify', exported, '--key', verifierKey];
    assert.match(await said(verify), /^consistent; freshness and single history unproven\n/);
    assert.match(
      await said([...verify, '--checkpoint', kept]),
      /^verified: a continuation of the kept checkpoint\n/,
    );
    const { verdict } = await answer<{ verdict: string }>([...verify, '--checkpoint', kept]);
    assert.equal(verdict, 'verified');

    const bundles = join(exported, 'tile', 'entries', '000.p');
    const bundle = join(bundles, (await readdir(bundles))[0] ?? '');
    const bytes = await readFile(bundle);
    const at = bytes.indexOf('studies.create');
    bytes[at] = 'S'.charCodeAt(0);
    await writeFile(bundle, bytes);
    const altered = await command(verify);
    assert.equal(altered.status, 1);
    assert.match(altered.stdout, /^failed: .*\n[^]*failure: Entry \d+: .* \[entry\.edited\]\nfix: /);
    assert.equal((await command([...verify, '--json'])).status, 1);
    assert.equal((await command(['verify', exported, '--key', 'nonsense'])).status, 1);
    await failure(['verify', join(folder, 'none'), '--key', verifierKey], 'verify.folder_unreadable');
  });

  test('every refusal of the server comes with its code, the fix and the request', async () => {
    const none = '00000000-0000-4000-8000-000000000000';
    const { stderr } = await failure(['key', 'show', none], 'key.unknown');
    assert.match(stderr, /request [0-9a-f-]{36}/);
    await failure(['tenant', 'list'], 'access.denied');
    await failure(['key', 'create', '--system', world.system, '--expires', '2001-01-01'], 'date.past');
    await failure(['study', 'create', 'TK-001'], 'study.exists');
    const past = await command(['study', 'create', 'TK-001', '--json']);
    assert.equal((JSON.parse(past.stderr) as { error: { code: string } }).error.code, 'study.exists');
    const unknown = { ...env, TRIALKEEP_URL: server.url, TRIALKEEP_CREDENTIAL: `tkc_${'A'.repeat(43)}` };
    await failure(['key', 'list'], 'auth.required', { env: unknown });
  });

  test('a revoked credential does nothing any more [URS-012]', async () => {
    const issue = ['system', 'credential', 'issue', 'auditor', '--role', 'auditor'];
    const { credential, secret } = await answer<{ credential: { id: string }; secret: string }>(issue);
    secrets.push(secret);
    const asAuditor = { ...env, TRIALKEEP_URL: server.url, TRIALKEEP_CREDENTIAL: secret };
    await said(['key', 'list'], { env: asAuditor });
    await said(['system', 'credential', 'revoke', credential.id, '--reason', 'done']);
    await failure(['key', 'list'], 'auth.revoked', { env: asAuditor });
  });

  test('the server verb runs until it is told to end, and passes failures on', async () => {
    await failure(['server', '--data', join(folder, 'nowhere')], 'data.missing');
    await failure(['server', '--data', data, '--port', '0'], 'data.in_use');
    const second = join(folder, 'second');
    secrets.push(
      (await answer<{ administrator: { secret: string } }>(['self', 'init', '--data', second])).administrator
        .secret,
    );
    const port = new URL(server.url).port;
    await failure(['server', '--data', second, '--port', port], 'server.port_in_use');
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const args = ['server', '--data', second, '--port', '0', '--json'];
      const child = spawn(launcher, args, { env, stdio: ['ignore', 'pipe', 'ignore'] });
      const exited = once(child, 'exit');
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      const { listening, state } = JSON.parse(line.toString()) as { listening: string; state: string };
      assert.match(listening, /^http:\/\/127\.0\.0\.1:\d+$/);
      assert.equal(state, 'ready');
      child.kill(signal);
      assert.deepEqual(await exited, [0, null], signal);
    }
  });

  test('an interrupted command leaves nothing half-done', async () => {
    const [source, sealed, opened] = [
      join(folder, 'source'),
      join(folder, 'source.sealed'),
      join(folder, 'interrupted'),
    ];
    await writeFile(source, 'plaintext');
    await said(['seal', source, '--key', world.key, '--profile', 'edc']);
    const serverProcess = server.processId ?? assert.fail();
    // A server that does not answer: the command waits with its target begun.
    process.kill(serverProcess, 'SIGSTOP');
    try {
      const args = ['open', sealed, '--profile', 'edc', '--out-dir', opened];
      const child = spawn(launcher, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
      const exited = once(child, 'exit');
      const complaint = child.stderr.toArray();
      const begun = async () =>
        (await readdir(opened).catch(() => [])).some((name) => name.endsWith('.part'));
      while (child.exitCode === null && !(await begun())) await setTimeout(5);
      child.kill('SIGINT');
      assert.deepEqual(await exited, [130, null]);
      assert.match(String(await complaint), /\[cli\.interrupted\]/);
      assert.deepEqual(await readdir(opened), []);
    } finally {
      process.kill(serverProcess, 'SIGCONT');
    }
  });

  test('a backup restores what was there [URS-080]', async () => {
    const backup = join(folder, 'backup');
    const port = Number(new URL(server.url).port);
    assert.equal(await server.stop(), 0);
    const made = await answer<{ folder: string }>(['self', 'backup', backup, '--data', data]);
    assert.equal(made.folder, backup);
    await failure(['self', 'backup', backup, '--data', data], 'backup.target_not_empty');
    await failure(['self', 'restore', backup, '--data', data], 'restore.target_not_empty');
    await rename(join(data, 'state'), join(folder, 'lost'));
    const restore = ['self', 'restore', backup, '--data', data];
    assert.match(await said(restore), /^The state of 20.* is restored in /);
    server = await startServer({ env, dataDirectory: data, port });
    assert.equal(server.state, 'ready', server.reasons.join());
    await said(['key', 'show', world.key]);
  });

  test('no secret and no subject number is said on standard error [URS-012] [URS-037]', () => {
    const text = everySaid.join('\n');
    assert.ok(text.length > 1000 && secrets.length >= 3);
    for (const secret of secrets) assert.ok(!text.includes(secret));
    assert.doesNotMatch(text, /canary|tkc_[A-Za-z0-9_-]{43}/);
  });
});
