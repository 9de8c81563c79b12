import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { errorBody, inFolder, runCommand, serving } from '../fixture.test.ts';
import type { Asked } from '../fixture.test.ts';
import { profilePath, reserveProfile } from '../profile.ts';

// What answers here is a small HTTP server of these tests, with answers of the contract's form.

const personId = '00000000-0000-4000-8000-00000000000b';
const approvalId = '00000000-0000-4000-8000-00000000000a';
const key = '6f6f6f6f-1111-4222-8333-444444444444';
const until = Date.UTC(2030, 0, 31);
const ada = {
  id: personId,
  name: 'Ada Lovelace',
  login: 'ada',
  state: 'active',
  roles: ['approver'],
  createdAt: 0,
};
const session = { id: approvalId, level: 2, expiresAt: until };
const totp = { secret: 'JBSWY3DPEHPK3PXP', uri: 'otpauth://totp/Trialkeep:ada?secret=JBSWY3DPEHPK3PXP' };

/** Runs commands against answers by `METHOD path`, with a profile file of their own. */
async function withServer(
  answers: Readonly<Record<string, unknown>>,
  work: (env: Record<string, string>, asked: Asked[]) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    await serving(
      ({ method, path }) => {
        const answer = answers[`${method} ${path}`];
        if (Array.isArray(answer)) return answer as [number, unknown];
        return answer === undefined ? [404, errorBody('request.unknown_operation')] : [200, answer];
      },
      async (url, asked) => work({ XDG_CONFIG_HOME: folder, TRIALKEEP_URL: url }, asked),
    );
  });
}

test('a session is kept in the profile, renewed there, and forgotten at the end [URS-024] [URS-026]', async () => {
  const answers = {
    'POST /v1/sessions': { session, secret: 'tks_canary', person: ada },
    'GET /v1/sessions/current': { session, person: ada },
    'POST /v1/sessions/end': session,
  };
  await withServer(answers, async (env, asked) => {
    const signIn = ['sign-in', '--login', 'ada', '--save-as', 'ada'];
    const signedIn = await runCommand(signIn, { env, stdin: 'a password\n123456\n' });
    assert.equal(signedIn.status, 0, signedIn.stderr);
    assert.match(
      signedIn.stdout,
      /^Signed in as Ada Lovelace \(approver\) until 2030-01-31T00:00:00\.000Z\.\n/,
    );
    assert.deepEqual(asked[0]?.body, { login: 'ada', password: 'a password', code: '123456' });
    assert.equal(asked[0]?.authorization, undefined);
    const again = await runCommand([...signIn, '--json', '--tenant', key], {
      env,
      stdin: 'a password\r\n654321',
    });
    assert.deepEqual(JSON.parse(again.stdout), { session, person: ada, credentialProfile: 'ada' });
    assert.equal(asked[1]?.body['tenant'], key);
    assert.ok((await readFile(profilePath(env), 'utf8')).includes('tks_canary'));

    const { stdout } = await runCommand(['whoami', '--profile', 'ada'], { env });
    assert.match(stdout, /name +Ada Lovelace\n[^]*until +2030-01-31/);
    assert.equal(asked[2]?.authorization, 'Bearer tks_canary');

    const signedOut = await runCommand(['sign-out', '--profile', 'ada'], { env });
    assert.match(signedOut.stdout, /^Signed out\. It is no longer in the profile ada\.\n$/);
    assert.ok(!(await readFile(profilePath(env), 'utf8')).includes('tks_canary'));
    for (const { stdout: out, stderr } of [signedIn, again, signedOut])
      assert.doesNotMatch(out + stderr, /canary|a password|123456/);
  });
});

test('a session that is over is forgotten all the same, and no other credential ever', async () => {
  await withServer({ 'POST /v1/sessions/end': [401, errorBody('auth.expired')] }, async (env) => {
    const url = env['TRIALKEEP_URL'] ?? '';
    await (await reserveProfile(env, 'ada')).save({ url, credential: 'tks_x', sessionUntil: 1 });
    await (await reserveProfile(env, 'default')).save({ url, credential: 'tkc_custodian' });
    const own = { XDG_CONFIG_HOME: env['XDG_CONFIG_HOME'] ?? '' };
    const over = await runCommand(['sign-out', '--profile', 'ada', '--json'], { env: own });
    assert.deepEqual(JSON.parse(over.stdout), { ended: false, forgotten: true });
    const other = await runCommand(['sign-out', '--json'], { env: own });
    assert.deepEqual(JSON.parse(other.stdout), { ended: false, forgotten: false });
    assert.ok((await readFile(profilePath(env), 'utf8')).includes('tkc_custodian'));

    const taken = await runCommand(['sign-in', '--login', 'ada'], { env, stdin: 'canary\n123456\n' });
    assert.equal(taken.status, 1);
    assert.match(taken.stderr, /\[cli\.profile_exists\]/);
  });
});

