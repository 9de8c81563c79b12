import assert from 'node:assert/strict';
import test from 'node:test';
import { keyStates } from '@trialkeep/contract';
import type { KeyState } from '@trialkeep/contract';
import fc from 'fast-check';
import { keyStateTable, nextState, stateAt, transitions } from './states.ts';
import type { KeyEvent } from './states.ts';

const events: KeyEvent[] = ['activate', 'expire', 'suspend', 'resume', 'revoke', 'compromise', 'destroy'];

/** SP 800-57 part 1 rev. 5 section 7 as a drawing, written apart from the table. */
const drawing: Record<string, KeyState> = {
  'pre-activation+activate': 'active',
  'pre-activation+revoke': 'deactivated',
  'pre-activation+compromise': 'compromised',
  'active+suspend': 'suspended',
  'active+expire': 'deactivated',
  'active+revoke': 'deactivated',
  'active+compromise': 'compromised',
  'suspended+resume': 'active',
  'suspended+revoke': 'deactivated',
  'suspended+compromise': 'compromised',
  'deactivated+revoke': 'deactivated',
  'deactivated+compromise': 'compromised',
  'deactivated+destroy': 'destroyed',
  'compromised+destroy': 'destroyed',
};

test('every pair of state and event goes where the drawing says, or nowhere [URS-002]', () => {
  for (const state of keyStates) {
    for (const event of events)
      assert.equal(nextState(state, event), drawing[`${state}+${event}`], `${state} ${event}`);
  }
  assert.equal(transitions.length, Object.keys(drawing).length);
});

test('no sequence of events brings a compromised or destroyed key back into use [URS-002] [URS-004]', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...events), { maxLength: 30 }), (sequence) => {
      let state: KeyState = 'pre-activation';
      let ended = false;
      for (const event of sequence) {
        state = nextState(state, event) ?? state;
        ended ||= state === 'compromised' || state === 'destroyed';
        if (ended) assert.equal(keyStateTable[state].protect, 'no');
        if (ended) assert.notEqual(keyStateTable[state].process, 'yes');
      }
    }),
  );
});

test('only an active key protects [URS-002]', () => {
  for (const state of keyStates) assert.equal(keyStateTable[state].protect === 'yes', state === 'active');
});

test('the dates of a key decide to the millisecond, from activation up to and without expiry [URS-002]', () => {
  const key = { state: 'active', activates_at: 1000, expires_at: 2000 } as const;
  assert.deepEqual(
    [999, 1000, 1999, 2000].map((time) => stateAt(key, time)),
    ['pre-activation', 'active', 'active', 'deactivated'],
  );
});

test('dates never lift a state that somebody gave the key [URS-002]', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...keyStates),
      fc.nat(),
      fc.nat(),
      fc.nat(),
      (state, activates, expires, time) => {
        if (state === 'active') return;
        assert.equal(stateAt({ state, activates_at: activates, expires_at: expires }, time), state);
      },
    ),
  );
});
