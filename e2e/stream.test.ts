import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { makeSelfSigned, opensslMissing } from '../tools/self-signed.ts';
import {
  asCaller,
  clientOf,
  makeFolder,
  newInstallation,
  ServerProcess,
  trialkeep,
  undoAtEnd,
} from './harness.ts';
import type { Ran } from './harness.ts';
import { askLedger, newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';

/** Longer than a receiver on this machine takes until it has written what it was sent; none of them vanishes without a word. */
const settleSeconds = 4;

/** A real receiver in a process of its own: syslog over TLS, each message a line of a file. */
class Rsyslog {
  readonly port: number;
  readonly certificate: string;
  readonly received: string;
  readonly #folder: string;
  #process: ChildProcess | undefined;

  constructor(folder: string, port: number) {
    this.#folder = folder;
    this.port = port;
    this.received = join(folder, 'received');
    const { key, certificate } = makeSelfSigned(folder);
    this.certificate = certificate;
    mkdirSync(join(folder, 'work'));
    const files = { CAFile: certificate, CertFile: certificate, KeyFile: key };
    const driver = Object.entries(files).map(([name, path]) => `DefaultNetstreamDriver${name}="${path}"`);
    writeFileSync(
      join(folder, 'rsyslog.conf'),
      [
        `global(workDirectory="${join(folder, 'work')}" maxMessageSize="128k" DefaultNetstreamDriver="ossl" ${driver.join(' ')})`,
        'module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")',
        `input(type="imtcp" port="${port}" address="127.0.0.1")`,
        'template(name="whole" type="string" string="%rawmsg%\\n")',
        `action(type="omfile" file="${this.received}" template="whole")`,
        '',
      ].join('\n'),
    );
  }

  start(): void {
    const pidFile = join(this.#folder, 'pid');
    const child = spawn('rsyslogd', ['-n', '-f', join(this.#folder, 'rsyslog.conf'), '-i', pidFile], {
      stdio: 'ignore',
    });
    this.#process = child;
    undoAtEnd(() => void child.kill('SIGKILL'));
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    if (child === undefined || child.exitCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  }

  /** Ends it in the midst of its work. A message that it had written half is none. */
  async kill(): Promise<void> {
    await this.stop('SIGKILL');
    const text = readFileSync(this.received, 'utf8');
    writeFileSync(this.received, text.slice(0, text.lastIndexOf('\n') + 1));
  }

  /** What it has written: position and entry of each message. */
  messages(): { position: number; entry: string }[] {
    if (!existsSync(this.received)) return [];
    const lines = readFileSync(this.received, 'utf8').split('\n').slice(0, -1);
    return lines.map((line) => {
      const found = /^<1(?:09|10)>1 .* \[ledger@32473 origin="[^"]*" position="(\d+)"\] (\{.*\})$/.exec(line);
      assert.ok(found, line);
      return { position: Number(found[1]), entry: found[2] ?? '' };
    });
  }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

const rsyslogMissing: string | false =
  spawnSync('rsyslogd', ['-v']).error !== undefined &&
  'rsyslog is not installed: run tools/test-services.sh.';

/** The command, following the tenant's ledger for the receiver. */
class Stream {
  readonly ended: Promise<Ran>;
  #processId = 0;

  constructor(server: ServerProcess, tenant: Tenant, receiver: Rsyslog, state: string) {
    const to = ['stream', 'syslog', `localhost:${receiver.port}`, '--ca', receiver.certificate];
    this.ended = trialkeep([...to, '--state', state, '--settle', `${settleSeconds}`, '--json'], {
      env: asCaller(server, tenant.credentials.auditor.secret),
      onStart: (id) => {
        this.#processId = id;
      },
    });
  }

  signal(name: NodeJS.Signals): void {
    process.kill(this.#processId, name);
  }
}

/** Every position up to there has come, and first appearances come in the order of the log. */
function assertComplete(receiver: Rsyslog, acknowledged: number): void {
  const positions = receiver.messages().map(({ position }) => position);
  const all = new Set(positions);
  for (let position = 0; position < acknowledged; position++) assert.ok(all.has(position), `${position}`);
  let next = 0;
  for (const position of positions) {
    assert.ok(position <= next, `${position} before ${next}`);
    next = Math.max(next, position + 1);
  }
}

const skip = rsyslogMissing || opensslMissing;

test(
  'a real syslog receiver gets every entry, whatever is killed meanwhile [URS-039]',
  { skip },
  async () => {
    const installation = await newInstallation();
    const server = await ServerProcess.start(installation.data);
    const tenant = await newTenant(server, installation.administrator.secret, 'Streamed');
    const folder = makeFolder();
    const receiver = new Rsyslog(folder, await freePort());
    receiver.start();
    const state = join(folder, 'state.json');
    const start = () => new Stream(server, tenant, receiver, state);
    const acknowledgedNow = () => (JSON.parse(readFileSync(state, 'utf8')) as { position: number }).position;
    const service = clientOf(server, tenant.credentials.service.secret);
    const { key } = tenant;
    const over = new AbortController();
    const using = (async () => {
      while (!over.signal.aborted) {
        await service.call('keys.encrypt', { key, plaintext: 'c2FtcGxl' });
        await setTimeout(4);
      }
    })();
    const more = async (count: number): Promise<void> => {
      const wanted = receiver.messages().length + count;
      while (receiver.messages().length < wanted) await setTimeout(50);
    };
    let stream = start();
    await more(20);
    for (const count of [30, 60]) {
      stream.signal('SIGKILL');
      assert.equal((await stream.ended).status, 137);
      stream = start();
      await more(count);
    }
    for (const end of [() => receiver.stop(), () => receiver.kill()]) {
      await end();
      await setTimeout(300);
      receiver.start();
      await more(50);
    }
    over.abort();
    await using;

    const auditor = clientOf(server, tenant.credentials.auditor.secret);
    const asked = (await askLedger(auditor, { operation: 'keys.encrypt' })).map(({ entry }) => entry);
    const received = () =>
      receiver.messages().map(({ entry }) => (JSON.parse(entry) as { entry: string }).entry);
    const lastAsked = asked.at(-1) ?? assert.fail();
    while (!received().includes(lastAsked)) await setTimeout(50);
    const { position } = receiver.messages()[received().indexOf(lastAsked)] ?? assert.fail();
    // What came is acknowledged once it has settled, and what ends before that is not.
    while (acknowledgedNow() <= position) await setTimeout(50);
    stream.signal('SIGTERM');
    const { acknowledged } = JSON.parse((await stream.ended).stdout) as { acknowledged: number };
    assert.ok(acknowledged > asked.length);
    assert.equal(acknowledged, acknowledgedNow());
    assertComplete(receiver, acknowledged);
    const ids = new Set(received());
    for (const entry of asked) assert.ok(ids.has(entry));
    await receiver.stop();
    assert.equal(await server.stop(), 0);
  },
);