test('secrets of other than the expected lines are refused, and not repeated', async () => {
  await withServer({}, async (env, asked) => {
    for (const stdin of [
      '',
      'canary\n',
      'canary\n\n',
      'canary\n123456\nmore\n',
      '\n123456\n',
      Buffer.of(0xff),
    ]) {
      const { status, stderr } = await runCommand(['sign-in', '--login', 'ada'], { env, stdin });
      assert.equal(status, 1);
      assert.match(stderr, /\[cli\.input_invalid\]/);
      assert.doesNotMatch(stderr, /canary|123456/);
    }
    assert.equal(asked.length, 0);
  });
});

test('what is typed for a secret is not shown on the terminal [URS-026]', async () => {
  await withServer({ 'POST /v1/sessions': { session, secret: 'tks_x', person: ada } }, async (env, asked) => {
    const typed = [
      ['Sign-in name: ', 'ada'],
      ['Password: ', 'canary word'],
      ['One-time code: ', '123456'],
    ] as const;
    const { status, stdout, stderr } = await runCommand(['sign-in'], { env, typed });
    assert.equal(status, 0, stderr);
    assert.deepEqual(asked[0]?.body, { login: 'ada', password: 'canary word', code: '123456' });
    assert.doesNotMatch(stdout + stderr, /canary|123456/);
  });
  await withServer({}, async (env) => {
    const typed = [['Password: ', 'canary\u0003']] as const;
    const { status, stderr } = await runCommand(['sign-in', '--login', 'ada'], { env, typed });
    assert.equal(status, 130, 'the interrupt key ends the command');
    assert.doesNotMatch(stderr, /canary/);
  });
});

test('an invitation is accepted in two steps by a script [URS-024] [URS-026]', async () => {
  const answers = { 'POST /v1/enrolment': { person: ada, totp }, 'POST /v1/enrolment/finish': ada };
  await withServer(answers, async (env, asked) => {
    const begun = await runCommand(['join', 'begin', '--json'], { env, stdin: 'tki_x\n' });
    assert.deepEqual(JSON.parse(begun.stdout), { person: ada, totp });
    const stdin = 'tki_x\na password\n123456\n';
    const finished = await runCommand(['join', 'finish', '--json'], { env, stdin });
    assert.deepEqual(JSON.parse(finished.stdout), ada);
    assert.deepEqual(
      asked.map(({ authorization, body }) => [authorization, body]),
      [
        ['Bearer tki_x', {}],
        ['Bearer tki_x', { password: 'a password', code: '123456' }],
      ],
    );
  });
});

test('an invitation is accepted in one go at a terminal, where one may mistype [URS-024] [URS-026]', async () => {
  const answers = { 'POST /v1/enrolment': { person: ada, totp }, 'POST /v1/enrolment/finish': ada };
  await withServer(answers, async (env, asked) => {
    const once = (again: string) =>
      [
        ['Password: ', 'canary word'],
        ['The password again: ', again],
        ['One-time code: ', '123456'],
      ] as const;
    const typed = [['Invitation: ', 'tki_x'] as const, ...once('canary wrod'), ...once('canary word')];
    const { status, stdout, stderr } = await runCommand(['join'], { env, typed });
    assert.equal(status, 0, stderr);
    assert.ok(stderr.includes(totp.uri) && stderr.includes(totp.secret));
    assert.match(stderr, /\[cli\.passwords_differ\]/);
    assert.match(stdout, /^Ada Lovelace can sign in now: trialkeep sign-in --login ada,/);
    assert.equal(asked.length, 2);
    assert.doesNotMatch(stdout + stderr, /canary|123456|tki_x/);
  });
});

