import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compactKeyVersionId } from '@trialkeep/crypto';
import { plaintext } from '../dual-control.fixture.test.ts';
import { shareServer } from '../fixture.test.ts';
import { arrangeAuditors, conclude, readAll } from './reviews.fixture.test.ts';
import { sampler } from './sample.ts';

const shared = shareServer();

test('of many entries a reviewer is shown the drawn sample, all of it and nothing else [URS-040]', async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, reviewer, custodian, tenant, openReview } = arranged;
  await Promise.all(Array.from({ length: 130 }, () => server.admit('systems.list', custodian, {})));
  const opened = await openReview({ filter: { operation: 'systems.list' }, risk: 'medium' });
  assert.deepEqual([opened.matched, opened.perMille], [130, 250]);
  const isDrawn = sampler({ root: opened.root, review: opened.id, perMille: 250 });
  const entries = await server.entries(tenant);
  const expected = entries.flatMap(({ operation }, index) =>
    operation === 'systems.list' && isDrawn(index) ? [index] : [],
  );
  const shown = await readAll(arranged, reviewer, opened.id, 7);
  assert.deepEqual(
    shown.map(({ index }) => index),
    expected,
  );
  const { record } = await conclude(arranged, reviewer, opened.id);
  const { counts, sample } = JSON.parse(record ?? '') as Record<string, Record<string, number>>;
  assert.deepEqual(
    [counts?.['presented'], counts?.['matched'], sample],
    [expected.length, 130, { perMille: 250 }],
  );
});

test("a comment on a participant's entry lies under that participant's key [URS-037] [URS-040]", async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, reviewer, custodian, system, openReview } = arranged;
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'TK-2027-002' });
  const { alias: subject } = await server.admit('subjects.create', custodian, { study, number: '1001' });
  const { id: key } = await server.admit('keys.create', custodian, { system });
  const { secret: service } = await server.admit('credentials.issue', custodian, {
    name: 'service',
    role: 'service',
    system,
    keys: [key],
  });
  await server.admit('keys.encrypt', service, { key, plaintext, context: { study, subject } });
  const { id: review } = await openReview({ filter: { operation: 'keys.encrypt', subject } });
  const [shown] = await readAll(arranged, reviewer, review);
  const { entry } = JSON.parse(shown?.entry ?? '') as { entry: string };
  const comment = 'The site said why.';
  await server.admit('reviews.comment', reviewer.session, {
    review,
    entries: [entry],
    mark: 'noted',
    comment,
  });
  const { comments } = await server.admit('reviews.comments', custodian, { review });
  assert.match(comments[0]?.document ?? '', /The site said why/);
  const { database, ledger } = server.instance;
  const row = await database.read((tx) =>
    tx.selectFrom('review_comment').selectAll().where('review', '=', review).executeTakeFirstOrThrow(),
  );
  assert.equal(row.subject, subject);
  const logKey = Buffer.from(ledger.log(row.log).payloadKey.keyVersionId);
  assert.notDeepEqual(compactKeyVersionId(row.document), logKey);
  await database.write(async (tx) => {
    await tx
      .updateTable('review_comment')
      .set({ document: Buffer.alloc(120) })
      .where('id', '=', row.id)
      .execute();
  });
  await assert.rejects(server.admit('reviews.comments', custodian, { review }), {
    code: 'server.data_altered',
  });
});
