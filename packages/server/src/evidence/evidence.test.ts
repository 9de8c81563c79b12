import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { verifyEd25519, verifyMlDsa44 } from '@trialkeep/crypto';
import { checkEvidence, readEvidence } from '@trialkeep/evidence';
import { makeEvidence } from '@trialkeep/evidence/make';
import { trustOf } from '@trialkeep/ledger';
import { sha256 } from '../audit/index.ts';
import { approveAndRun, arrange, askFor, plaintext, reason } from '../dual-control.fixture.test.ts';
import { makeTenant, refusal, shareServer } from '../fixture.test.ts';
import type { TestServer } from '../fixture.test.ts';

const shared = shareServer();
const primitives = { ed25519: verifyEd25519, mlDsa44: verifyMlDsa44 };

/** Whether a document holds under the log's key, as a stranger with nothing but the file and the key checks it. */
async function check(server: TestServer, credential: string, pdf: Uint8Array) {
  const keys = (await server.admit('ledger.verifier-key', credential, {})).trim().split('\n');
  const trust = trustOf(sha256, primitives, { verifierKeys: keys });
  return checkEvidence(pdf, { sha256, trust, render: makeEvidence });
}

/** A tenant with a subject and three decryptions. */
async function arrangeUses() {
  const server = await shared();
  const made = await makeTenant(server);
  const { key, service, custodian } = made;
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'TK-2027-001' });
  const { alias: subject } = await server.admit('subjects.create', custodian, { study, number: '1001' });
  const context = { study, subject, class: 'ecg', purpose: 'monitoring' };
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext, context });
  for (let i = 0; i < 3; i++) await server.admit('keys.decrypt', service, { key, ciphertext, context });
  return { server, ...made, study, subject };
}

test('the answer to a question leaves as a document that a stranger verifies [URS-038] [URS-079] [URS-084]', async () => {
  const { server, tenant, custodian, study, subject } = await arrangeUses();
  const question = { subject, class: 'ecg', kinds: ['decryption-observed' as const] };
  const made = await server.admit('evidence.make', custodian, {
    kind: 'ledger.answer',
    question,
    title: '治験 ECG',
  });
  const entry = (await server.entries(tenant)).find(({ operation }) => operation === 'evidence.make');
  assert.deepEqual(
    [entry?.['hash'], entry?.['subject'], entry?.['outcome']],
    [made.hash, subject, 'success'],
  );

  const pdf = await server.admit('evidence.fetch', custodian, { evidence: made.id });
  const result = await check(server, custodian, pdf);
  assert.deepEqual([result.verdict, result.findings], ['consistent', []]);
  assert.ok(result.overview);
  const { document, hash } = result.overview;
  assert.deepEqual([hash, document.kind, document.title], [made.hash, 'ledger.answer', '治験 ECG']);
  assert.equal((document.body as unknown as { entries: unknown[] }).entries.length, 3);
  assert.equal(document.names[study], 'TK-2027-001');
  const { documents } = await server.admit('evidence.list', custodian, {});
  assert.deepEqual(documents, [made]);
});

test('an answer without entries is a document too [URS-038] [URS-084]', async () => {
  const { server, custodian } = await arrangeUses();
  const question = { subject: 'f'.repeat(32) };
  const { id } = await server.admit('evidence.make', custodian, { kind: 'ledger.answer', question });
  const pdf = await server.admit('evidence.fetch', custodian, { evidence: id });
  assert.equal(readEvidence(pdf).files['entries.proof'], undefined);
  assert.equal((await check(server, custodian, pdf)).verdict, 'consistent');
});

test('an erasure leaves its certificate, with the signatures under it [URS-037] [URS-084]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian, tenant } = arranged;
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-1' });
  const { alias: subject } = await server.admit('subjects.create', custodian, { study, number: '1001' });
  const asked = { kind: 'subject.erasure', study, subject } as const;
  await assert.rejects(server.admit('evidence.make', custodian, asked), refusal('evidence.not_erased'));
  await approveAndRun(arranged, await askFor(arranged, 'subjects.erase', { study, alias: subject, reason }));
  await server.runJobs();

  const { id } = await server.admit('evidence.make', custodian, asked);
  const pdf = await server.admit('evidence.fetch', custodian, { evidence: id });
  const result = await check(server, custodian, pdf);
  assert.deepEqual([result.verdict, result.findings], ['consistent', []]);
  const body = result.overview?.document.body as unknown as {
    signatures: string[];
    state: string;
    entries: unknown[];
  };
  assert.deepEqual([body.signatures.length, body.state], [2, 'erasing']);
  const about = (await server.entries(tenant)).filter((entry) => entry['subject'] === subject);
  assert.equal(about.at(-1)?.['operation'], 'evidence.make');
});

test('inputs of another kind, foreign documents and unknown subjects are refused [URS-006] [URS-084]', async () => {
  const { server, custodian, study, subject } = await arrangeUses();
  const make = (input: object) =>
    server.admit('evidence.make', custodian, input as { kind: 'ledger.answer' | 'subject.erasure' });
  await assert.rejects(make({ kind: 'ledger.answer', subject }), refusal('request.invalid'));
  await assert.rejects(make({ kind: 'subject.erasure', study }), refusal('request.invalid'));
  await assert.rejects(
    make({ kind: 'subject.erasure', study, subject, question: {} }),
    refusal('request.invalid'),
  );
  const nobody = { kind: 'subject.erasure', study, subject: 'e'.repeat(32) };
  await assert.rejects(make(nobody), refusal('subject.unknown'));
  const { id } = await server.admit('evidence.make', custodian, { kind: 'ledger.answer' });
  const { custodian: other } = await makeTenant(server);
  for (const evidence of [id, randomUUID()]) {
    await assert.rejects(server.admit('evidence.fetch', other, { evidence }), refusal('evidence.unknown'));
  }
});
