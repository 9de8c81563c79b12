/** Work that nobody asks for at its moment, on two servers with one PostgreSQL: done, and done once, whichever node dies at it. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { parseCheckpoint, parseNote } from '@trialkeep/ledger';
import { postgresMissing } from '../tools/postgres-cluster.ts';
import { clientOf } from './harness.ts';
import { postgresSite, until } from './nodes.ts';
import type { PostgresSite } from './nodes.ts';
import { askLedger, newTenant } from './tenant.ts';
import type { LedgerEntry } from './tenant.ts';

const skip = postgresMissing;
let site: PostgresSite;

before(async () => {
  if (skip === false) site = await postgresSite();
});

type Policy = LedgerEntry & { readonly reason?: string };

const keys = 30;
const dayMs = 86_400_000;

test(
  `${keys} keys that are due rotate once each, although the node that is at it dies [URS-003] [URS-032]`,
  { skip },
  async () => {
    const [one, two] = site.nodes;
    const tenant = await newTenant(one, site.administrator.secret, 'Rotation');
    const { system, credentials } = tenant;
    const custodian = clientOf(one, credentials.custodian.secret);
    const made: string[] = [];
    while (made.length < keys) made.push((await custodian.call('keys.create', { system })).id);
    const service = { name: 'EDC', role: 'service' as const, system, keys: made };
    const { secret } = await custodian.call('credentials.issue', service);
    const old = new Map<string, string>();
    for (const key of made) {
      old.set(key, (await clientOf(two, secret).call('keys.encrypt', { key, plaintext: 'AAAA' })).ciphertext);
    }

    const ids = made.map((key) => `'${key}'`).join(', ');
    const dueAt = Date.now() - dayMs;
    const makeDue = (): void =>
      void site.query(`begin;
      update key set rotation_due_at = ${dueAt} where id in (${ids});
      update job set due_at = ${dueAt}, input = regexp_replace(input, '"dueAt":[0-9]+', '"dueAt":${dueAt}')
        where task = 'keys.rotate' and name in (select 'keys.rotate/' || id from key where id in (${ids}));
      commit;`);
    const rotated = (): number =>
      Number(site.query(`select count(*) from key where id in (${ids}) and version > 1`));
    // Dies inside the transaction of a rotation.
    const write = { event: 'insert', table: 'key_version', when: 'new.version = 2' } as const;
    const victim = await site.catchAt(write, makeDue);
    await victim.kill();
    const other = victim === one ? two : one;
    // And again, between any two statements.
    await until('the other rotates', () => rotated() > 5);
    await victim.start();
    await other.kill();
    await until('every key is rotated', () => rotated() === keys);
    await other.start();

    const auditor = clientOf(one, credentials.auditor.secret);
    const entries = (await askLedger(auditor, { operation: 'keys.rotate' })) as Policy[];
    assert.equal(entries.length, keys);
    assert.deepEqual(
      new Map(
        entries.map(({ key, outcome, version, actor, reason }) => [key, [outcome, version, actor, reason]]),
      ),
      new Map(made.map((key) => [key, ['success', 2, undefined, 'policy']])),
    );
    for (const node of site.nodes) {
      const { keys: listed } = await clientOf(node, credentials.custodian.secret).call('keys.list', {});
      const mine = listed.filter(({ id }) => made.includes(id));
      assert.deepEqual(
        // Within the last tenth of 90 days.
        mine.map(({ version, rotationDueAt }) => [version, rotationDueAt > Date.now() + 80 * dayMs]),
        made.map(() => [2, true]),
      );
      for (const key of made) {
        const client = clientOf(node, secret);
        assert.equal((await client.call('keys.encrypt', { key, plaintext: 'AAAA' })).version, 2);
        const opened = await client.call('keys.decrypt', { key, ciphertext: old.get(key) ?? '' });
        assert.deepEqual([opened.plaintext, opened.version], ['AAAA', 1]);
      }
    }
    // The next rotation of each waits for its day.
    const waiting = site.query(`select count(*) from job join key on job.name = 'keys.rotate/' || key.id
    where key.id in (${ids}) and job.due_at = key.rotation_due_at and job.attempts = 0`);
    assert.equal(Number(waiting), keys);
  },
);

test(
  'checkpoints go on being signed when the node that signs them dies, or stands still [URS-033]',
  { skip },
  async () => {
    const tenant = await newTenant(site.nodes[0], site.administrator.secret, 'Checkpoints');
    const { key, credentials, id } = tenant;
    const use = { key, plaintext: 'AAAA' };
    const log = site.query(`select id from log where tenant = '${id}'`);
    const signed = () => Number(site.query(`select max(size) from ledger_checkpoint where log = ${log}`));
    const size = () => Number(site.query(`select size from head where log = ${log}`));
    const write = { event: 'insert', table: 'ledger_checkpoint', when: `new.log = ${log}` } as const;
    for (const how of ['dies', 'stands still'] as const) {
      const [asked] = site.nodes;
      const signer = await site.catchAt(write, () =>
        clientOf(asked, credentials.service.secret).call('keys.encrypt', use),
      );
      const other = site.nodes.find((node) => node !== signer);
      assert.ok(other);
      if (how === 'dies') await signer.kill();
      else signer.server.pause();
      try {
        await clientOf(other, credentials.service.secret).call('keys.encrypt', use);
        // Nobody asks for a checkpoint: it is signed because the log has grown.
        await until('the other has signed', () => signed() === size());
      } finally {
        if (how === 'dies') await signer.start();
        else signer.server.resume();
      }
      const readers = site.nodes.map((node) => clientOf(node, credentials.auditor.secret));
      const [one, two] = await Promise.all(readers.map((reader) => reader.call('ledger.checkpoint', {})));
      assert.equal(one, two);
      assert.ok(parseCheckpoint(parseNote(Buffer.from(one ?? '')).text).size >= size());
    }
  },
);
