import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { TrialkeepError } from '@trialkeep/sdk/client';
import { cachedKeys, openStream, sealStream, serverKeys } from '@trialkeep/sdk/seal';
import type { KeySource } from '@trialkeep/sdk/seal';
import { clientOf, newInstallation, ServerProcess } from './harness.ts';
import type { Installation } from './harness.ts';
import { newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';

let installation: Installation;
let server: ServerProcess;
let tenant: Tenant;

before(async () => {
  installation = await newInstallation();
  server = await ServerProcess.start(installation.data);
  tenant = await newTenant(server, installation.administrator.secret, 'Sponsor');
});

/** How late a revocation may bite, ms; the default of the SDK is a minute. */
const maxAgeMs = 1500;
const plaintext = Buffer.from('one reading');

function keysOf(): KeySource {
  const client = clientOf(server, tenant.credentials.service.secret);
  return cachedKeys(serverKeys(client, { key: tenant.key }), { maxAgeMs });
}

async function all(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const whole: Uint8Array[] = [];
  for await (const chunk of chunks) whole.push(chunk);
  return Buffer.concat(whole);
}

const seal = (keys: KeySource) => all(sealStream(keys, [plaintext], { bytes: plaintext.length }));

/** Seals and opens until both are refused, and gives when each that succeeded was begun, ms of this process's clock. */
async function useUntilRefused(keys: KeySource, message: Buffer, code: string): Promise<number[]> {
  const begun: number[] = [];
  const uses = [() => seal(keys), () => all(openStream(keys, [message]))];
  await Promise.all(
    uses.map(async (use) => {
      for (;;) {
        const now = performance.now();
        try {
          await use();
          begun.push(now);
        } catch (error) {
          assert.ok(error instanceof TrialkeepError && error.code === code, String(error));
          return;
        }
        await pause(1);
      }
    }),
  );
  return begun;
}

test('a revoked key is used under cached data keys for the bound, and not once beyond it [URS-003] [URS-044]', async (t) => {
  const keys = keysOf();
  const message = await seal(keys);
  const custodian = clientOf(server, tenant.credentials.custodian.secret);
  const using = useUntilRefused(keys, message, 'key.revoked');
  await custodian.call('keys.revoke', { key: tenant.key, cause: 'breach', reason: 'a drill' });
  const acknowledged = performance.now();
  const begun = await using;
  const latest = Math.max(...begun) - acknowledged;
  t.diagnostic(
    `${begun.length} uses; the latest begun ${latest.toFixed(0)} ms after the revocation, bound ${maxAgeMs} ms`,
  );
  assert.ok(latest <= maxAgeMs);
});

test('while the server is away work goes on for the bound, and then fails closed [URS-044] [URS-046]', async (t) => {
  tenant = await newTenant(server, installation.administrator.secret, 'Another sponsor');
  const keys = keysOf();
  const message = await seal(keys);
  const using = useUntilRefused(keys, message, 'client.unreachable');
  await server.kill();
  const away = performance.now();
  const latest = Math.max(...(await using)) - away;
  t.diagnostic(
    `the latest use was begun ${latest.toFixed(0)} ms after the server was gone, bound ${maxAgeMs} ms`,
  );
  assert.ok(latest <= maxAgeMs);
});
