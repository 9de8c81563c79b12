import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { errorBody, inFolder, runCommand, serving } from '../fixture.test.ts';
import type { Asked } from '../fixture.test.ts';

const review = '00000000-0000-4000-8000-00000000000a';
const plan = '00000000-0000-4000-8000-00000000000b';
const person = '00000000-0000-4000-8000-00000000000c';
const entry = '00000000-0000-4000-8000-00000000000d';
const opened = {
  id: review,
  plan,
  planVersion: 1,
  name: 'Decryptions',
  risk: 'high',
  state: 'open',
  from: 3,
  to: 9,
  root: 'cm9vdA==',
  matched: 2,
  perMille: 1000,
  openedAt: 0,
  openedBy: null,
  dueAt: Date.UTC(2030, 0, 31),
  overdueAt: null,
  reviewer: person,
  outcome: 'findings',
  hash: null,
  signature: null,
  closedAt: null,
};
const record = JSON.stringify({
  conclusion: { hash: 'a', outcome: 'findings' },
  counts: { marked: 1, matched: 2, own: 0, presented: 2, questioned: 1 },
  filter: { operation: 'keys.decrypt' },
  marks: [],
  openedAt: 0,
  origin: 'example.org/log',
  plan: { id: plan, name: 'Decryptions', risk: 'high', version: 1 },
  range: { first: 3, from: 3, root: 'cm9vdA==', to: 9 },
  review,
  reviewer: person,
  sample: { perMille: 1000 },
  v: 1,
});
const hash = createHash('sha256').update(record).digest('hex');
const shown = {
  review: opened,
  record,
  hash,
  conclusion: JSON.stringify({ blinding: '', of: review, text: 'One question is open.', v: 1 }),
  readings: [{ person, presented: 2, below: 9, isComplete: true }],
};
const comment = {
  id: entry,
  index: 4,
  entry,
  author: person,
  mark: 'questioned',
  own: false,
  hash: 'a'.repeat(64),
  document: JSON.stringify({ blinding: '', followUp: 'Ask.', of: entry, text: 'At night?', v: 1 }),
  madeAt: 0,
};
const base = {
  [`GET /v1/reviews/${review}`]: shown,
  [`GET /v1/reviews/${review}/comments`]: { comments: [comment], next: null },
  'GET /v1/people': { people: [{ id: person, name: 'Ada Lovelace' }] },
};

async function withServer(
  answers: Readonly<Record<string, unknown>>,
  work: (env: Record<string, string>, asked: Asked[]) => Promise<void>,
): Promise<void> {
  await inFolder(async (folder) => {
    await serving(
      ({ method, path, body }) => {
        const answer = answers[`${method} ${path.split('?')[0]}`];
        if (typeof answer === 'function') return [200, (answer as (asked: unknown) => unknown)(body)];
        return answer === undefined ? [404, errorBody('request.unknown_operation')] : [200, answer];
      },
      async (url, asked) =>
        work({ XDG_CONFIG_HOME: folder, TRIALKEEP_URL: url, TRIALKEEP_CREDENTIAL: 'tks_canary' }, asked),
    );
  });
}

test('the record is shown with the hash computed here, and exactly that is signed [URS-040] [URS-029]', async () => {
  const closed = { ...opened, state: 'closed', hash, signature: entry, closedAt: 1 };
  await withServer({ ...base, [`POST /v1/reviews/${review}/close`]: closed }, async (env, asked) => {
    const stdin = 'a password\n123456\n';
    const unconfirmed = await runCommand(['review', 'close', review], { env, stdin });
    assert.match(unconfirmed.stderr, /cli.confirmation_needed/);
    assert.equal(asked.length, 0);
    const done = await runCommand(['review', 'close', review, '--yes'], { env, stdin });
    assert.equal(done.status, 0, done.stderr);
    assert.match(done.stderr, /One question is open\./);
    assert.match(done.stderr, /4 +questioned +Ada Lovelace .* At night\? +Ask\./);
    assert.match(done.stderr, new RegExp(hash));
    assert.match(done.stdout, /^Signed and closed\. Review .* is closed/);
    assert.deepEqual(asked.at(-1)?.body, { hash, signature: { password: 'a password', code: '123456' } });
  });
});

test('a record that is not the one of its hash is not signed [URS-029]', async () => {
  const altered = { ...shown, record: record.replace('"presented":2', '"presented":3') };
  await withServer({ ...base, [`GET /v1/reviews/${review}`]: altered }, async (env, asked) => {
    const closing = await runCommand(['review', 'close', review, '--yes'], { env, stdin: 'a\n123456\n' });
    assert.equal(closing.status, 1);
    assert.match(closing.stderr, /client.document_altered/);
    assert.ok(asked.every(({ method }) => method === 'GET'));
  });
});

test('entries are asked for page by page until the last [URS-040]', async () => {
  const page = (index: number) => ({
    index,
    kind: 'other',
    entry: JSON.stringify({ entry, operation: 'keys.list', outcome: 'success', time: 0 }),
    own: index === 4,
    marks: 0,
  });
  const pages = (body: unknown) =>
    (body as { from: number }).from === 0
      ? { entries: [page(4)], next: 5, presented: 1 }
      : { entries: [page(7)], next: null, presented: 2 };
  await withServer({ [`POST /v1/reviews/${review}/entries`]: pages }, async (env, asked) => {
    const text = await runCommand(['review', 'entries', review], { env });
    assert.equal(text.status, 0, text.stderr);
    assert.match(text.stdout, new RegExp(`^${entry} .* keys.list.*\\(your own\\)\n${entry} `));
    assert.match(text.stdout, /2 entries have been presented; that is all of them\.\n$/);
    assert.deepEqual(
      asked.map(({ body }) => body['from']),
      [0, 5],
    );
    const json = await runCommand(['review', 'entries', review, '--json'], { env });
    const { entries, next, presented } = JSON.parse(json.stdout) as Record<string, unknown>;
    assert.deepEqual([(entries as unknown[]).length, next, presented], [2, null, 2]);
  });
});

test('a plan is asked for in the words of a question, without times [URS-040]', async () => {
  const made = {
    id: plan,
    name: 'Decryptions',
    filter: {},
    intervalDays: 30,
    graceDays: 14,
    risk: 'high',
    reviewers: { roles: ['auditor'], persons: [] },
    rationale: 'why',
    author: person,
    state: 'active',
    version: 1,
    covered: 3,
    dueAt: Date.UTC(2030, 0, 31),
    createdAt: 0,
  };
  await withServer({ 'POST /v1/review-plans': made }, async (env, asked) => {
    const words = ['review', 'plan', '--name', 'Decryptions', '--every', '30', '--risk', 'high'];
    const planned = await runCommand(
      [...words, '--rationale', '-', '--kind', 'decryption-observed', '--kind', 'key-released'],
      { env, stdin: 'why' },
    );
    assert.equal(planned.status, 0, planned.stderr);
    assert.match(planned.stdout, /^Plan Decryptions .* 2030-01-31.* every 30 days\. It begins at place 3/);
    assert.deepEqual(asked[0]?.body, {
      name: 'Decryptions',
      filter: { kinds: ['decryption-observed', 'key-released'] },
      intervalDays: 30,
      graceDays: 14,
      risk: 'high',
      reviewers: { roles: ['auditor'], persons: [] },
      rationale: 'why',
    });
    const timed = await runCommand([...words, '--rationale', 'why', '--from', '2027-01-01'], { env });
    assert.equal(timed.status, 2);
  });
});
