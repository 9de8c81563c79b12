import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const cli = fileURLToPath(new URL('../main.ts', import.meta.url));
const python = spawnSync('python3', ['-c', 'import pty'], { stdio: 'ignore' }).status === 0;
/** A slow machine gets this long to do one thing. */
const patienceMs = 180_000;

/** Sits at a real terminal, as the custodians one after another: reads the share from the page, and types it back. */
const custodians = `
import json, os, pty, re, sys
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
screen, pending, shares, said = b'', b'', [], []
answers = [(b'to see share', b'. '), (b'the screen is cleared. ', b''), (b'abandons the ceremony): ', b'')]
while True:
    try:
        chunk = os.read(fd, 65536)
    except OSError:
        break
    if not chunk: break
    screen += chunk; pending += chunk
    rows = re.findall(rb'^ {2}(?:TKS1| {4}) {2}([0-9A-Z]{4} - .*?)\\r?$', pending, re.M)
    if re.search(rb'to see share \\d of \\d\\. ', pending):
        os.write(fd, b'\\r'); pending = b''
    elif b'the screen is cleared. ' in pending and len(rows) == 3:
        shares.append('TKS1-' + b'-'.join(rows).replace(b' ', b'').decode())
        os.write(fd, b'\\r'); pending = b''
    elif b'abandons the ceremony): ' in pending:
        os.write(fd, shares[-1].encode() + b'\\r'); pending = b''
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(json.dumps({'status': status, 'shares': shares, 'screen': screen.decode('utf8', 'replace')}))
`;

interface Ran {
  readonly status: number;
  readonly out: string;
  readonly err: string;
}

async function run(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  input = '',
): Promise<Ran> {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...env } });
  child.stdin.end(input);
  const texts = [child.stdout, child.stderr].map(async (stream) =>
    Buffer.concat(await stream.toArray()).toString('utf8'),
  );
  const [status] = (await once(child, 'close')) as [number];
  const [out = '', err = ''] = await Promise.all(texts);
  return { status, out, err };
}

test(
  'a ceremony at a real terminal makes an installation that its custodians open, and that has minutes [URS-010] [URS-084]',
  {
    skip: python ? false : 'needs python3 with its module pty',
  },
  async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'trialkeep-ceremony-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const data = join(folder, 'data');
    const profiles = join(folder, 'profiles.json');
    const env = { TRIALKEEP_PROFILES: profiles, HOME: folder, XDG_CONFIG_HOME: folder };
    const custodianNames = ['Ana', 'Ben', 'Cem'].flatMap((name) => ['--custodian', name]);
    const people = [...custodianNames, '--attended', 'Mara=head of QA'];
    const words = `ceremony new --data ${data} --threshold 2 --shares 3 --json`.split(' ').concat(people);
    const held = await run('python3', ['-c', custodians, process.execPath, cli, ...words], env);
    assert.equal(held.status, 0, held.err);
    const { status, shares, screen } = JSON.parse(held.out) as {
      status: number;
      shares: string[];
      screen: string;
    };
    assert.equal(status, 0, screen);
    assert.equal(new Set(shares).size, 3);
    const line = screen.split(/\r?\n/).find((each) => each.startsWith('{')) ?? assert.fail(screen);
    const made = JSON.parse(line) as {
      administrator: { secret: string };
      minutes: { attended: unknown[]; confirmed: unknown[]; software: { digests: object } };
    };
    assert.deepEqual(made.minutes.confirmed, [
      { by: 'Ana', how: 'typed', index: 1 },
      { by: 'Ben', how: 'typed', index: 2 },
      { by: 'Cem', how: 'typed', index: 3 },
    ]);
    assert.equal(made.minutes.attended.length, 4);
    assert.deepEqual(Object.keys(made.minutes.software.digests).sort(), [
      '@trialkeep/cli',
      '@trialkeep/crypto',
      '@trialkeep/server',
      'node',
    ]);

    const { server, url, log } = await startSealed(t, data, env);
    const trialkeep = (args: readonly string[], input?: string): Promise<Ran> =>
      run(
        process.execPath,
        [cli, ...args],
        { ...env, TRIALKEEP_URL: url, TRIALKEEP_CREDENTIAL: made.administrator.secret },
        input,
      );
    assert.equal((await trialkeep(['tenant', 'list'])).status, 75, 'Sealed: the same can be tried again.');
    const given = await trialkeep(['unseal'], `${shares[2]}\n${shares[0]}\n`);
    assert.match(given.out, /The root of trust is open/, given.err);
    const until = performance.now() + patienceMs;
    let entry: string | undefined;
    while (entry === undefined) {
      assert.ok(performance.now() < until && server.exitCode === null, log());
      await pause(500);
      const shown = await trialkeep(['ledger', 'show', '--operation', 'instance.ceremony', '--json']);
      entry = /"entry\\?":\\?"([0-9a-f-]{36})/.exec(shown.out)?.[1];
    }
    const pdf = join(folder, 'minutes.pdf');
    const evidence = await trialkeep(['evidence', 'ceremony', entry, '--out', pdf]);
    assert.equal(evidence.status, 0, evidence.err);
    assert.ok(readFileSync(pdf).includes('instance.ceremony'));
    server.kill('SIGTERM');
    await once(server, 'close');
    const written = [log(), ...filesOf(folder)].join('\n');
    for (const share of shares) {
      for (const group of [share, share.replaceAll('-', ''), share.slice(20, 40)]) {
        assert.ok(!written.includes(group), 'No file and no log holds a share.');
      }
    }
  },
);

/** A server of its own process that waits for shares, and what it writes to its log. */
async function startSealed(t: TestContext, data: string, env: Readonly<Record<string, string>>) {
  const server = spawn(process.execPath, [cli, 'server', '--data', data, '--port', '0', '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env },
  });
  let log = '';
  server.stderr.on('data', (chunk: Buffer) => (log += chunk.toString('utf8')));
  t.after(() => server.kill('SIGKILL'));
  const [first] = (await once(createInterface({ input: server.stdout }), 'line')) as [string];
  const { listening: url, state } = JSON.parse(first) as { listening: string; state: string };
  assert.equal(state, 'sealed');
  return { server, url, log: () => log };
}

function filesOf(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name));
  return names.filter((name) => statSync(name).isFile()).map((name) => readFileSync(name).toString('latin1'));
}
