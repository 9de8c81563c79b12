import assert from 'node:assert/strict';
import { makeScene } from '../ledger.fixture.test.ts';
import { testOnStores } from '../platform/fixture.test.ts';
import type { Recorded } from '../platform/implementation.ts';
import { sealDraft } from './entry.ts';
import type { Outcome } from './entry.ts';
import { recordedStates } from './states.ts';

type Step = readonly [operation: string, recorded: Recorded, outcome?: Outcome];

const steps: readonly Step[] = [
  ['keys.create', { key: 'k', system: 's', version: 1, state: 'active' }],
  ['keys.encrypt', { key: 'k', version: 1 }],
  ['keys.rotate', { key: 'k', version: 2, state: 'active' }],
  ['keys.revoke', { key: 'k', version: 9, state: 'compromised' }, 'refused'],
  ['credentials.issue', { credential: 'c', key: 'k', state: 'active' }],
  ['credentials.revoke', { credential: 'c', state: 'revoked' }],
  ['people.invite', { person: 'p', version: 1, state: 'invited' }],
  ['enrolment.finish', { person: 'p', version: 2, state: 'active' }],
  ['sessions.create', { person: 'p', session: 'a', state: 'active' }],
  ['sessions.create', { person: 'p', session: 'b', state: 'active' }],
  ['sessions.end', { person: 'p', session: 'b', state: 'ended' }],
  ['tenants.seal', { state: 'sealed' }],
  [
    'uses.report',
    { reporter: 'r', attested: { use: 'open', count: 1, sequence: 7, time: 0 }, state: 'active' },
  ],
  ['uses.report', { reporter: 'r' }, 'refused'],
  ['keys.create', { key: 'l', version: 1, state: 'active', recipientPeriodDays: 30 }],
  ['keys.set-rotation', { key: 'l', version: 1, state: 'deactivated', recipientPeriodDays: 0 }],
  ['keys.set-rotation', { key: 'l', version: 1, state: 'deactivated', recipientPeriodDays: 7 }, 'failed'],
  ['keys.revoke', { key: 'l', version: 1, state: 'deactivated', reason: 'cessation' }],
  ['revocations.revoke', { key: 'm', version: 1, state: 'compromised', reason: 'breach' }],
  ['revocations.drill', { key: 'n', version: 1, state: 'destroyed', reason: 'drill' }],
  ['keys.set-rotation-policy', { rotationPeriodDays: 60 }],
  ['keys.set-rotation-policy', { rotationPeriodDays: 180 }, 'refused'],
  ['keys.set-rotation-policy', { key: 'l', version: 1, state: 'deactivated', reason: 'policy' }],
  // What was only asked for has not become anything.
  ['keys.destroy', { key: 'k', version: 2, state: 'destroyed', approval: 'x' }, 'requested'],
  ['approvals.approve', { approval: 'x', state: 'pending' }],
  ['approvals.approve', { approval: 'x', state: 'approved' }],
  ['approvals.approve', { approval: 'y', state: 'approved' }],
  ['approvals.approve', { approval: 'z', state: 'approved' }],
  ['subjects.erase', { approval: 'y', subject: 'k', state: 'erasing' }],
  // Carried out, and tried again by a node that came too late.
  ['subjects.erase', { approval: 'y', subject: 'k' }, 'failed'],
  // What failed ended the request.
  ['tenants.unseal', { approval: 'z', state: 'open' }, 'failed'],
];

testOnStores('the newest entry about each thing says what became of it [URS-080]', async (t, under) => {
  const { ledger, database } = await (await makeScene(t, under)).start();
  const log = ledger.instanceLog;
  for (const [operation, recorded, outcome = 'success'] of steps) {
    const sealed = sealDraft({ operation, outcome, recorded }, log.origin, {}, log.payloadKey);
    await ledger.appender.append(log.id, 1, sealed);
  }
  const found = await database.read((snapshot) => recordedStates(snapshot, log.id));
  const plain = (states: ReadonlyMap<string, { state: string; version: number | undefined }>) =>
    Object.fromEntries(
      [...states].map(([id, { state, version }]) => [id, `${state} ${version ?? ''}`.trim()]),
    );
  assert.deepEqual(plain(found.key), {
    k: 'active 2',
    l: 'deactivated 1',
    m: 'compromised 1',
    n: 'destroyed 1',
  });
  assert.deepEqual(plain(found.credential), { c: 'revoked' });
  assert.deepEqual(plain(found.person), { p: 'active 2' });
  assert.deepEqual(plain(found.session), { a: 'active', b: 'ended' });
  assert.deepEqual(plain(found.reporter), { r: 'active 7' });
  assert.deepEqual(plain(found.approval), { x: 'approved', y: 'executed', z: 'failed' });
  assert.equal(found.tenantSeal?.state, 'sealed');
  assert.deepEqual([...found.revokedKeys].toSorted(), ['l', 'm']);
  assert.deepEqual([...found.recipientPeriod], [['l', 0]]);
  assert.equal(found.rotationPeriodDays, 60);
});
