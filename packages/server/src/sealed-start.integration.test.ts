import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import type { TestContext } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { commitToSecret, formatShare, splitSecret } from '@trialkeep/crypto';

const entry = fileURLToPath(new URL('main.ts', import.meta.url));
/** A slow machine gets this long to do one thing. */
const patienceMs = 120_000;

interface Answered {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** Shares of a new set, as they are typed, and its commitment. */
function newSet(threshold = 2, count = 3) {
  const secret = randomBytes(32);
  const shares = splitSecret(secret, { threshold, count });
  return { texts: shares.map(formatShare), commitment: commitToSecret(secret, shares[0]?.set ?? '') };
}
type NewSet = ReturnType<typeof newSet>;

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'trialkeep-sealed-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a command of the server to its end. */
async function command(
  args: readonly string[],
  input = '',
): Promise<{ status: number; out: string; err: string }> {
  const child = spawn(process.execPath, [entry, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin.end(input);
  const texts = [child.stdout, child.stderr].map(async (stream) =>
    Buffer.concat(await stream.toArray()).toString('utf8'),
  );
  const [status] = (await once(child, 'close')) as [number];
  const [out = '', err = ''] = await Promise.all(texts);
  return { status, out, err };
}

/** What a ceremony of this set hands over. */
function requestOf(action: 'new' | 'rekey' | 'test', set: NewSet, more: object = {}): string {
  const indexes = action === 'test' ? [1, 2] : set.texts.map((_, i) => i + 1);
  return JSON.stringify({
    action,
    ...(action !== 'test' && { set: { shares: set.texts, commitment: set.commitment } }),
    attended: [{ name: 'Ada', role: 'custodian' }],
    begun: 1,
    confirmed: indexes.map((index) => ({ index, by: `Custodian ${index}`, how: 'typed' })),
    programs: {},
    ...more,
  });
}

/** An installation whose root is held in shares, and the credential of its administrator. */
async function makeInstallation(t: TestContext, set: NewSet) {
  const data = join(folderOf(t), 'data');
  const { status, out, err } = await command(['ceremony', '--data', data], requestOf('new', set));
  assert.equal(status, 0, err);
  const { made } = JSON.parse(out) as { made: { administrator: { secret: string } } };
  return { data, credential: made.administrator.secret, out };
}

/** A server as a process of its own. */
class Served {
  readonly #child: ChildProcess;
  log = '';
  first: { listening: string; state: string; reasons: string[] } = { listening: '', state: '', reasons: [] };

  constructor(t: TestContext, data: string, port: number) {
    const args = [entry, 'serve', '--data', data, '--port', String(port)];
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child.stderr?.on('data', (chunk: Buffer) => (this.log += chunk.toString('utf8')));
    t.after(() => this.end('SIGKILL'));
  }

  static async start(t: TestContext, data: string, port = 0): Promise<Served> {
    const served = new Served(t, data, port);
    const out = served.#child.stdout ?? assert.fail();
    const ended = once(served.#child, 'close').then(() => assert.fail(served.log));
    // It also ends where the test has it end.
    ended.catch(() => undefined);
    const [line] = (await Promise.race([once(createInterface({ input: out }), 'line'), ended])) as [string];
    served.first = JSON.parse(line) as Served['first'];
    return served;
  }

  get port(): number {
    return Number(new URL(this.first.listening).port);
  }

  async ask(path: string, more: { body?: unknown; credential?: string } = {}): Promise<Answered> {
    const { body, credential } = more;
    const response = await fetch(`${this.first.listening}${path}`, {
      ...(body !== undefined && { method: 'POST', body: JSON.stringify(body) }),
      headers: {
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(credential !== undefined && { authorization: `Bearer ${credential}` }),
      },
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  }

  give(share: string): Promise<Answered> {
    return this.ask('/v1/unseal', { body: { share } });
  }

  /** Waits until the server is ready, or in another state. */
  async ready(state = 'ready'): Promise<void> {
    const until = performance.now() + patienceMs;
    for (;;) {
      const answered = await this.ask('/v1/status').catch(() => undefined);
      if (answered?.body['state'] === state) return;
      assert.ok(performance.now() < until && this.#child.exitCode === null, this.log);
      await pause(50);
    }
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill(signal);
    await once(this.#child, 'close');
  }
}

function codeOf({ body }: Answered): string | undefined {
  return (body['error'] as { code: string } | undefined)?.code;
}

/** The newest entries of an operation in the log of the instance, once there are so many. */
async function entriesOf(
  served: Served,
  credential: string,
  operation: string,
  least: number,
): Promise<Record<string, unknown>[]> {
  const until = performance.now() + patienceMs;
  for (;;) {
    const { body } = await served.ask('/v1/ledger/query', { credential, body: { operation } });
    const found = (body['entries'] as { entry: string }[] | undefined) ?? [];
    if (found.length >= least) return found.map(({ entry }) => JSON.parse(entry) as Record<string, unknown>);
    assert.ok(performance.now() < until, JSON.stringify(body));
    await pause(200);
  }
}

async function entryOf(
  served: Served,
  credential: string,
  operation: string,
): Promise<Record<string, unknown>> {
  const [found = {}] = await entriesOf(served, credential, operation, 1);
  return found;
}

test('a server under shares starts sealed, and opens with m of them on the same port [URS-010] [URS-080]', async (t) => {
  const set = newSet();
  const { data, credential } = await makeInstallation(t, set);
  const served = await Served.start(t, data);
  assert.equal(served.first.state, 'sealed');
  assert.match(served.first.reasons[0] ?? '', /0 of 2 shares of the set [0-9A-Z]{8}/);
  assert.deepEqual(await served.ask('/health'), { status: 200, body: { alive: true } });
  assert.equal((await served.ask('/v1/status')).body['state'], 'sealed');
  for (const [path, more] of [
    ['/ready', {}],
    ['/v1/tenants', { credential }],
    ['/v1/tenants', { credential, body: { name: 'x' } }],
    ['/nowhere', {}],
  ] as const) {
    const answered = await served.ask(path, more);
    assert.deepEqual([answered.status, codeOf(answered)], [503, 'server.sealed'], path);
  }
  const [one = '', two = '', three = ''] = set.texts;
  const [other = ''] = newSet().texts;
  assert.deepEqual(await codes(served, [other, 'TKS1', one.replace(/.$/, one.endsWith('Z') ? 'Y' : 'Z')]), [
    'unseal.share_foreign',
    'unseal.share_malformed',
    'unseal.share_mistyped',
  ]);
  const first = await served.give(two);
  assert.deepEqual(
    [first.status, first.body['state'], first.body['given'], first.body['wrong']],
    [200, 'sealed', 1, 3],
  );
  assert.equal((await served.give(two)).body['given'], 1, 'The same share again does not count.');
  const second = await served.give(three);
  assert.deepEqual([second.status, second.body['state'], second.body['given']], [200, 'opening', 2]);
  await served.ready();
  assert.equal((await served.ask('/v1/tenants', { credential })).status, 200);
  assert.equal(codeOf(await served.give(one)), 'request.unknown_operation');
  const unsealed = await entryOf(served, credential, 'instance.unseal');
  assert.deepEqual([unsealed['outcome'], unsealed['actor']], ['success', undefined]);
  const held = await entryOf(served, credential, 'instance.ceremony');
  assert.match(String(held['hash']), /^[0-9a-f]{64}$/);
  assert.deepEqual(readdirSync(join(data, 'ceremonies')), ['recorded']);
  await served.end('SIGTERM');
  for (const share of set.texts) assert.ok(!served.log.includes(share.slice(10)), 'The log holds no share.');
});

async function codes(served: Served, shares: readonly string[]): Promise<(string | undefined)[]> {
  const found: (string | undefined)[] = [];
  for (const share of shares) found.push(codeOf(await served.give(share)));
  return found;
}

test('killed in the middle it is sealed again, with no share left; each node is opened by itself [URS-010]', async (t) => {
  const set = newSet();
  const { data } = await makeInstallation(t, set);
  const [one = '', two = ''] = set.texts;
  const killed = await Served.start(t, data);
  await killed.give(one);
  await killed.end('SIGKILL');
  const again = await Served.start(t, data, killed.port);
  assert.equal((await again.ask('/v1/unseal')).body['given'], 0);
  // A second node with a copy of the root: what opens one leaves the other sealed.
  const copy = join(folderOf(t), 'data');
  cpSync(data, copy, { recursive: true });
  const node = await Served.start(t, copy);
  for (const share of [one, two]) await again.give(share);
  await again.ready();
  assert.deepEqual(
    [(await node.ask('/v1/unseal')).body['given'], (await node.ask('/ready')).status],
    [0, 503],
  );
  for (const share of [two, one]) await node.give(share);
  await node.ready();
  await again.end('SIGTERM');
  await node.end('SIGTERM');
});

test('who tries many shares is slowed down, and bodies are bounded [URS-010] [URS-080]', async (t) => {
  const { data } = await makeInstallation(t, newSet());
  const served = await Served.start(t, data);
  const found = await Promise.all(Array.from({ length: 40 }, () => served.give('TKS1-0000')));
  assert.ok(found.some((answered) => answered.status === 429 && codeOf(answered) === 'unseal.too_many'));
  const long = await served.ask('/v1/unseal', { body: { share: 'x'.repeat(5000) } });
  assert.deepEqual([long.status, codeOf(long)], [413, 'request.too_large']);
  await served.end('SIGTERM');
});

test('a backup is made while it is sealed, and restored with shares alone [URS-010] [URS-066]', async (t) => {
  const set = newSet();
  const { data, credential } = await makeInstallation(t, set);
  const backup = join(folderOf(t), 'backup');
  const made = await command(['backup', '--data', data, '--to', backup]);
  assert.equal(made.status, 0, made.err);
  renameSync(join(data, 'state'), join(data, 'lost'));
  const refused = await command(['restore', '--data', data, '--from', backup]);
  assert.match(refused.err, /root\.sealed/);
  const few = await command(['restore', '--data', data, '--from', backup, '--shares'], set.texts[0]);
  assert.match(few.err, /root\.shares_refused/);
  const restored = await command(
    ['restore', '--data', data, '--from', backup, '--shares'],
    set.texts.slice(1).join('\n'),
  );
  assert.equal(restored.status, 0, restored.err);
  const served = await Served.start(t, data);
  for (const share of set.texts.slice(0, 2)) await served.give(share);
  await served.ready();
  assert.equal((await served.ask('/v1/tenants', { credential })).status, 200);
  await served.end('SIGTERM');
});

test('a rekey makes the old shares void, a test of shares changes nothing, and both leave minutes [URS-010]', async (t) => {
  const [old, fresh] = [newSet(), newSet(3, 4)];
  const { data, credential } = await makeInstallation(t, old);
  const file = join(data, 'root', 'root.json');
  const before = readFileSync(file, 'utf8');
  const run = (text: string) => command(['ceremony', '--data', data], text);
  const tested = await run(requestOf('test', old, { shares: old.texts.slice(0, 2) }));
  assert.equal(tested.status, 0, tested.err);
  assert.equal(readFileSync(file, 'utf8'), before);
  const wrong = await run(requestOf('rekey', fresh, { shares: [old.texts[0], newSet().texts[1]] }));
  assert.match(wrong.err, /root\.shares_refused/);
  const half = { set: { shares: fresh.texts.slice(1), commitment: fresh.commitment }, shares: old.texts };
  assert.match((await run(requestOf('rekey', fresh, half))).err, /root\.shares_refused/);
  assert.equal(readFileSync(file, 'utf8'), before);
  const done = await run(requestOf('rekey', fresh, { shares: old.texts.slice(1) }));
  assert.equal(done.status, 0, done.err);
  const { minutes } = JSON.parse(done.out) as { minutes: Record<string, unknown> };
  assert.equal(minutes['replaced'], old.texts[0]?.slice(5, 14).replace('-', ''));
  const served = await Served.start(t, data);
  assert.equal(codeOf(await served.give(old.texts[0] ?? '')), 'unseal.share_foreign');
  for (const share of fresh.texts.slice(1)) await served.give(share);
  await served.ready();
  assert.equal((await served.ask('/v1/tenants', { credential })).status, 200);
  await entryOf(served, credential, 'instance.ceremony');
  assert.equal(existsSync(join(data, 'ceremonies', 'recorded')), true);
  await served.end('SIGTERM');
});

test('minutes that could not be written keep a ceremony from changing anything; later it says what is in force [URS-010]', async (t) => {
  const [old, fresh] = [newSet(), newSet()];
  const attended = [{ name: 'Ada\nBert', role: 'custodian' }];
  const nowhere = join(folderOf(t), 'data');
  const refused = await command(['ceremony', '--data', nowhere], requestOf('new', old, { attended }));
  assert.match(refused.err, /usage\.invalid/);
  assert.ok(!existsSync(nowhere));
  const { data } = await makeInstallation(t, old);
  const file = join(data, 'root', 'root.json');
  const before = readFileSync(file, 'utf8');
  const many = Array.from({ length: 50 }, (_, i) => ({ name: 'n'.repeat(200), role: `${i}`.padEnd(200) }));
  for (const wrong of [attended, many]) {
    const request = requestOf('rekey', fresh, { shares: old.texts.slice(1), attended: wrong });
    assert.match((await command(['ceremony', '--data', data], request)).err, /usage\.invalid/);
  }
  assert.equal(readFileSync(file, 'utf8'), before);
  renameSync(join(data, 'ceremonies'), join(data, 'ceremonies-away'));
  writeFileSync(join(data, 'ceremonies'), 'no folder');
  const request = requestOf('rekey', fresh, { shares: old.texts.slice(1) });
  assert.match(
    (await command(['ceremony', '--data', data], request)).err,
    /ceremony\.no_minutes.*IS in force/,
  );
  rmSync(join(data, 'ceremonies'));
  renameSync(join(data, 'ceremonies-away'), join(data, 'ceremonies'));
  const tested = requestOf('test', fresh, { shares: fresh.texts.slice(1) });
  assert.equal((await command(['ceremony', '--data', data], tested)).status, 0);
});

test('nobody is asked for a share where the server could not start with it [URS-010]', async (t) => {
  const { data } = await makeInstallation(t, newSet());
  const serve = ['serve', '--data', data, '--port', '0'];
  const served = await Served.start(t, data);
  assert.match((await command(serve)).err, /data\.in_use/);
  await served.end('SIGTERM');
  renameSync(join(data, 'state'), join(data, 'away'));
  assert.match((await command(serve)).err, /database\.missing/);
});

test('who opened a server that came up in recovery is recorded by the next one [URS-010]', async (t) => {
  const set = newSet();
  const { data, credential } = await makeInstallation(t, set);
  const open = async (state: string): Promise<Served> => {
    const served = await Served.start(t, data);
    for (const share of set.texts.slice(1)) await served.give(share);
    await served.ready(state);
    return served;
  };
  renameSync(join(data, 'anchor'), join(data, 'anchor-away'));
  await (await open('recovery')).end('SIGTERM');
  assert.equal(readdirSync(join(data, 'unsealings')).length, 1);
  rmSync(join(data, 'anchor'), { recursive: true, force: true });
  renameSync(join(data, 'anchor-away'), join(data, 'anchor'));
  const served = await open('ready');
  for (const until = performance.now() + patienceMs; readdirSync(join(data, 'unsealings')).length > 0;) {
    assert.ok(performance.now() < until, served.log);
    await pause(50);
  }
  assert.equal((await entriesOf(served, credential, 'instance.unseal', 2)).length, 2);
  await served.end('SIGTERM');
});
