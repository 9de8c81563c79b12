import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { startServer } from '@trialkeep/cli/server-process';
import type { RunningServer, ServerProcessOptions } from '@trialkeep/cli/server-process';
import { sightingsInMemory } from '../tools/memory-exposure.ts';
import { childEnvironment, clientOf, makeFolder, newInstallation, undoAtEnd } from './harness.ts';
import type { Installation } from './harness.ts';
import { newTenant } from './tenant.ts';

const noProc = existsSync('/proc/self/maps') ? false : 'This system has no /proc.';
const serverMain = fileURLToPath(import.meta.resolve('@trialkeep/server/main'));

let installation: Installation;
before(async () => {
  installation = await newInstallation();
});

/** Starts the server as `trialkeep` does. */
async function start(
  env: Record<string, string> = {},
  onLog?: ServerProcessOptions['onLog'],
): Promise<RunningServer> {
  const server = await startServer({
    dataDirectory: installation.data,
    port: 0,
    env: childEnvironment(env),
    ...(onLog !== undefined && { onLog }),
  });
  undoAtEnd(() => void server.stop('SIGKILL'));
  return server;
}

test(
  'a server writes no core files, and no signal opens its inspector [URS-044]',
  { skip: noProc },
  async () => {
    const log: string[] = [];
    const server = await start({}, (line) => void log.push(line));
    const of = (file: string): string => readFileSync(`/proc/${server.processId}/${file}`, 'utf8');
    assert.match(of('limits'), /^Max core file size\s+0\s+0\s/m);
    assert.equal(Number.parseInt(of('coredump_filter'), 16), 0);
    assert.ok(of('cmdline').split('\0').includes('--disable-sigusr1'));
    process.kill(server.processId ?? 0, 'SIGUSR1');
    const { state } = await clientOf(server, installation.administrator.secret).call('instance.status', {});
    assert.equal(state, 'ready');
    await pause(200);
    assert.doesNotMatch(log.join('\n'), /Debugger listening/);
    assert.equal(await server.stop(), 0);
  },
);

test('options that open the memory of the server keep it from starting [URS-044]', async () => {
  for (const option of ['--inspect=127.0.0.1:0', '--heapsnapshot-signal=SIGUSR2', '--report-on-signal'])
    await assert.rejects(start({ NODE_OPTIONS: option }), { code: 'process.revealing_options' }, option);
});

test('OpenSSL’s locked heap is there where it is asked for, and must be a power of two [URS-044]', async () => {
  const server = await start({ TRIALKEEP_SECURE_HEAP_MIB: '256' });
  const tenant = await newTenant(server, installation.administrator.secret, 'locked');
  const service = clientOf(server, tenant.credentials.service.secret);
  const { ciphertext } = await service.call('keys.encrypt', { key: tenant.key, plaintext: 'YQ==' });
  assert.equal((await service.call('keys.decrypt', { key: tenant.key, ciphertext })).plaintext, 'YQ==');
  assert.equal(await server.stop(), 0);
  await assert.rejects(start({ TRIALKEEP_SECURE_HEAP_MIB: '100' }), { code: 'cli.secure_heap' });
});

test(
  'a server that crashes where core files are on leaves no plaintext in them [URS-044]',
  { skip: noProc },
  async (t) => {
    const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim();
    if (pattern.includes('/') || pattern.startsWith('|'))
      return t.skip(`Core files go elsewhere here: ${pattern}`);
    const canary = `canary${randomBytes(12).toString('hex')}`;
    const hold = `globalThis.held = process.argv[1]; process.kill(process.pid, 'SIGABRT'); setInterval(() => {}, 1000)`;
    const control = await dumped(['-e', hold, canary], async () => undefined);
    if (control?.includes(canary) !== true) return t.skip('This system writes no core files.');
    const args = [serverMain, 'serve', '--data', installation.data, '--port', '0'];
    const dump = await dumped(args, async (url, child) => {
      const tenant = await newTenant({ url }, installation.administrator.secret, 'crashing');
      const plaintext = Buffer.from(canary).toString('base64');
      await clientOf({ url }, tenant.credentials.service.secret).call('keys.encrypt', {
        key: tenant.key,
        plaintext,
      });
      child.kill('SIGABRT');
    });
    for (const form of [canary, Buffer.from(canary).toString('base64')])
      assert.ok(dump?.includes(form) !== true, 'The core file holds the plaintext.');
  },
);

/** Runs Node with core files on in a folder of its own. @returns what it left there */
async function dumped(
  args: readonly string[],
  use: (url: string, child: { kill(signal: 'SIGABRT'): boolean }) => Promise<void>,
): Promise<Buffer | undefined> {
  const folder = makeFolder();
  const child = spawn('/bin/sh', ['-c', 'ulimit -c unlimited; exec "$0" "$@"', process.execPath, ...args], {
    cwd: folder,
    env: childEnvironment(),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  undoAtEnd(() => void child.kill('SIGKILL'));
  const ended = once(child, 'exit');
  for await (const line of createInterface({ input: child.stdout })) {
    await use((JSON.parse(line) as { listening: string }).listening, child);
    break;
  }
  await ended;
  const [core] = readdirSync(folder).filter((name) => name.startsWith('core'));
  return core === undefined ? undefined : readFileSync(join(folder, core));
}

test(
  'how much of what was used stays in memory is measured, for docs/how-to/memory-of-the-server.md [URS-044]',
  { skip: noProc },
  async (t) => {
    const server = await start();
    const tenant = await newTenant(server, installation.administrator.secret, 'measured');
    const service = clientOf(server, tenant.credentials.service.secret);
    const canary = `canary${randomBytes(12).toString('hex')}`;
    const plaintext = Buffer.from(canary).toString('base64');
    const { ciphertext } = await service.call('keys.encrypt', { key: tenant.key, plaintext });
    await service.call('keys.decrypt', { key: tenant.key, ciphertext });
    const look = (): Record<string, number> =>
      sightingsInMemory(server.processId ?? 0, {
        bytes: Buffer.from(canary),
        base64: Buffer.from(plaintext),
        control: Buffer.from(installation.data),
      });
    try {
      const first = look();
      assert.ok((first['control'] ?? 0) > 0, 'The search finds what must be there.');
      t.diagnostic(`after one encryption and decryption: ${JSON.stringify(first)}`);
      const other = Buffer.from(randomBytes(512)).toString('base64');
      for (let i = 0; i < 2000; i += 1)
        await service.call('keys.encrypt', { key: tenant.key, plaintext: other });
      t.diagnostic(`after 2,000 more encryptions: ${JSON.stringify(look())}`);
    } catch (error) {
      if ((error as { code?: string }).code === 'EACCES')
        return t.skip('This system lets nobody read the memory of another process.');
      throw error;
    }
    assert.equal(await server.stop(), 0);
  },
);
