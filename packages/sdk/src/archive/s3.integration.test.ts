import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { TestContext } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { makeFolder } from './fixture.test.ts';
import { s3Store } from './s3-store.ts';
import { testArchives } from './suite.fixture.test.ts';

/** Where `go install` puts commands beside PATH. */
/** Where the services of the tests, and Go, put commands. */
const goFolders = ['/usr/local/bin', join(homedir(), 'go', 'bin')];

function findCommand(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), ...goFolders];
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file));
}

const gateway = findCommand('versitygw');
const skip = gateway === undefined && 'versitygw is not installed: run tools/test-services.sh.';

/** A real S3 server over a folder, and a bucket in it; ended after the test. */
async function startS3(t: TestContext) {
  assert.ok(gateway, 'versitygw is needed');
  const root = makeFolder(t);
  const bucket = 'ledger-archive';
  mkdirSync(join(root, bucket));
  const port = await freePort();
  const credentials = { AWS_ACCESS_KEY_ID: 'tester', AWS_SECRET_ACCESS_KEY: 'only-for-this-test' };
  const backend = ['posix', '--sidecar', makeFolder(t), root];
  const server = spawn(gateway, ['--port', `127.0.0.1:${port}`, '--quiet', ...backend], {
    env: {
      PATH: process.env['PATH'] ?? '',
      ROOT_ACCESS_KEY_ID: credentials.AWS_ACCESS_KEY_ID,
      ROOT_SECRET_ACCESS_KEY: credentials.AWS_SECRET_ACCESS_KEY,
    },
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  t.after(async () => {
    server.kill('SIGKILL');
    await ended;
  });
  const endpoint = `http://127.0.0.1:${port}`;
  while (
    !(await fetch(endpoint).then(
      () => true,
      () => false,
    ))
  ) {
    assert.equal(server.exitCode, null, 'versitygw has ended');
    await setTimeout(50);
  }
  return { endpoint, bucket, folder: join(root, bucket), credentials };
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** Sets variables of this process until the test is over. */
function withEnvironment(t: TestContext, values: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(values)) {
    const before = process.env[name];
    process.env[name] = value;
    t.after(() => {
      if (before === undefined) delete process.env[name];
      else process.env[name] = before;
    });
  }
}

testArchives({
  name: 'a bucket',
  skip,
  make: async (t: TestContext) => {
    const { endpoint, bucket, folder, credentials } = await startS3(t);
    withEnvironment(t, credentials);
    const store = await s3Store({ bucket, prefix: 'trial/ledger', endpoint });
    return { store, folder: join(folder, 'trial', 'ledger') };
  },
});
