import assert from 'node:assert/strict';
import { createHash, randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { componentsOf, dayMs } from '../dual-control.fixture.test.ts';
import { refusal, shareServer } from '../fixture.test.ts';
import { reconcile } from '../reconcile.ts';
import { makePerson, signIn } from '../people.fixture.test.ts';
import { arrangeAuditors, conclude, planned, readAll, rejection, sign } from './reviews.fixture.test.ts';

const shared = shareServer();
const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');
const secretText = 'Seen together with Jane Example.';

interface SignedRecord {
  readonly [member: string]: unknown;
  readonly counts: Record<string, number>;
  readonly marks: readonly Record<string, unknown>[];
}

test('a review goes from its plan to a signed record in the ledger [URS-040] [URS-029]', async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, reviewer, other, tenant, openReview, custodian } = arranged;
  const opened = await openReview();
  assert.deepEqual([opened.state, opened.from, opened.perMille, opened.matched], ['open', 0, 1000, 1]);
  const [entry] = await readAll(arranged, reviewer, opened.id);
  assert.match(entry?.entry ?? '', /"operation":"keys.create"/);
  const named = JSON.parse(entry?.entry ?? '') as { entry: string };
  await server.admit('reviews.comment', other.session, {
    review: opened.id,
    entries: [named.entry],
    mark: 'questioned',
    comment: secretText,
    followUp: 'Ask the custodian.',
  });
  const findings = { review: opened.id, outcome: 'findings', conclusion: 'One question is open.' } as const;
  const concluded = await server.admit('reviews.conclude', reviewer.session, findings);
  assert.equal(sha256(concluded.record ?? ''), concluded.hash);
  const closed = await sign(arranged, reviewer, opened.id);
  assert.deepEqual(
    [closed.state, closed.reviewer, closed.outcome, closed.hash],
    ['closed', reviewer.id, 'findings', concluded.hash],
  );

  const record = JSON.parse(concluded.record ?? '') as SignedRecord;
  assert.deepEqual(record.counts, { marked: 1, matched: 1, own: 0, presented: 1, questioned: 1 });
  assert.deepEqual(
    record.marks.map(({ author, entry: of, index, mark, own }) => [author, of, index, mark, own]),
    [[other.id, named.entry, entry?.index, 'questioned', false]],
  );
  assert.ok(!concluded.record?.includes('Jane'));

  const entries = await server.entries(tenant);
  const ofReview = entries.filter((each) => each['review'] === opened.id && each['outcome'] === 'success');
  assert.deepEqual(
    ofReview.map(({ operation, actor, state }) => [operation, actor === reviewer.id, state]),
    [
      ['reviews.open', false, 'open'],
      ['reviews.entries', true, undefined],
      ['reviews.comment', false, undefined],
      ['reviews.conclude', true, undefined],
      ['reviews.show', true, undefined],
      ['reviews.close', true, 'closed'],
    ],
  );
  const end = ofReview.at(-1);
  assert.equal(end?.['hash'], concluded.hash);
  const { signatures } = await server.admit('signatures.list', custodian, {});
  const [signature] = signatures;
  assert.deepEqual(
    [signature?.id, signature?.meaning, signature?.valid, signature?.person, signature?.document],
    [closed.signature, 'review', true, reviewer.id, concluded.record],
  );
  assert.equal(sha256(signature?.record ?? ''), end?.['signature']);
  const said = JSON.parse(signature?.record ?? '') as Record<string, unknown>;
  assert.deepEqual([said['review'], said['approval']], [opened.id, undefined]);
});

