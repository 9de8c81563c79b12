import assert from 'node:assert/strict';
import test from 'node:test';
import { permitUse, processingWindow } from './permit.ts';
import type { KeyRow, KeyVersion } from './store.ts';

const row: KeyRow = {
  id: 'k',
  tenant: 't',
  system: 's',
  description: '',
  algorithm: 'AES_256',
  purpose: 'encrypt',
  state: 'active',
  version: 1,
  created_at: 0,
  activates_at: null,
  expires_at: null,
  rotation_period_days: 90,
  rotation_due_at: 0,
  revocation_cause: null,
  revoked_at: null,
  use_logged: 0,
  own_rotation: 1,
  recipient_period_days: null,
  destruction_due_at: null,
  protection: 'software',
  imported: 0,
  exportable: 0,
  seal: new Uint8Array(32),
};
const named = new Set(['k']);
const service = { roles: ['service'] } as const;
const recovery = { roles: ['data-recovery'] } as const;
const protect = { kind: 'protect', reason: undefined } as const;
const process = { kind: 'process', reason: undefined } as const;

test('a service uses the keys that its credential names and sees no others [URS-012]', () => {
  assert.doesNotThrow(() => permitUse(service, named, row, protect, 1));
  assert.throws(() => permitUse(service, new Set(), row, protect, 1), { code: 'key.unknown' });
  assert.throws(() => permitUse(service, named, undefined, protect, 1), { code: 'key.unknown' });
});

test('a service does nothing under a revoked key, whatever its state permits [URS-004]', () => {
  const revoked: KeyRow = { ...row, state: 'deactivated', revoked_at: 1, revocation_cause: 'cessation' };
  for (const use of [protect, process]) {
    assert.throws(() => permitUse(service, named, revoked, use, 2), { code: 'key.revoked' });
  }
});

test('after its expiry a key processes and protects nothing, and the flush knows when that is [URS-002]', () => {
  const dated: KeyRow = { ...row, expires_at: 100 };
  assert.deepEqual(permitUse(service, named, dated, protect, 99), [
    { from: 0, until: 100, refusal: 'key.unusable' },
  ]);
  assert.throws(() => permitUse(service, named, dated, protect, 100), { code: 'key.unusable' });
  assert.doesNotThrow(() => permitUse(service, named, dated, process, 100));
});

test('data recovery reads what is out of use, with a reason, and nothing else [URS-004]', () => {
  const reasoned = { kind: 'process', reason: 'Inspection.' } as const;
  const revoked: KeyRow = { ...row, state: 'compromised', revoked_at: 1, revocation_cause: 'breach' };
  assert.doesNotThrow(() => permitUse(recovery, new Set(), revoked, reasoned, 2));
  assert.throws(() => permitUse(recovery, new Set(), revoked, process, 2), { code: 'reason.required' });
  assert.throws(() => permitUse(recovery, new Set(), row, reasoned, 2), { code: 'key.unusable' });
  assert.throws(() => permitUse(recovery, new Set(), { ...row, state: 'suspended' }, reasoned, 2), {
    code: 'key.unusable',
  });
  assert.throws(() => permitUse(recovery, new Set(), revoked, { ...reasoned, kind: 'protect' }, 2), {
    code: 'key.unusable',
  });
});

const dayMs = 86_400_000;

test('an old version processes for as long as the next one that there is allows, and without any not at all [URS-003]', () => {
  const versionAt = (version: number, days: number): KeyVersion => ({
    id: `v${version}`,
    key: 'k',
    version,
    public_key: null,
    token: null,
    created_at: days * dayMs,
    seal: new Uint8Array(32),
  });
  const untilOf = (key: Partial<KeyRow>, versions: KeyVersion[], version: number) => {
    const changed = { ...row, recipient_period_days: 30, ...key };
    return processingWindow(service, { row: changed, versions }, version, 1).map(
      ({ until }) => until / dayMs,
    );
  };
  const [first, second, third] = [versionAt(1, 0), versionAt(2, 10), versionAt(3, 100)];
  const whole = [first, second, third];
  assert.deepEqual(untilOf({ version: 3 }, whole, 1), [40]);
  assert.deepEqual(untilOf({ version: 3 }, whole, 2), [130]);
  assert.deepEqual(untilOf({ version: 3 }, whole, 3), []);
  assert.deepEqual(untilOf({ version: 3, expires_at: 50 * dayMs }, whole, 2), [80], 'It expired before.');
  assert.deepEqual(untilOf({ version: 3 }, [first, third], 1), [130], 'A recovery has lost one.');
  assert.deepEqual(untilOf({ version: 3, recipient_period_days: null }, [first], 1), []);
  const over = { code: 'key.recipient_period_over' };
  assert.throws(() => untilOf({ version: 3 }, [first, second], 2), over);
  assert.throws(() => untilOf({ version: 3, expires_at: 50 * dayMs }, [first], 1), over);
  assert.deepEqual(
    processingWindow(
      recovery,
      { row: { ...row, version: 3, recipient_period_days: 1 }, versions: [first] },
      1,
      1,
    ),
    [],
  );
});