test('people are invited, given roles, and let go by the verbs of their operations [URS-024]', async () => {
  const invited = { person: ada, invitation: { secret: 'tki_x', expiresAt: until } };
  const answers = {
    'POST /v1/people': invited,
    'GET /v1/people': { people: [ada] },
    [`POST /v1/people/${personId}/roles`]: { ...ada, roles: ['auditor', 'approver'] },
    [`POST /v1/people/${personId}/reinvite`]: invited,
    [`POST /v1/people/${personId}/leave`]: { ...ada, state: 'left', roles: [] },
  };
  await withServer(answers, async (env, asked) => {
    const options = { env: { ...env, TRIALKEEP_CREDENTIAL: 'tks_x' } };
    const person = async (...words: string[]) => (await runCommand(['person', ...words], options)).stdout;
    assert.match(
      await person('invite', 'Ada Lovelace', '--login', 'ada', '--role', 'approver'),
      /Invitation: tki_x\n/,
    );
    assert.match(await person('list'), /Ada Lovelace  ada +active +approver/);
    const roles = ['--role', 'auditor', '--role', 'approver', personId];
    assert.match(await person('roles', '--reason', 'more work', ...roles), /auditor, approver/);
    assert.match(await person('reinvite', personId, '--reason', 'lost phone'), /Invitation: tki_x\n/);
    assert.match(await person('leave', personId, '--reason', 'gone'), /has left/);
    assert.deepEqual(asked[2]?.body, { roles: ['auditor', 'approver'], reason: 'more work' });
  });
});

const document = JSON.stringify({
  approval: approvalId,
  input: { key, reason: 'the study is over\nand \u202eout' },
  operation: 'keys.schedule-destruction',
  origin: 'example.org/ledger/test',
  requestedAt: until,
  requester: personId,
  v: 1,
});
const hash = createHash('sha256').update(document).digest('hex');
const approval = {
  id: approvalId,
  operation: 'keys.schedule-destruction',
  hash,
  requester: personId,
  state: 'pending',
  needed: 2,
  votes: [],
  requestedAt: until,
  expiresAt: until,
  failure: null,
};
const path = `/v1/approvals/${approvalId}`;
const vote = { person: personId, decision: 'approve', votedAt: until, signature: key };
const approvalAnswers = {
  [`GET ${path}`]: { approval, document },
  'GET /v1/people': { people: [ada] },
  'GET /v1/approvals?state=pending': { approvals: [approval], next: null },
  [`POST ${path}/approve`]: { ...approval, votes: [vote] },
  [`POST ${path}/deny`]: { ...approval, state: 'denied' },
  [`POST ${path}/cancel`]: { ...approval, state: 'cancelled' },
};

test('people approve what they have seen, and sign it [URS-010] [URS-029] [URS-031]', async () => {
  await withServer(approvalAnswers, async (env, asked) => {
    const options = { env: { ...env, TRIALKEEP_CREDENTIAL: 'tks_x' } };
    const { stdout } = await runCommand(['approval', 'show', approvalId], options);
    for (const part of [
      'keys.schedule-destruction',
      'Ada Lovelace',
      '2030-01-31',
      hash,
      key,
      'pending, 0 of 2',
      '\\nand \uFFFDout',
    ])
      assert.ok(stdout.includes(part), `${part}: ${stdout}`);

    const approve = ['approval', 'approve', approvalId];
    const unseen = await runCommand(approve, { ...options, stdin: 'a password\n123456\n' });
    assert.match(unseen.stderr, /\[cli\.confirmation_needed\]/);
    const unsure = await runCommand(approve, { ...options, typed: [['Type yes', 'no']] });
    assert.match(unsure.stderr, /\[cli\.not_confirmed\]/);
    assert.ok(asked.every(({ method }) => method === 'GET'));

    const typed = [
      ['Type yes to approve exactly this: ', 'yes'],
      ['Password: ', 'canary word'],
      ['One-time code: ', '123456'],
    ] as const;
    const approved = await runCommand(approve, { ...options, typed });
    assert.match(approved.stdout, /^Approved and signed\. Request .* waits, with 1 of 2 approvals\.\n$/);
    assert.ok(approved.stderr.includes(hash));
    assert.deepEqual(asked.at(-1)?.body, { hash, signature: { password: 'canary word', code: '123456' } });
    assert.doesNotMatch(approved.stdout + approved.stderr, /canary|123456/);

    const deny = ['approval', 'deny', approvalId, '--reason', 'too early', '--yes', '--json'];
    const denied = await runCommand(deny, { ...options, stdin: 'a password\n123456\n' });
    assert.equal((JSON.parse(denied.stdout) as { state: string }).state, 'denied');
    assert.equal(denied.stderr, '');
    assert.deepEqual(asked.at(-1)?.body, {
      hash,
      reason: 'too early',
      signature: { password: 'a password', code: '123456' },
    });
    assert.match((await runCommand(['approval', 'list', '--state', 'pending'], options)).stdout, /0 of 2/);
    const cancel = ['approval', 'cancel', approvalId, '--reason', 'a mistake'];
    assert.match((await runCommand(cancel, options)).stdout, /is taken back\.\n$/);
  });
});

