import assert from 'node:assert/strict';
import { test } from 'node:test';
import { verifyEd25519, verifyMlDsa44 } from '@trialkeep/crypto';
import { checkEvidence } from '@trialkeep/evidence';
import type { InventoryBody } from '@trialkeep/evidence';
import { makeEvidence } from '@trialkeep/evidence/make';
import { trustOf } from '@trialkeep/ledger';
import { sha256 } from '../audit/index.ts';
import { makeTenant, refusal, shareServer } from '../fixture.test.ts';

const shared = shareServer();
const primitives = { ed25519: verifyEd25519, mlDsa44: verifyMlDsa44 };

test('the inventory of a past day leaves as a document that a stranger verifies [URS-007] [URS-084]', async () => {
  const server = await shared();
  const { custodian, system, key } = await makeTenant(server);
  const description = '治験 =cmd|"x"';
  const { id: second } = await server.admit('keys.create', custodian, { system, description });
  const asOf = server.clock.time;
  server.clock.time += 1000;
  await server.admit('keys.revoke', custodian, { key, cause: 'cessation', reason: 'end' });
  await server.admit('keys.create', custodian, { system });
  const keys = (await server.admit('ledger.verifier-key', custodian, {})).trim().split('\n');
  const trust = trustOf(sha256, primitives, { verifierKeys: keys });
  const bodyOf = async (input: object): Promise<InventoryBody> => {
    const made = await server.admit('evidence.make', custodian, { kind: 'key.inventory', ...input });
    const pdf = await server.admit('evidence.fetch', custodian, { evidence: made.id });
    const { verdict, findings, overview } = await checkEvidence(pdf, { sha256, trust, render: makeEvidence });
    assert.deepEqual([verdict, findings], ['consistent', []]);
    assert.equal(overview?.document.names[system], 'edc');
    return overview?.document.body as InventoryBody;
  };
  const past = await bodyOf({ asOf });
  assert.deepEqual(
    past.keys.map(({ id, state, description: text }) => [id, state, text]),
    [
      [key, 'active', ''],
      [second, 'active', description],
    ],
  );
  const now = await bodyOf({ system });
  assert.deepEqual(
    now.keys.map(({ state }) => state),
    ['deactivated', 'active', 'active'],
  );
  assert.ok(now.size <= now.bound.size && past.size < now.size);
});

test('an inventory takes no inputs of other documents, nor they its own [URS-007] [URS-006]', async () => {
  const server = await shared();
  const { custodian, system } = await makeTenant(server);
  const make = (input: object, code: string) =>
    assert.rejects(
      server.admit('evidence.make', custodian, input as { kind: 'key.inventory' }),
      refusal(code),
    );
  await make({ kind: 'key.inventory', question: {} }, 'request.invalid');
  await make({ kind: 'ledger.answer', system }, 'request.invalid');
  await make({ kind: 'ledger.answer', asOf: server.clock.time }, 'request.invalid');
  await make({ kind: 'key.inventory', asOf: server.clock.time + 60_000 }, 'inventory.future');
  await make({ kind: 'key.inventory', asOf: 1 }, 'inventory.before_ledger');
});
