/** Every transition of a key in every state, on every store, against SP 800-57 part 1 rev. 5, section 7, written down anew. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { KeyState } from '@trialkeep/contract';
import { entriesOf, makeInstallation, makeTenant, openNode, stores } from '../installation.fixture.test.ts';
import type { Node } from '../installation.fixture.test.ts';
import { OperationError } from '../platform/errors.ts';
import * as store from './store.ts';

const reason = 'A transition.';
const states = [
  'pre-activation',
  'active',
  'suspended',
  'deactivated',
  'expired',
  'compromised',
  'destroyed',
] as const;
const events = ['rotate', 'suspend', 'resume', 'revoke', 'compromise'] as const;
type Event = (typeof events)[number];
type StartState = (typeof states)[number];

/** Where an event leads; what is not here is refused. */
const table: Readonly<Record<StartState, Partial<Record<Event, KeyState>>>> = {
  'pre-activation': { revoke: 'deactivated', compromise: 'compromised' },
  active: { rotate: 'active', suspend: 'suspended', revoke: 'deactivated', compromise: 'compromised' },
  suspended: { resume: 'active', revoke: 'deactivated', compromise: 'compromised' },
  deactivated: { revoke: 'deactivated', compromise: 'compromised' },
  expired: { revoke: 'deactivated', compromise: 'compromised' },
  compromised: {},
  destroyed: {},
};
const lifetimeMs = 300;

type Scene = Awaited<ReturnType<typeof makeTenant>> & { readonly node: Node };

/** Makes a key in a state; what takes people and days to come about is written into its row. */
async function keyIn({ admit, createKey, node, tenant }: Scene, state: StartState): Promise<string> {
  if (state === 'pre-activation') return createKey({ activatesAt: Date.now() + 3_600_000 });
  if (state === 'expired') {
    const key = await createKey({ expiresAt: Date.now() + lifetimeMs });
    await pause(lifetimeMs + 1);
    return key;
  }
  const key = await createKey();
  if (state === 'suspended') await admit('keys.suspend', { key, reason });
  if (state === 'deactivated') await admit('keys.revoke', { key, cause: 'cessation', reason });
  if (state === 'compromised') await admit('keys.revoke', { key, cause: 'breach', reason });
  if (state !== 'destroyed') return key;
  const { database, hierarchy } = node.instance;
  const rowKey = await hierarchy.rowKey(tenant);
  await admit('keys.revoke', { key, cause: 'cessation', reason });
  await database.write(async (tx) => {
    const row = (await store.findKey(tx, rowKey, tenant, key)) ?? assert.fail();
    await store.updateKey(tx, rowKey, { ...row, state: 'destroyed' });
  });
  // A change of the log, so that nobody goes by what was known before.
  await admit('keys.set-rotation-policy', { periodDays: 90, reason });
  return key;
}

function apply({ admit }: Scene, event: Event, key: string): Promise<unknown> {
  if (event === 'rotate') return admit('keys.rotate', { key });
  if (event === 'suspend' || event === 'resume') return admit(`keys.${event}`, { key, reason });
  return admit('keys.revoke', {
    key,
    cause: event === 'revoke' ? 'role-change' : 'device-compromise',
    reason,
  });
}

for (const { name, skip, ...rest } of stores) {
  test(
    `${name}: every event in every state leads where the standard says, or is refused with an entry [URS-002] [URS-004]`,
    { skip },
    async (t) => {
      const installation = await makeInstallation(t, { name, skip, ...rest });
      const node = await openNode(t, installation);
      const scene: Scene = { ...(await makeTenant(node, installation.administrator)), node };
      const shown = async (key: string) => (await scene.admit('keys.show', { key })).key;
      for (const state of states) {
        for (const event of events) {
          const key = await keyIn(scene, state);
          const before = await shown(key);
          const to = table[state][event];
          const label = `${event} in ${state}`;
          if (to !== undefined) {
            await apply(scene, event, key);
            assert.equal((await shown(key)).state, to, label);
            continue;
          }
          await assert.rejects(apply(scene, event, key), (error: unknown) => {
            assert.ok(error instanceof OperationError && error.code === 'key.transition_undefined', label);
            return true;
          });
          const refused = (await entriesOf(node.instance, scene.tenant)).at(-1);
          assert.deepEqual(
            [refused?.['outcome'], refused?.['code'], refused?.['key'], refused?.['state']],
            ['refused', 'key.transition_undefined', key, undefined],
            label,
          );
          assert.deepEqual(await shown(key), before, label);
        }
      }
    },
  );
}
