import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { runCommand } from '../fixture.test.ts';
import type { Ran } from '../fixture.test.ts';
import { startServer } from '../server-process.ts';
import type { RunningServer } from '../server-process.ts';

// Against a real server in a process of its own.
describe('keys, proofs and archives of a ledger', () => {
  let folder: string;
  let server: RunningServer;
  let env: Record<string, string>;

  const command = (argv: readonly string[]): Promise<Ran> => runCommand(argv, { env });
  const said = async (...argv: string[]): Promise<string> => {
    const { status, stdout, stderr } = await command(argv);
    assert.equal(status, 0, `${argv.join(' ')}: ${stderr}`);
    return stdout;
  };
  const answer = async <Result>(...argv: string[]): Promise<Result> =>
    JSON.parse(await said(...argv, '--json')) as Result;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'trialkeep-upkeep-'));
    env = { XDG_CONFIG_HOME: join(folder, 'config'), PATH: process.env['PATH'] ?? '' };
    const data = join(folder, 'data');
    const { administrator } = await answer<{ administrator: { secret: string } }>(
      'self',
      'init',
      '--data',
      data,
    );
    server = await startServer({ env, dataDirectory: data, port: 0 });
    env = { ...env, TRIALKEEP_URL: server.url, TRIALKEEP_CREDENTIAL: administrator.secret };
  });
  after(async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test('the proof of an entry is checked offline with the entry, under any of the keys [URS-033]', async () => {
    const { verifierKey, verifierKeys } = await answer<{ verifierKey: string; verifierKeys: string[] }>(
      'ledger',
      'verifier-key',
    );
    assert.deepEqual([verifierKeys.length, verifierKeys[0]], [2, verifierKey]);
    assert.equal(await said('ledger', 'verifier-key'), `${verifierKeys.join('\n')}\n`);
    const [proof, entry] = [join(folder, 'entry.tlog-proof'), join(folder, 'entry.json')];
    const made = await answer<{ index: number }>(
      'ledger',
      'proof',
      '0',
      '--out',
      proof,
      '--entry-out',
      entry,
    );
    assert.equal(made.index, 0);
    const { operation } = JSON.parse(await readFile(entry, 'utf8')) as { operation: string };
    assert.equal(operation, 'instance.create');
    for (const key of verifierKeys) await said('verify', proof, '--entry', entry, '--key', key);
    const other = await command(['verify', proof, '--entry', proof, '--key', verifierKey]);
    assert.equal(other.status, 1);
    const again = await command(['ledger', 'proof', '0', '--out', proof]);
    assert.match(again.stderr, /\[seal\.target_exists\]/);
  });

  test('an archive grows through a rotation of the keys, and anyone verifies it [URS-003] [URS-033] [URS-039]', async () => {
    const archive = join(folder, 'archive');
    const first = await answer<{ size: number; verifierKeys: string[] }>('ledger', 'archive', archive);
    const rotated = await answer<{ begins: string[]; ends: string[] }>(
      'ledger',
      'rotate-key',
      '--overlap-days',
      '7',
      '--reason',
      'The yearly change.',
    );
    const second = await answer<{ size: number; previousSize: number; verifierKeys: string[] }>(
      'ledger',
      'archive',
      archive,
    );
    assert.deepEqual([second.previousSize, second.verifierKeys.length], [first.size, 4]);
    for (const key of [...first.verifierKeys, ...rotated.begins]) {
      assert.match(await said('verify', archive, '--key', key), /^consistent/);
    }
    const retired = await answer<{ ends: string[] }>('ledger', 'retire-key', '--reason', 'All have them.');
    assert.deepEqual(retired.ends, rotated.ends);
    const third = await answer<{ verifierKeys: string[] }>('ledger', 'archive', archive);
    assert.deepEqual(third.verifierKeys, rotated.begins);
    const unknown = await command(['verify', archive, '--key', first.verifierKeys[0] ?? '']);
    assert.notEqual(unknown.status, 0);
    const { minimumIndex, size } = await answer<{ minimumIndex: number; size: number }>('ledger', 'bounds');
    assert.ok(minimumIndex === 0 && size >= 3);
  });

  test('what is no place for an archive, and no one for pruning alone, is refused [URS-010]', async () => {
    const place = await command(['ledger', 'archive', 'https://example.org/archive']);
    assert.equal(place.status, 2);
    const checkpoint = join(folder, 'archive', 'checkpoint');
    const prune = ['ledger', 'prune', '--below', '256', '--checkpoint', checkpoint, '--reason', 'Archived.'];
    assert.match((await command(prune)).stderr, /\[access\.person_required\]/);
  });
});
