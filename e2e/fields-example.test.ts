import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import {
  asCaller,
  childEnvironment,
  clientOf,
  makeFolder,
  newInstallation,
  ServerProcess,
} from './harness.ts';
import { askLedger, newTenant } from './tenant.ts';

const program = fileURLToPath(new URL('../examples/fields/main.ts', import.meta.url));
const folder = makeFolder();

test('the example of database fields does what its page says, under keys of a server [URS-008] [URS-012] [URS-047]', async () => {
  const installation = await newInstallation();
  const server = await ServerProcess.start(installation.data);
  const tenant = await newTenant(server, installation.administrator.secret, 'Sponsor');
  const env = childEnvironment({
    ...asCaller(server, tenant.credentials.service.secret),
    TRIALKEEP_KEY: tenant.key,
    DIARY_DATABASE: join(folder, 'diary.sqlite'),
    DIARY_STUDY: tenant.study,
    DIARY_SUBJECT: tenant.subject,
  });
  const diary = async (command: string, input = ''): Promise<string> => {
    const running = promisify(execFile)(process.execPath, [program, command], { env, timeout: 60_000 });
    running.child.stdin?.end(input);
    return (await running).stdout;
  };
  const isStored = (word: string) =>
    readdirSync(folder).some((name) => readFileSync(join(folder, name)).includes(word));

  await diary('old', 'Ada Lovelace\nHeadache since noon\n');
  await diary('old', 'Grace Hopper\nWell\n');
  await diary('expand');
  await diary('add', 'Ada Lovelace\nBetter today\n');
  assert.ok(isStored('Headache since noon'));
  assert.ok(!isStored('Better today'));
  const found = async (name: string) => (await diary('find', name)).trimEnd().split('\n').toSorted();
  const both = ['Ada Lovelace: Better today', 'Ada Lovelace: Headache since noon'];
  // While columns are in clear, names in them are found as they are written.
  assert.deepEqual(await found('Ada Lovelace'), both);

  assert.match(await diary('migrate'), /^2 of 2 rows, 0 s left\n$/);
  for (const word of ['Ada', 'Grace', 'Headache', 'Better']) assert.ok(!isStored(word), word);
  assert.deepEqual(await found('ada lovelace'), both);
  assert.deepEqual(await found('GRACE  hopper'), ['Grace Hopper: Well']);

  const auditor = clientOf(server, tenant.credentials.auditor.secret);
  const entries = await askLedger(auditor, { operation: 'keys.decrypt-data-key', key: tenant.key });
  assert.ok(entries.some(({ subject, outcome }) => subject === tenant.subject && outcome === 'success'));
  await server.stop();
});
