import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { test } from 'node:test';
import { inFolder, runCommand } from '../fixture.test.ts';
import { startServer } from '../server-process.ts';

interface Listed {
  readonly keys: readonly {
    readonly id: string;
    readonly state: string;
    readonly description: string | null;
  }[];
  readonly size: number;
}

/** What a server says of a past time, again from an export of its ledger, and as a document. */
async function pastInventory(
  folder: string,
  asOf: string,
  {
    said,
    json,
  }: {
    readonly said: (...argv: readonly string[]) => Promise<string>;
    readonly json: <Result>(...argv: readonly string[]) => Promise<Result>;
  },
): Promise<void> {
  const then = await json<Listed>('inventory', '--as-of', asOf);
  assert.deepEqual(
    then.keys.map(({ state }) => state),
    ['active', 'active'],
  );
  const exported = join(folder, 'export');
  const key = (await said('ledger', 'verifier-key')).trim().split('\n');
  const keys = key.flatMap((line) => ['--key', line]);
  await said('ledger', 'export', exported, '--payloads', ...keys);
  const again = await json<Listed>('inventory', '--ledger', exported, ...keys, '--as-of', asOf);
  const bare = then.keys.map((row) =>
    Object.entries(row).filter(([name]) => !['arn', 'tenant'].includes(name)),
  );
  assert.deepEqual(again, { ...then, keys: bare.map((row) => Object.fromEntries(row)) });

  const pdf = join(folder, 'keys.pdf');
  await said('evidence', 'inventory', '--as-of', asOf, '--out', pdf);
  assert.equal((await readFile(pdf)).subarray(0, 5).toString(), '%PDF-');
}

// Against a real server in a process of its own; what it says of a past time is made again without it.
test('the inventory as text, CSV and JSON, of now and of a past time, and again from an export [URS-007]', async () => {
  await inFolder(async (folder) => {
    const base = { XDG_CONFIG_HOME: join(folder, 'config'), PATH: process.env['PATH'] ?? '' };
    let env: Record<string, string> = base;
    const run = (...argv: readonly string[]) => runCommand(argv, { env });
    const said = async (...argv: readonly string[]): Promise<string> => {
      const { status, stdout, stderr } = await run(...argv);
      assert.equal(status, 0, `${argv.join(' ')}: ${stderr}`);
      return stdout;
    };
    const json = async <Result>(...argv: readonly string[]): Promise<Result> =>
      JSON.parse(await said(...argv, '--json')) as Result;
    const data = join(folder, 'data');
    const { administrator } = await json<{ administrator: { secret: string } }>(
      'self',
      'init',
      '--data',
      data,
    );
    const server = await startServer({ env, dataDirectory: data, port: 0 });
    try {
      env = { ...base, TRIALKEEP_URL: server.url, TRIALKEEP_CREDENTIAL: administrator.secret };
      const { custodian } = await json<{ custodian: { secret: string } }>('tenant', 'create', 'Sponsor');
      env = { ...env, TRIALKEEP_CREDENTIAL: custodian.secret };
      const { id: system } = await json<{ id: string }>(
        'system',
        'create',
        'EDC',
        '--type',
        'edc',
        '--vendor',
        '+V',
      );
      const create = ['key', 'create', '--system', system];
      const { id: first } = await json<{ id: string }>(...create, '--description', '=1+1, "quoted"');
      await json(...create, '--expires', '2099-01-01');
      await setTimeout(5);
      const asOf = new Date().toISOString();
      await setTimeout(5);
      await said('key', 'suspend', first, '--reason', 'a look');

      assert.match(await said('inventory'), new RegExp(`^${first}  suspended .*\\+V / EDC`));
      const csv = await said('inventory', '--csv');
      assert.match(csv, /^id,arn,tenant,/);
      assert.ok(
        csv.includes(`,'+V,"'=1+1, ""quoted""",AES_256,encrypt,software,passphrase,suspended,1,`),
        csv,
      );
      const { keys: active } = await json<Listed>('inventory', '--state', 'active', '--order', 'expires');
      assert.equal(active.length, 1);
      const out = join(folder, 'keys.csv');
      await said('inventory', '--csv', '--out', out);
      assert.equal(await readFile(out, 'utf8'), csv);

      await pastInventory(folder, asOf, { said, json });
    } finally {
      await server.stop();
    }
  });
});

test('options of the inventory that do not go together are refused [URS-007]', async () => {
  await inFolder(async (folder) => {
    const env = { XDG_CONFIG_HOME: join(folder, 'config'), PATH: process.env['PATH'] ?? '' };
    for (const wrong of [
      ['--as-of', '2027-01-01', '--overdue'],
      ['--ledger', folder],
      ['--json', '--csv'],
    ]) {
      const { status } = await runCommand(['inventory', ...wrong], { env });
      assert.equal(status, 2, wrong.join(' '));
    }
  });
});
