import assert from 'node:assert/strict';
import { test } from 'node:test';
import { approveAndRun, arrange, askFor, plaintext, reason } from '../dual-control.fixture.test.ts';
import { refusal, shareServer } from '../fixture.test.ts';

const shared = shareServer();

test('an approved erasure takes the key of the participant: nothing under it opens, the proofs stay [URS-010] [URS-037]', async () => {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian, system, tenant } = arranged;
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-1' });
  const { alias } = await server.admit('subjects.create', custodian, { study, number: '1001' });
  const { alias: other } = await server.admit('subjects.create', custodian, { study, number: '1002' });
  const { id: key } = await server.admit('keys.create', custodian, { system });
  const { secret: service } = await server.admit('credentials.issue', custodian, {
    name: 'service',
    role: 'service',
    system,
    keys: [key],
  });
  const seal = async (subject: string) => {
    const context = { study, subject };
    const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext, context });
    return { key, ciphertext, context };
  };
  const [gone, kept] = [await seal(alias), await seal(other)];
  const encryption = (await server.entries(tenant)).findLast(({ subject }) => subject === alias);
  const entry = String(encryption?.['entry']);
  await server.admit('ledger.payload', custodian, { entry });

  await approveAndRun(arranged, await askFor(arranged, 'subjects.erase', { study, alias, reason }));
  await server.runJobs();
  await assert.rejects(server.admit('keys.decrypt', service, gone), refusal('subject.unknown'));
  assert.equal((await server.admit('keys.decrypt', service, kept)).plaintext, plaintext);
  await assert.rejects(server.admit('ledger.payload', custodian, { entry }), refusal('payload.erased'));
  const { subjects } = await server.admit('subjects.list', custodian, { study });
  assert.deepEqual(Object.fromEntries(subjects.map((subject) => [subject.alias, subject.state])), {
    [alias]: 'erasing',
    [other]: 'active',
  });
  const entries = await server.entries(tenant);
  const erasures = entries.filter(({ operation }) => operation === 'subjects.erase');
  assert.deepEqual(
    erasures.map(({ outcome, actor, subject, state }) => [outcome, actor, subject, state]),
    [
      ['requested', arranged.requester.id, alias, undefined],
      ['success', arranged.requester.id, alias, 'erasing'],
      ['success', undefined, alias, 'erasing'],
    ],
  );
  // Why it was erased is not lost with what was.
  const why = await server.admit('ledger.payload', custodian, { entry: String(erasures[1]?.['entry']) });
  assert.deepEqual((why.payload as { input: object }).input, { reason });

  await assert.rejects(
    server.admit('subjects.erase', arranged.requester.session, { study, alias, reason }),
    refusal('subject.unknown'),
  );
});