test('comments open for readers, and no text lies in the database in clear [URS-040]', async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, reviewer, custodian, openReview } = arranged;
  const { id: review } = await openReview();
  const [entry] = await readAll(arranged, reviewer, review);
  const { entry: of } = JSON.parse(entry?.entry ?? '') as { entry: string };
  await server.admit('reviews.comment', reviewer.session, {
    review,
    entries: [of],
    mark: 'noted',
    comment: secretText,
  });
  const { comments, next } = await server.admit('reviews.comments', custodian, { review });
  assert.equal(next, null);
  const [comment] = comments;
  assert.equal(sha256(comment?.document ?? ''), comment?.hash);
  const document = JSON.parse(comment?.document ?? '') as Record<string, unknown>;
  assert.deepEqual(
    [document['text'], document['of'], comment?.author],
    [secretText, comment?.id, reviewer.id],
  );
  const { database } = server.instance;
  const rows = await database.read((tx) => tx.selectFrom('review_comment').selectAll().execute());
  assert.ok(rows.length > 0);
  for (const row of rows) assert.ok(!Buffer.from(row.document).includes('Jane'));
});

test('an altered record shows its signature invalid, and an altered review answers no more [URS-029] [URS-033]', async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, reviewer, custodian, openReview } = arranged;
  const { id: review } = await openReview();
  await readAll(arranged, reviewer, review);
  await conclude(arranged, reviewer, review);
  await sign(arranged, reviewer, review);
  const valid = async () => (await server.admit('signatures.list', custodian, {})).signatures[0]?.valid;
  assert.equal(await valid(), true);
  await server.instance.database.write(async (tx) => {
    const row = await tx.selectFrom('review').select('record').where('id', '=', review).executeTakeFirst();
    const record = Buffer.from(row?.record ?? []);
    const altered = record.toString('utf8').replace('"outcome":"no-findings"', '"outcome":"findings"');
    await tx
      .updateTable('review')
      .set({ record: Buffer.from(altered) })
      .where('id', '=', review)
      .execute();
  });
  assert.equal(await valid(), false);
  await assert.rejects(server.admit('reviews.show', custodian, { review }), refusal('server.data_altered'));
});

test('a review closes behind its last page, with the record that was seen, and once [URS-040] [URS-030]', async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, reviewer, other, openReview, custodian, system } = arranged;
  for (let i = 0; i < 4; i++) await server.admit('keys.create', custodian, { system });
  const { id: review, matched } = await openReview();
  assert.equal(matched, 5);
  const entries = (from: number, limit: number, who = reviewer) =>
    server.admit('reviews.entries', who.session, { review, from, limit });
  await assert.rejects(conclude(arranged, reviewer, review), refusal('review.unread'));
  const first = await entries(0, 2);
  assert.deepEqual([first.entries.length, first.presented], [2, 2]);
  await assert.rejects(entries((first.next ?? 0) + 1, 2), refusal('review.out_of_order'));
  // Seeing a page again adds nothing.
  assert.equal((await entries(0, 2)).presented, 2);
  await assert.rejects(conclude(arranged, reviewer, review), refusal('review.unread'));
  const rest = await entries(first.next ?? 0, 200);
  assert.deepEqual([rest.entries.length, rest.presented, rest.next], [3, 5, null]);
  const close = (hash: string, signature?: { password: string; code: string }, who = reviewer) =>
    server.admit('reviews.close', who.session, { review, hash, ...(signature && { signature }) });
  await assert.rejects(close('0'.repeat(64)), refusal('review.not_concluded'));
  const { hash } = await conclude(arranged, reviewer, review);
  assert.ok(hash);
  await assert.rejects(close('0'.repeat(64)), refusal('review.changed'));
  const needed = await rejection(close(hash));
  assert.deepEqual([needed.code, needed.signature], ['signature.needed', { meaning: 'review', hash }]);
  await assert.rejects(close(hash, { password: 'not the password', code: '000000' }), refusal('auth.failed'));
  // Somebody else's word in between is not in the record that was seen.
  const { entry } = JSON.parse(first.entries[0]?.entry ?? '') as { entry: string };
  await server.admit('reviews.comment', other.session, {
    review,
    entries: [entry],
    mark: 'noted',
    comment: 'As planned.',
  });
  await assert.rejects(close(hash, componentsOf(arranged, reviewer)), refusal('review.changed'));
  await assert.rejects(close(hash, undefined, other), refusal('review.not_concluded'));
  await sign(arranged, reviewer, review);
  await assert.rejects(sign(arranged, reviewer, review), refusal('review.closed'));
  await assert.rejects(entries(0, 1), refusal('review.closed'));
});

