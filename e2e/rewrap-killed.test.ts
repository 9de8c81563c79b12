/** A rewrap under way when its server is killed: nothing is lost, and nothing is wrapped twice. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import type { Client, Operations, Output } from '@trialkeep/sdk/client';
import { postgresMissing } from '../tools/postgres-cluster.ts';
import { answerOf, asCaller, clientOf } from './harness.ts';
import { postgresSite, sqliteSite } from './nodes.ts';
import type { ServerNode, Site } from './nodes.ts';
import { askLedger, newTenant } from './tenant.ts';
import type { Tenant } from './tenant.ts';

type Rewrap = Output<Operations['rewraps.show']>;

const perRequest = 1000;
const requests = 4;
const total = perRequest * requests;

/** A data key as it was made. */
interface Made {
  readonly reference: string;
  readonly ciphertext: string;
  readonly plaintext: string;
}

async function registered(service: Client, { key }: Tenant): Promise<Made[]> {
  const made: Made[] = [];
  for (let request = 0; request < requests; request++) {
    const items = Array.from({ length: perRequest }, () => ({}));
    const { items: outcomes } = await service.call('keys.generate-data-key-batch', { key, items });
    const dataKeys = outcomes.map((outcome) => {
      if ('error' in outcome) assert.fail(JSON.stringify(outcome));
      const { ciphertext, plaintext } = outcome.result;
      const bytes = Buffer.from(ciphertext, 'base64');
      return { ciphertext, plaintext, reference: createHash('sha256').update(bytes).digest('hex') };
    });
    const wrapped = dataKeys.map(({ ciphertext }) => ({ ciphertext }));
    assert.equal((await service.call('data-keys.register', { key, dataKeys: wrapped })).added, perRequest);
    made.push(...dataKeys);
  }
  return made;
}

/** Rotates and begins to wrap anew until a server is killed in the middle of that; the other one, if any, goes on. */
async function killedMidway(site: Site, custodian: () => Client, { key }: Tenant): Promise<Rewrap> {
  const [node] = site.nodes as readonly [ServerNode];
  for (;;) {
    await custodian().call('keys.rotate', { key });
    let shown: Rewrap = await custodian().call('rewraps.start', { key });
    while (shown.state === 'running' && shown.rewrapped === 0) {
      shown = await custodian().call('rewraps.show', { rewrap: shown.id });
    }
    await node.kill();
    await site.startAll();
    // Where it was over before the kill, the next rotation is another chance.
    shown = await custodian().call('rewraps.show', { rewrap: shown.id });
    if (shown.state === 'running') return shown;
  }
}

async function ended(custodian: Client, id: string): Promise<Rewrap> {
  for (;;) {
    const shown = await custodian.call('rewraps.show', { rewrap: id });
    if (shown.state !== 'running') return shown;
    await pause(100);
  }
}

/** Every data key is there under the version, and opens as it did, in both wrappings. */
async function assertAllThere(service: Client, key: string, made: readonly Made[], version: number) {
  for (let first = 0; first < made.length; first += perRequest) {
    const some = made.slice(first, first + perRequest);
    const references = some.map(({ reference }) => reference);
    const { dataKeys } = await service.call('data-keys.current', { key, references });
    assert.equal(dataKeys.length, some.length);
    assert.ok(dataKeys.every((dataKey) => dataKey.version === version));
    const present = new Map(dataKeys.map(({ reference, ciphertext }) => [reference, ciphertext]));
    const items = some
      .slice(0, perRequest / 2)
      .flatMap(({ reference, ciphertext }) => [
        { ciphertext },
        { ciphertext: present.get(reference) ?? assert.fail() },
      ]);
    const opened = await service.call('keys.decrypt-data-key-batch', { key, items });
    opened.items.forEach((item, i) => {
      if ('error' in item) assert.fail(JSON.stringify(item));
      assert.equal(item.result.plaintext, some[i >> 1]?.plaintext);
    });
  }
}

const sites = [
  { name: 'SQLite', skip: false as const, open: sqliteSite },
  { name: 'two nodes on PostgreSQL', skip: postgresMissing, open: postgresSite },
];
for (const { name, skip, open } of sites) {
  test(
    `a rewrap whose server is killed goes on, every data key once, on ${name} [URS-003]`,
    { skip },
    async () => {
      const site: Site = await open();
      const [node] = site.nodes as readonly [ServerNode];
      const tenant = await newTenant(node, site.administrator.secret, 'Sponsor');
      const { credentials, key } = tenant;
      const made = await registered(clientOf(node, credentials.service.secret), tenant);
      const custodian = (): Client => clientOf(node, credentials.custodian.secret);
      const { id } = await killedMidway(site, custodian, tenant);
      const shown = await ended(custodian(), id);
      assert.deepEqual(
        [shown.state, shown.total, shown.rewrapped, shown.passed, shown.failed, shown.lost],
        ['finished', total, total, 0, 0, 0],
      );
      await assertAllThere(clientOf(node, credentials.service.secret), key, made, shown.version);
      const auditor = clientOf(node, credentials.auditor.secret);
      const ofKey = await askLedger(auditor, { key, operation: 'data-keys.rewrap' });
      const batches = ofKey.filter(({ version }) => version === shown.version);
      assert.equal(batches.length, requests);
      assert.equal(new Set(batches.map(({ hash }) => hash)).size, requests, 'no batch twice');
      const ends = await askLedger(auditor, { key, operation: 'rewraps.finish' });
      const finish = ends.filter(({ version }) => version === shown.version);
      assert.deepEqual(
        finish.map(({ hash }) => hash),
        [shown.hash],
      );

      const env = asCaller(node.server, credentials.custodian.secret);
      await custodian().call('keys.rotate', { key });
      const again = await answerOf<Rewrap>(['rewrap', 'start', key, '--wait'], { env });
      assert.deepEqual([again.state, again.rewrapped, again.version], ['finished', total, shown.version + 1]);
      const listed = await answerOf<{ rewraps: Rewrap[] }>(['rewrap', 'list', '--key', key], { env });
      assert.equal(listed.rewraps.at(-1)?.id, again.id);
      const keys = await answerOf<{ registered: number; dataKeys: unknown[] }>(
        ['data-key', 'list', key, '--limit', '1500'],
        { env },
      );
      assert.deepEqual([keys.registered, keys.dataKeys.length], [total, 1500]);
    },
  );
}
