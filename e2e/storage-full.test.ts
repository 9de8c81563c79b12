import assert from 'node:assert/strict';
import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { TrialkeepError } from '@trialkeep/sdk/client';
import { exportLedger } from '@trialkeep/sdk/verify';
import { ask, clientOf, errorOf, makeFolder, newInstallation, ServerProcess } from './harness.ts';
import { mountSmallDisk } from './small-disk.ts';
import { askLedger, newSystem, newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';

const mebibyte = Buffer.alloc(1024 * 1024);

/** Takes every byte of a disk that is left. */
function fill(file: string): void {
  const filler = openSync(file, 'a');
  try {
    for (let piece = mebibyte.length; piece >= 1; piece = Math.floor(piece / 2)) {
      try {
        for (;;) writeSync(filler, mebibyte, 0, piece);
      } catch (error) {
        if ((error as { code?: string }).code !== 'ENOSPC') throw error;
      }
    }
  } finally {
    closeSync(filler);
  }
}

let server: ServerProcess;
let tenant: Tenant;
const bearer = (role: keyof Tenant['credentials']): string => `Bearer ${tenant.credentials[role].secret}`;
const plaintext = Buffer.from('one reading').toString('base64');
const encryptOnce = () => ask(server, 'keys.encrypt', { key: tenant.key, plaintext }, bearer('service'));

/** Encrypts until the disk is full; gives how often it succeeded. */
async function encryptUntilFull(): Promise<number> {
  for (let succeeded = 0; succeeded < 20_000; succeeded += 1) {
    const answer = await encryptOnce();
    if (answer.status === 200) continue;
    assert.equal(errorOf(answer).code, 'server.storage_full', answer.text);
    return succeeded;
  }
  assert.fail('the disk did not fill up');
}

/** Everything that needs a record fails, says so, and releases nothing. */
async function assertNothingDone(ciphertext: string): Promise<void> {
  const { key, system } = tenant;
  for (const [operation, input, role] of [
    ['keys.encrypt', { key, plaintext }, 'service'],
    ['keys.decrypt', { key, ciphertext }, 'service'],
    ['keys.generate-data-key', { key }, 'service'],
    ['studies.create', { protocol: 'Half-done' }, 'custodian'],
    ['keys.create', { system }, 'custodian'],
    ['keys.rotate', { key }, 'custodian'],
  ] as const) {
    const answer = await ask(server, operation, input, bearer(role));
    const { status, code, fix } = errorOf(answer);
    assert.deepEqual([status, code], [507, 'server.storage_full'], `${operation}: ${answer.text}`);
    assert.ok(fix.includes('Free space'));
    assert.ok(!answer.text.includes(plaintext) && !answer.text.includes('ciphertext'));
  }
}

/** What was acknowledged is in the ledger, which may hold more than was released, and never less. */
async function assertRecorded(encryptions: number): Promise<void> {
  const auditor = clientOf(server, tenant.credentials.auditor.secret);
  const entries = await askLedger(auditor, { key: tenant.key, outcome: 'success' });
  const of = (operation: string) => entries.filter((entry) => entry.operation === operation).length;
  assert.ok(of('keys.encrypt') >= encryptions);
  assert.equal(of('keys.decrypt') + of('keys.generate-data-key') + of('keys.rotate'), 0);
  assert.equal(entries.at(-1)?.operation, 'keys.revoke');
  const folder = join(makeFolder(), 'ledger');
  const exported = await exportLedger(auditor, folder, { verifierKey: tenant.verifierKey });
  assert.notEqual(exported.verdict, 'failed');
}

test('a full disk releases nothing, and rights can still be taken away [URS-004] [URS-032] [URS-046]', async (t) => {
  const disk = join(makeFolder(), 'disk');
  const impossible = mountSmallDisk(disk, 24);
  if (impossible !== undefined) return t.skip(impossible);
  const { data, administrator } = await newInstallation(join(disk, 'data'));
  server = await ServerProcess.start(data);
  tenant = await newTenant(server, administrator.secret, 'Sponsor');
  const { key, credentials } = tenant;
  const custodian = clientOf(server, credentials.custodian.secret);
  const other = await newSystem(custodian, 'Other EDC');
  const service = clientOf(server, credentials.service.secret);
  const { ciphertext } = await service.call('keys.encrypt', { key, plaintext });
  const { keys: made } = await custodian.call('keys.list', {});

  const filler = join(disk, 'filler');
  fill(filler);
  const succeeded = await encryptUntilFull();

  await assertNothingDone(ciphertext);

  // Space is reserved for what takes rights away.
  const reason = 'The disk is full, and the device is gone.';
  assert.equal((await custodian.call('keys.suspend', { key: other.key, reason })).state, 'suspended');
  const revoked = await custodian.call('keys.revoke', { key, cause: 'device-compromise', reason });
  assert.equal(revoked.state, 'compromised');
  const recovery = { credential: credentials['data-recovery'].id, reason };
  assert.equal((await custodian.call('credentials.revoke', recovery)).state, 'revoked');
  assert.notEqual((await encryptOnce()).status, 200);

  rmSync(filler);
  await untilSpace();
  assert.equal(errorOf(await encryptOnce()).code, 'key.revoked');
  const denied = await ask(server, 'keys.list', {}, bearer('data-recovery'));
  assert.equal(errorOf(denied).code, 'auth.revoked');
  await custodian.call('keys.resume', { key: other.key, reason });
  const { studies } = await custodian.call('studies.list', {});
  assert.equal(studies.length, 1);
  assert.equal((await custodian.call('keys.list', {})).keys.length, made.length);
  await assertRecorded(succeeded + 1);
  assert.equal(await server.stop(), 0);
  server = await ServerProcess.start(data);
  assert.equal(server.state, 'ready');
  assert.equal(errorOf(await encryptOnce()).code, 'key.revoked');
  assert.equal(await server.stop(), 0);
});

/** Waits until the server has noticed that there is space again; at most half a minute. */
async function untilSpace(): Promise<void> {
  const client = clientOf(server, tenant.credentials.custodian.secret);
  for (let waited = 0; waited < 300; waited += 1) {
    try {
      await client.call('systems.list', {});
      return;
    } catch (error) {
      if (!(error instanceof TrialkeepError) || error.code !== 'server.storage_full') throw error;
      await pause(100);
    }
  }
  assert.fail('the server does not notice that there is space again');
}