test('a review put back as it was before its closing differs from the ledger at start [URS-033] [URS-040]', async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, reviewer, openReview } = arranged;
  const { database } = server.instance;
  const { id: review } = await openReview();
  await readAll(arranged, reviewer, review);
  await conclude(arranged, reviewer, review);
  const before = await database.read((tx) =>
    tx.selectFrom('review').selectAll().where('id', '=', review).executeTakeFirstOrThrow(),
  );
  await sign(arranged, reviewer, review);
  const about = async () => (await reconcile(server.instance)).filter((each) => each.includes(review));
  assert.deepEqual(await about(), []);
  const put = (row: typeof before) =>
    database.write((tx) => tx.updateTable('review').set(row).where('id', '=', review).execute());
  const after = await database.read((tx) =>
    tx.selectFrom('review').selectAll().where('id', '=', review).executeTakeFirstOrThrow(),
  );
  await put(before);
  assert.deepEqual(await about(), [`Review ${review} is open in the database and closed in the ledger.`]);
  await put(after);
});

test('own entries need a mark that says so, and under high risk one of another person [URS-040]', async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, reviewer, other, openReview } = arranged;
  const question = { filter: { operation: 'ledger.query' } };
  await server.admit('ledger.query', reviewer.session, {});
  for (const risk of ['high', 'low'] as const) {
    const { id: review } = await openReview({ ...question, risk });
    const [own] = await readAll(arranged, reviewer, review);
    assert.equal(own?.own, true);
    await assert.rejects(conclude(arranged, reviewer, review), refusal('review.own_entry'));
    const { entry } = JSON.parse(own?.entry ?? '') as { entry: string };
    const comment = (who: typeof reviewer, own = false) =>
      server.admit('reviews.comment', who.session, {
        review,
        entries: [entry],
        mark: 'noted',
        comment: 'A look at the log.',
        own,
      });
    await assert.rejects(comment(reviewer), refusal('review.own_entry'));
    await assert.rejects(comment(other, true), refusal('request.invalid'));
    await comment(reviewer, true);
    if (risk === 'high') {
      await assert.rejects(conclude(arranged, reviewer, review), refusal('review.own_entry'));
      await comment(other);
    }
    const { record } = await conclude(arranged, reviewer, review);
    assert.equal((JSON.parse(record ?? '') as SignedRecord).counts['own'], 1);
    await sign(arranged, reviewer, review);
  }
});

test('only whom the plan calls works on its reviews, and it calls people who are there [URS-040]', async () => {
  const arranged = await arrangeAuditors(await shared(), ['auditor', 'auditor', 'custodian']);
  const { server, reviewer, other, custodian, planner, openReview } = arranged;
  const { id: review } = await openReview({ reviewers: { roles: [], persons: [other.id] } });
  const page = (session: string) => server.admit('reviews.entries', session, { review });
  await assert.rejects(page(reviewer.session), refusal('review.not_reviewer'));
  await assert.rejects(page(planner.session), refusal('access.denied'));
  await assert.rejects(page(custodian), refusal('access.denied'));
  const { secret } = await server.admit('credentials.issue', custodian, { name: 'a', role: 'auditor' });
  await assert.rejects(page(secret), refusal('access.person_required'));
  await page(other.session);

  await assert.rejects(
    server.admit('reviews.plan', planner.session, {
      name: 'nobody',
      ...planned,
      reviewers: { roles: [], persons: [] },
    }),
    refusal('request.invalid'),
  );
  await assert.rejects(
    server.admit('reviews.plan', planner.session, {
      name: 'a stranger',
      ...planned,
      reviewers: { roles: [], persons: [review] },
    }),
    refusal('person.unknown'),
  );
});

