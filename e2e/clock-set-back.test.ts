/** Servers, and their database, that start again with clocks a day behind: what has ended by its date stays ended. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TrialkeepError } from '@trialkeep/sdk/client';
import { postgresMissing } from '../tools/postgres-cluster.ts';
import { clientOf } from './harness.ts';
import { postgresSite, sqliteSite, until } from './nodes.ts';
import type { ServerNode, Site } from './nodes.ts';
import { askLedger, newTenant } from './tenant.ts';

const plaintext = Buffer.from('a reading').toString('base64');
/** Long enough for a slow machine to make a key that has not expired yet, ms. */
const lifetimeMs = 10_000;

async function play(site: Site): Promise<void> {
  const [first] = site.nodes;
  assert.ok(first);
  const { system, credentials } = await newTenant(first, site.administrator.secret, 'Sponsor');
  const custodian = clientOf(first, credentials.custodian.secret);
  const expiresAt = Date.now() + lifetimeMs;
  const { id: key } = await custodian.call('keys.create', { system, expiresAt });
  const service = { name: 'EDC', role: 'service' as const, system, keys: [key] };
  const { secret } = await custodian.call('credentials.issue', service);
  const use = (node: ServerNode): Promise<string> =>
    clientOf(node, secret)
      .call('keys.encrypt', { key, plaintext })
      .then(
        () => 'success',
        (error: unknown) => (error instanceof TrialkeepError ? error.code : String(error)),
      );
  await until('the key has expired', async () => (await use(first)) === 'key.unusable');

  await site.advance(-1);
  for (const node of site.nodes) assert.equal(await use(node), 'key.unusable');
  const entries = await askLedger(clientOf(first, credentials.auditor.secret), { key });
  const uses = entries.filter(({ operation }) => operation === 'keys.encrypt');
  for (const { outcome, time } of uses) {
    assert.ok(time < expiresAt ? outcome === 'success' : outcome !== 'success', `${outcome} at ${time}`);
  }
  // The ledger's time does not go back.
  const times = entries.map(({ time }) => time);
  assert.ok(times.filter((time) => time >= expiresAt).length >= 1 + site.nodes.length);
}

test('SQLite: a key that has expired stays so when the clock is set back [URS-002] [URS-004]', async () =>
  play(await sqliteSite()));

test(
  'PostgreSQL: a key that has expired stays so on both nodes when every clock is set back [URS-002] [URS-004]',
  { skip: postgresMissing },
  async () => play(await postgresSite()),
);
