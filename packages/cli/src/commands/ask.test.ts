import assert from 'node:assert/strict';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { inFolder, runCommand } from '../fixture.test.ts';
import type { Ran } from '../fixture.test.ts';
import { startServer } from '../server-process.ts';

// Against a real server in a process of its own: what is asked there is recomputed here without it.

interface World {
  readonly folder: string;
  readonly key: string;
  readonly alias: string;
  /** Runs a verb that has to succeed. */
  said(...argv: readonly string[]): Promise<string>;
  run(argv: readonly string[], stdin?: string): Promise<Ran>;
}

type Verbs = Pick<World, 'said' | 'run'>;

/** Runs verbs on a server of its own, whose administrator's credential is `secret`. */
async function withServer(
  work: (
    verbs: Verbs,
    of: { folder: string; url: string; secret: string; env: NodeJS.ProcessEnv },
  ) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    const data = join(folder, 'data');
    const env = { XDG_CONFIG_HOME: join(folder, 'config'), PATH: process.env['PATH'] ?? '' };
    const run = (argv: readonly string[], stdin = '') => runCommand(argv, { env, stdin });
    const said = async (...argv: readonly string[]): Promise<string> => {
      const { status, stdout, stderr } = await run(argv);
      assert.equal(status, 0, `${argv.join(' ')}: ${stderr}`);
      return stdout;
    };
    const { administrator } = JSON.parse(await said('self', 'init', '--data', data, '--json')) as {
      administrator: { secret: string };
    };
    const server = await startServer({ env, dataDirectory: data, port: 0 });
    try {
      await work({ said, run }, { folder, url: server.url, secret: administrator.secret, env });
    } finally {
      await server.stop();
    }
  });
}

/** A participant of a study, and a key, under which two values were encrypted and decrypted. */
async function makeUses({ said, run }: Verbs, folder: string): Promise<{ key: string; alias: string }> {
  const made = async (...argv: readonly string[]): Promise<string> =>
    (JSON.parse(await said(...argv, '--json')) as { id: string }).id;
  const study = await made('study', 'create', 'TK-001');
  const system = await made('system', 'create', 'EDC', '--type', 'edc', '--vendor', 'V');
  const key = await made('key', 'create', '--system', system);
  const limits = ['--system', system, '--key', key, '--save-profile', 'edc'];
  await said('system', 'credential', 'issue', 'edc', ...limits);
  const asService = ['--profile', 'edc'];
  const subjects = await run(['subject', 'create', '--study', study, ...asService, '--json'], '1001\n');
  const { subjects: listed } = JSON.parse(subjects.stdout) as { subjects: { alias: string }[] };
  const alias = listed[0]?.alias ?? '';
  const pairs = [`study=${study}`, `subject=${alias}`, 'class=ecg', 'purpose=analysis'];
  const using = ['--key', key, ...pairs.flatMap((pair) => ['--context', pair]), ...asService];
  const file = join(folder, 'ciphertext');
  for (const value of ['one', 'two']) {
    assert.equal((await run(['encrypt', ...using, '--out', file, '--overwrite'], value)).status, 0);
    await said('decrypt', '--in', file, ...using, '--out', join(folder, value));
  }
  return { key, alias };
}

async function inWorld(work: (world: World) => Promise<void>): Promise<void> {
  await withServer(async (verbs, { folder, url, secret, env }) => {
    const asAdministrator = { ...env, TRIALKEEP_URL: url, TRIALKEEP_CREDENTIAL: secret };
    await runCommand(['tenant', 'create', 'Sponsor', '--save-profile', 'default'], { env: asAdministrator });
    await work({ ...verbs, folder, ...(await makeUses(verbs, folder)) });
  });
}

test('a question is asked, exported in every form, and its answer recomputed from an export [URS-038] [URS-039]', async () => {
  await inWorld(async ({ folder, key, alias, said, run }) => {
    const conditions = ['--subject', alias, '--class', 'ecg', '--kind', 'decryption-observed'];
    const shown = await said('ledger', 'ask', ...conditions);
    assert.match(shown, /^ +2 {2}decryptions observed by the server$/m);
    assert.match(shown, /purpose=analysis/);
    assert.match(shown, /2 entries; complete up to size \d+ of /);
    assert.match(shown, /It does not hold against a server that wrote something false/);

    const answer = join(folder, 'answer.json');
    await said('ledger', 'ask', ...conditions, '--out', answer);
    assert.equal((await stat(answer)).mode & 0o077, 0);
    const exported = join(folder, 'export');
    await said('ledger', 'export', exported);
    const keys = (await said('ledger', 'verifier-key'))
      .trim()
      .split('\n')
      .flatMap((line) => ['--key', line]);
    const recompute = (path: string) => run(['ledger', 'recompute', path, '--export', exported, ...keys]);
    const same = await recompute(answer);
    assert.equal(same.status, 0, same.stdout + same.stderr);
    assert.match(same.stdout, /^same: .*\n2 entries stand in the log/);

    const text = await readFile(answer, 'utf8');
    const shorter = join(folder, 'shorter.json');
    const begin = text.indexOf('"entries":[') + '"entries":['.length;
    await writeFile(shorter, text.slice(0, begin) + text.slice(text.indexOf('},{"entry"', begin) + 2));
    const different = await recompute(shorter);
    assert.equal(different.status, 1);
    assert.match(different.stdout, /^different: [^]*entry \d+ meets the question and is not in the answer/);
    await writeFile(shorter, 'no answer');
    assert.match((await recompute(shorter)).stderr, /\[answer\.malformed\]/);

    for (const [format, pattern] of [
      ['csv', /^index,time,kind,[^]*\r\n\d+,\d{4}-[^]*decryption-observed/],
      ['jsonl', /^\{"entry":\{"actor"/],
      ['fhir', /^\{"resourceType":"AuditEvent"/],
      ['ocsf', /^\{"activity_id":2[^]*"type_uid":600302/],
    ] as const) {
      const out = join(folder, `entries.${format}`);
      await said('ledger', 'ask', ...conditions, '--format', format, '--out', out);
      assert.match(await readFile(out, 'utf8'), pattern);
      assert.match(
        await said('ledger', 'show', '--key', key, '--operation', 'keys.decrypt', '--format', format),
        pattern,
      );
    }
    const again = await run(['ledger', 'ask', '--out', answer]);
    assert.match(again.stderr, /\[seal\.target_exists\]/);
    assert.equal(await readFile(answer, 'utf8'), text);
  });
});

test('a question is kept, asked again by its id, and removed [URS-038]', async () => {
  await inWorld(async ({ alias, said, run }) => {
    const conditions = ['--subject', alias, '--period', 'today'];
    const save = ['ledger', 'question', 'save', '--name', 'Decryptions', ...conditions];
    const { id } = JSON.parse(await said(...save, '--json')) as { id: string };
    assert.match(await said('ledger', 'question', 'list'), new RegExp(`${id} +Decryptions`));
    assert.match(await said('ledger', 'question', 'show', id), /"period":"today"/);
    const asked = JSON.parse(await said('ledger', 'ask', '--saved', id, '--json')) as {
      asked: { saved: string; period: string; question: { from: number; to: number } };
    };
    assert.deepEqual([asked.asked.saved, asked.asked.period], [id, 'today']);
    assert.equal(asked.asked.question.to - asked.asked.question.from, 86_400_000);
    await said('ledger', 'question', 'remove', id);
    assert.match((await run(['ledger', 'ask', '--saved', id])).stderr, /\[question\.unknown\]/);
    assert.equal((await run(['ledger', 'ask', '--kind', 'other things'])).status, 2);
  });
});
