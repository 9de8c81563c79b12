import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyEd25519, verifyMlDsa44 } from '@trialkeep/crypto';
import { checkEvidence, kinds, parseDocument, readEvidence } from '@trialkeep/evidence';
import type { Bodies } from '@trialkeep/evidence';
import { makeEvidence } from '@trialkeep/evidence/make';
import { trustOf } from '@trialkeep/ledger';
import { sha256 } from '../audit/index.ts';
import { refusal, shareServer } from '../fixture.test.ts';
import { arrangeAuditors, readAll, sign } from './reviews.fixture.test.ts';

const shared = shareServer();
const primitives = { ed25519: verifyEd25519, mlDsa44: verifyMlDsa44 };

test('a closed review leaves as a document that a stranger verifies, and one that contradicts itself is none [URS-040] [URS-084]', async () => {
  const arranged = await arrangeAuditors(await shared());
  const { server, reviewer, custodian, openReview } = arranged;
  const { id: review } = await openReview();
  const make = () => server.admit('evidence.make', custodian, { kind: 'audit.review', review });
  await assert.rejects(make(), refusal('review.not_closed'));
  const [entry] = await readAll(arranged, reviewer, review);
  const { entry: of } = JSON.parse(entry?.entry ?? '') as { entry: string };
  await server.admit('reviews.comment', reviewer.session, {
    review,
    entries: [of],
    mark: 'questioned',
    comment: 'At night?',
    followUp: 'Ask the custodian.',
  });
  await server.admit('reviews.conclude', reviewer.session, {
    review,
    outcome: 'findings',
    conclusion: 'One question is open.',
  });
  await sign(arranged, reviewer, review);
  const { id, hash } = await make();
  const pdf = await server.admit('evidence.fetch', custodian, { evidence: id });
  const keys = (await server.admit('ledger.verifier-key', custodian, {})).trim().split('\n');
  const trust = trustOf(sha256, primitives, { verifierKeys: keys });
  const result = await checkEvidence(pdf, { sha256, trust, render: makeEvidence });
  assert.deepEqual([result.verdict, result.findings], ['consistent', []]);
  assert.equal(result.overview?.hash, hash);

  const document = parseDocument(readEvidence(pdf).files['evidence.json']);
  const body = document.body as unknown as Bodies['audit.review'];
  assert.equal(body.texts.length, 3);
  const kind = kinds['audit.review'];
  const context = { sha256, names: document.names, origin: document.origin };
  const contradictions = (change: Partial<typeof body>) => {
    const altered = { ...body, ...change };
    return kind.isBody(altered) ? kind.contradictions(altered, context).length > 0 : true;
  };
  assert.ok(!contradictions({}));
  const swapped = (from: string, to: string) => body.record.replace(from, to);
  assert.ok(contradictions({ record: swapped('"outcome":"findings"', '"outcome":"no-findings"') }));
  assert.ok(contradictions({ record: swapped('"marked":1', '"marked":2') }));
  assert.ok(contradictions({ signature: body.signature.replace('Anna Meyer', 'Anna Maier') }));
  assert.ok(contradictions({ texts: body.texts.map((text) => text.replace('At night?', 'At noon?')) }));
  assert.ok(
    contradictions({
      entries: body.entries.filter(({ entry: { operation } }) => operation !== 'reviews.close'),
    }),
  );
  const shown = JSON.stringify(kind.render(body, context));
  for (const text of ['At night?', 'Ask the custodian.', 'One question is open.', 'Anna Meyer']) {
    assert.ok(shown.includes(text), text);
  }
});