test('a document that is not the one of the hash is neither shown nor approved [URS-010] [URS-031]', async () => {
  const altered = document.replace('study', 'trial');
  const answers = { ...approvalAnswers, [`GET ${path}`]: { approval, document: altered } };
  await withServer(answers, async (env, asked) => {
    const options = { env: { ...env, TRIALKEEP_CREDENTIAL: 'tks_x' }, stdin: 'a password\n123456\n' };
    for (const verb of [['show'], ['approve', '--yes'], ['deny', '--yes', '--reason', 'x']]) {
      const [word = '', ...more] = verb;
      const { status, stdout, stderr } = await runCommand(['approval', word, approvalId, ...more], options);
      assert.deepEqual([status, stdout], [1, '']);
      assert.match(stderr, /\[client\.document_altered\]/);
    }
    assert.ok(asked.every(({ method }) => method === 'GET'));
  });
});

test('waiting for approval says by its status how the request ended [URS-010]', async () => {
  for (const [state, status] of [
    ['executed', 0],
    ['denied', 1],
    ['failed', 1],
  ] as const) {
    let looks = 0;
    await serving(
      () => [200, { approval: { ...approval, state: ++looks < 2 ? 'pending' : state }, document }],
      async (url) => {
        const env = { TRIALKEEP_URL: url, TRIALKEEP_CREDENTIAL: 'tks_x' };
        const wait = ['approval', 'wait', approvalId, '--every', '1', '--json'];
        const waited = await runCommand(wait, { env });
        assert.deepEqual([waited.status, waited.stderr, looks], [status, '', 2]);
        assert.equal((JSON.parse(waited.stdout) as { state: string }).state, state);
      },
    );
  }
});

test('seals, erasures and signatures have their verbs [URS-004] [URS-030] [URS-036] [URS-037]', async () => {
  const alias = 'ab'.repeat(16);
  const sealed = { state: 'sealed', changedAt: until };
  const signature = { id: key, person: personId, name: 'Ada Lovelace', meaning: 'approval', signedAt: until };
  const answers = {
    'GET /v1/seal': { state: 'open', changedAt: until },
    'POST /v1/seal': sealed,
    'POST /v1/seal/lift': { state: 'open', changedAt: until },
    [`POST /v1/studies/${key}/subjects/${alias}/erase`]: {
      alias,
      study: key,
      createdAt: 0,
      state: 'erasing',
    },
    'GET /v1/signatures': {
      signatures: [{ ...signature, record: '{}', document: null, valid: false }],
      next: 'p2',
    },
    'GET /v1/signatures?cursor=p2': {
      signatures: [{ ...signature, record: '{}', document: '{}', valid: true }],
      next: null,
    },
  };
  await withServer(answers, async (env, asked) => {
    const options = { env: { ...env, TRIALKEEP_CREDENTIAL: 'tks_x' } };
    const said = async (...words: string[]) => (await runCommand(words, options)).stdout;
    assert.match(await said('tenant', 'seal-state'), /^The tenant is open since 2030/);
    assert.match(await said('tenant', 'seal', '--reason', 'a breach'), /^The tenant is sealed since 2030/);
    assert.match(await said('tenant', 'unseal', '--reason', 'it is over'), /^The tenant is open since 2030/);
    assert.match(
      await said('subject', 'erase', alias, '--study', key, '--reason', 'asked to'),
      /is erasing\.\n$/,
    );
    assert.deepEqual(asked.at(-1)?.body, { reason: 'asked to' });
    assert.match(await said('signature', 'list'), /approval +NO .*\n.*approval +yes /);
  });
});
