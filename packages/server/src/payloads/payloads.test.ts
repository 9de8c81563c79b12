import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commitPayload } from '@trialkeep/crypto';
import { approveAndRun, arrange, askFor, plaintext } from '../dual-control.fixture.test.ts';
import type { Arranged } from '../dual-control.fixture.test.ts';
import { refusal, shareServer } from '../fixture.test.ts';
import { idBytes } from '../platform/ids.ts';

const shared = shareServer();
const reason = 'A name was typed into the reason.';

/** A tenant with people, and an entry whose payload should not have been there. */
async function arrangeSlip() {
  const server = await shared();
  const arranged = await arrange(server);
  const { custodian, system, tenant } = arranged;
  const { id: key } = await server.admit('keys.create', custodian, { system });
  await server.admit('keys.suspend', custodian, { key, reason: 'Asked for by Jane Example, born 1962.' });
  const entries = await server.entries(tenant);
  const slip = entries.find((each) => each['operation'] === 'keys.suspend' && each['key'] === key);
  return { ...arranged, key, entry: String(slip?.['entry']) };
}

async function positionOf({ server, tenant }: Arranged, entry: string): Promise<number> {
  return (await server.entries(tenant)).findIndex((each) => each['entry'] === entry);
}

test('an approved redaction takes the payload and says so; entry and proofs stay [URS-010] [URS-037]', async () => {
  const arranged = await arrangeSlip();
  const { server, custodian, tenant, entry, key } = arranged;
  const first = await positionOf(arranged, entry);
  const [before] = (await server.admit('payloads.open', custodian, { first, count: 1 })).payloads;
  assert.deepEqual([before?.index, before?.entry, before?.state], [first, entry, 'open']);
  assert.match(before?.content ?? '', /Jane Example/);
  await assert.rejects(
    server.admit('payloads.redact', custodian, { entries: [entry], reason }),
    refusal('access.person_required'),
  );

  const approval = await askFor(arranged, 'payloads.redact', { entries: [entry], reason });
  await server.admit('ledger.payload', custodian, { entry });
  await approveAndRun(arranged, approval);
  await assert.rejects(server.admit('ledger.payload', custodian, { entry }), refusal('payload.redacted'));
  const { payloads } = await server.admit('payloads.open', custodian, { first, count: 1 });
  assert.deepEqual(payloads, [{ index: first, entry, state: 'redacted', content: null, blinding: null }]);

  const entries = await server.entries(tenant);
  assert.equal(entries[first]?.['entry'], entry);
  const redactions = entries.filter(({ operation }) => operation === 'payloads.redact');
  assert.deepEqual(
    redactions.map((each) => [each['outcome'], each['redacted'], each['approval'], each['key']]),
    [
      ['refused', undefined, undefined, undefined],
      ['requested', undefined, approval, undefined],
      ['success', entry, approval, key],
    ],
  );
  const why = await server.admit('ledger.payload', custodian, { entry: String(redactions[2]?.['entry']) });
  assert.equal((why.payload as { reason: string }).reason, reason);
});

test('what explains a redaction stays, and nothing is redacted twice [URS-037]', async () => {
  const arranged = await arrangeSlip();
  const { server, requester, tenant, entry } = arranged;
  await approveAndRun(arranged, await askFor(arranged, 'payloads.redact', { entries: [entry], reason }));
  const redact = (...entries: string[]) =>
    server.admit('payloads.redact', requester.session, { entries, reason });
  await assert.rejects(redact(entry), refusal('payload.redacted'));
  const redaction = (await server.entries(tenant)).find((each) => each['redacted'] === entry);
  await assert.rejects(redact(String(redaction?.['entry'])), refusal('payload.kept'));
  const elsewhere = await arrange(server);
  const [foreign] = await server.entries(elsewhere.tenant);
  await assert.rejects(redact(String(foreign?.['entry'])), refusal('entry.unknown'));
});

test('two requests for one payload: the second fails, and says so [URS-010]', async () => {
  const arranged = await arrangeSlip();
  const { server, entry, requester } = arranged;
  const asked = [
    await askFor(arranged, 'payloads.redact', { entries: [entry], reason }),
    await askFor(arranged, 'payloads.redact', { entries: [entry], reason }),
  ];
  for (const approval of asked) await approveAndRun(arranged, approval);
  const shown = await server.admit('approvals.show', requester.session, { approval: asked[1] ?? '' });
  assert.deepEqual([shown.approval.state, shown.approval.failure], ['failed', 'payload.redacted']);
});

test('a payload that is deleted behind the server is withheld, whatever the rows say [URS-033] [URS-037]', async () => {
  const arranged = await arrangeSlip();
  const { server, custodian, tenant, entry } = arranged;
  const position = await positionOf(arranged, entry);
  await server.admit('ledger.query', custodian, {});
  const log = server.instance.ledger.logOfTenant(tenant)?.id ?? assert.fail();
  await server.instance.database.write(async (tx) => {
    await tx.deleteFrom('ledger_payload').where('log', '=', log).where('position', '=', position).execute();
  });
  const read = () => server.admit('ledger.payload', custodian, { entry });
  await assert.rejects(read(), refusal('payload.withheld'));
  await server.instance.database.write(async (tx) => {
    const redacted_at = server.clock.now();
    await tx.insertInto('ledger_redaction').values({ log, position, redacted_at }).execute();
  });
  await assert.rejects(read(), refusal('payload.withheld'));
});

test('opened payloads show that they are the ones committed to, a run at a time [URS-032]', async () => {
  const arranged = await arrangeSlip();
  const { server, custodian, tenant, service, key } = arranged;
  await server.admit('keys.encrypt', service, { key, plaintext }).catch(() => undefined);
  const entries = await server.entries(tenant);
  const { payloads } = await server.admit('payloads.open', custodian, { first: 0, count: 64 });
  assert.ok(payloads.length > 5);
  for (const { index, entry, content, blinding } of payloads) {
    assert.ok(content !== null && blinding !== null);
    const commitment = commitPayload(Buffer.from(blinding, 'base64'), idBytes(entry), Buffer.from(content));
    assert.equal(commitment.toString('hex'), entries[index]?.['commitment']);
  }
  const beyond = await server.admit('payloads.open', custodian, { first: 1_000_000, count: 1 });
  assert.deepEqual(beyond.payloads, []);
});