test('who planned, changed or opened what is reviewed does not close it [URS-040]', async () => {
  const server = await shared();
  const house = {
    admit: server.admit,
    clock: server.clock,
    managers: { one: '', two: '', instance: server.administrator },
    logs: { one: { tenant: null }, two: { tenant: null }, instance: { tenant: null } },
  };
  const sessions: string[] = [];
  for (let i = 0; i < 3; i++) {
    const login = `administrator-${randomUUID()}`;
    const person = await makePerson(house, login, ['instance-administrator'], 'instance');
    sessions.push((await signIn(house, person)).secret);
  }
  const [planner = '', opener = '', third = ''] = sessions;
  const { id: plan } = await server.admit('reviews.plan', planner, {
    name: 'tenants',
    ...planned,
    filter: { operation: 'tenants.create' },
    reviewers: { roles: ['instance-administrator'], persons: [] },
    first: 0,
  });
  const { id: review } = await server.admit('reviews.open', opener, { plan, reason: 'It is time.' });
  const concluding = async (session: string) => {
    await server.admit('reviews.entries', session, { review, limit: 200 });
    const conclusion = 'Nothing stands out.';
    return server.admit('reviews.conclude', session, { review, outcome: 'no-findings', conclusion });
  };
  await assert.rejects(concluding(planner), refusal('review.own_plan'));
  await assert.rejects(concluding(opener), refusal('review.own_plan'));
  assert.ok((await concluding(third)).hash);
});

test('a comment is about an entry of the review, and a question says what follows [URS-040]', async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, reviewer, tenant, openReview } = arranged;
  const { id: review } = await openReview();
  const entries = await server.entries(tenant);
  const foreign = entries.find(({ operation }) => operation === 'systems.create');
  const fitting = entries.find(({ operation }) => operation === 'keys.create');
  const comment = (entry: unknown, more: object = {}) =>
    server.admit('reviews.comment', reviewer.session, {
      review,
      entries: [String(entry)],
      mark: 'noted',
      comment: 'Looked at.',
      ...more,
    });
  await assert.rejects(comment(foreign?.['entry']), refusal('review.entry_foreign'));
  await assert.rejects(comment(review), refusal('review.entry_foreign'));
  await assert.rejects(comment(fitting?.['entry'], { mark: 'questioned' }), refusal('review.follow_up'));
  await assert.rejects(comment(fitting?.['entry'], { followUp: 'Ask.' }), refusal('review.follow_up'));
  await comment(fitting?.['entry'], { mark: 'questioned', followUp: 'Ask the custodian by Friday.' });
  await readAll(arranged, reviewer, review);
  await assert.rejects(conclude(arranged, reviewer, review), refusal('review.contradicts'));
});

test('an overdue review says so once in the ledger, and can still be closed [URS-040]', async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, reviewer, tenant, openReview } = arranged;
  const { id: review } = await openReview({ graceDays: 1 });
  const { id: closedInTime } = await openReview({ graceDays: 1 });
  await readAll(arranged, reviewer, closedInTime);
  await conclude(arranged, reviewer, closedInTime);
  await sign(arranged, reviewer, closedInTime);
  server.clock.time += dayMs;
  await server.runJobs();
  await server.runJobs();
  const entries = await server.entries(tenant);
  const overdue = entries.filter(({ operation }) => operation === 'reviews.overdue');
  assert.deepEqual(
    overdue.map((each) => [each['review'], each['state'], each['actor']]),
    [[review, 'overdue', undefined]],
  );
  const session = arranged.custodian;
  const listed = async (state?: 'open' | 'overdue' | 'closed') =>
    (await server.admit('reviews.list', session, state === undefined ? {} : { state })).reviews.map(
      ({ id, state: is }) => [id, is],
    );
  assert.deepEqual(await listed('overdue'), [[review, 'overdue']]);
  assert.deepEqual(await listed('closed'), [[closedInTime, 'closed']]);
  assert.deepEqual(await listed('open'), []);
  assert.equal((await listed()).length, 2);
});
