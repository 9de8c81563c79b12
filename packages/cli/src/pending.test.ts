import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pendingStates } from '@trialkeep/sdk/client';
import { errorBody, inFolder, runCommand, serving } from './fixture.test.ts';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pendingExitStatuses } from './pending.ts';
import { reserveProfile } from './profile.ts';

const id = '6f6f6f6f-1111-4222-8333-444444444444';
const approval = '00000000-0000-4000-8000-00000000000a';
const hash = 'ab'.repeat(32);
const destroy = ['key', 'schedule-destruction', id, '--reason', 'the study is over'];

const answers = {
  'approval-needed': [202, errorBody('approval.needed', { approval })],
  'signature-needed': [428, errorBody('signature.needed', { signature: { meaning: 'approval', hash } })],
  sealed: [423, errorBody('tenant.sealed')],
  'in-recovery': [503, errorBody('server.in_recovery')],
  'try-again': [503, errorBody('server.busy'), { 'retry-after': '7' }],
} as const;

test('each state with a next step has a status of its own, on every verb alike [URS-010]', async () => {
  const statuses = Object.values(pendingExitStatuses);
  assert.equal(new Set([0, 1, 2, ...statuses]).size, 3 + pendingStates.length);
  for (const state of pendingStates) {
    await serving(
      () => answers[state],
      async (url, asked) => {
        const env = { TRIALKEEP_URL: url, TRIALKEEP_CREDENTIAL: 'tkc_x' };
        const said = await runCommand(destroy, { env });
        assert.deepEqual([said.status, said.stdout], [pendingExitStatuses[state], ''], state);
        assert.match(said.stderr, new RegExp(`^${state.replace('-', '.')}: It is so\\.\\n`));
        assert.match(said.stderr, /\nnext: Do that\.\n/);
        assert.doesNotMatch(said.stderr, /error:/);
        const asJson = await runCommand([...destroy, '--json'], { env });
        assert.deepEqual([asJson.status, asJson.stderr], [pendingExitStatuses[state], ''], state);
        const { pending } = JSON.parse(asJson.stdout) as { pending: { state: string; next: string } };
        assert.deepEqual([pending.state, pending.next], [state, 'Do that.']);
        assert.equal(asked.length, 2, 'nothing is sent twice by itself');
      },
    );
  }
});

test('the next command is said ready to be run, under the same profile [URS-010]', async () => {
  await inFolder(async (folder) => {
    await serving(
      () => answers['approval-needed'],
      async (url) => {
        const env = { XDG_CONFIG_HOME: folder };
        const issue = { env: { ...env, TRIALKEEP_URL: url, TRIALKEEP_CREDENTIAL: 'tkc_x' } };
        const asJson = await runCommand([...destroy, '--json'], issue);
        const { pending } = JSON.parse(asJson.stdout) as { pending: object };
        const run = [`trialkeep approval show ${approval}`, `trialkeep approval wait ${approval}`];
        assert.deepEqual(pending, { state: 'approval-needed', approval, next: 'Do that.', run });

        await (await reserveProfile(env, 'ada')).save({ url, credential: 'tkc_x' });
        const said = await runCommand([...destroy, '--profile', 'ada'], { env });
        for (const line of run)
          assert.ok(said.stderr.includes(`\nrun: ${line} --profile ada\n`), said.stderr);
      },
    );
  });
  await serving(
    () => answers.sealed,
    async (url) => {
      const env = { TRIALKEEP_URL: url, TRIALKEEP_CREDENTIAL: 'tkc_x' };
      const { stderr } = await runCommand(['encrypt', '--key', id], { env, stdin: 'x' });
      assert.match(stderr, /\nrun: trialkeep tenant seal-state\n/);
    },
  );
});

test('a result that ends early in such a state is still one JSON object', async () => {
  const subject = { alias: 'ab'.repeat(16), study: id, createdAt: 0, state: 'active' };
  await serving(
    ({ body }) => (body['number'] === '1' ? [200, subject] : answers['try-again']),
    async (url) => {
      const env = { TRIALKEEP_URL: url, TRIALKEEP_CREDENTIAL: 'tkc_x' };
      const create = ['subject', 'create', '--study', id, '--json'];
      const { status, stdout, stderr } = await runCommand(create, { env, stdin: '1\n2\n' });
      assert.deepEqual([status, stderr], [75, '']);
      const result = JSON.parse(stdout) as { subjects: object[]; pending: { state: string } };
      assert.deepEqual([result.subjects, result.pending.state], [[subject], 'try-again']);
    },
  );
  await inFolder(async (folder) => {
    await serving(
      () => answers.sealed,
      async (url) => {
        const env = { TRIALKEEP_URL: url, TRIALKEEP_CREDENTIAL: 'tkc_x' };
        const files = ['one', 'two'].map((name) => join(folder, name));
        for (const file of files) await writeFile(file, 'x');
        const sealed = await runCommand(['seal', ...files, '--key', id, '--json'], { env });
        assert.equal(sealed.status, 5);
        assert.equal((JSON.parse(sealed.stdout) as { pending: { state: string } }).pending.state, 'sealed');
      },
    );
  });
});
