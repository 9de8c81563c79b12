/** Two servers on one PostgreSQL are one Trialkeep: what one has acknowledged holds on the other at once. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { TrialkeepError } from '@trialkeep/sdk/client';
import type { Client } from '@trialkeep/sdk/client';
import { parseCheckpoint, parseNote } from '@trialkeep/ledger';
import { exportLedger, verifyFolder } from '@trialkeep/sdk/verify';
import { postgresMissing } from '../tools/postgres-cluster.ts';
import { clientOf, makeFolder } from './harness.ts';
import { postgresSite } from './nodes.ts';
import type { PostgresSite, ServerNode } from './nodes.ts';
import { bringIn, enrol, invitePeople, signIn } from './people.ts';
import { askLedger, newSystem, newTenant } from './tenant.ts';
import type { LedgerEntry, Tenant } from './tenant.ts';

const skip = postgresMissing;
let site: PostgresSite;
let tenants = 0;

before(async () => {
  if (skip === false) site = await postgresSite();
});

async function anotherTenant(node: ServerNode = site.nodes[0]): Promise<Tenant> {
  tenants += 1;
  return newTenant(node, site.administrator.secret, `Sponsor ${tenants}`);
}

/** Both ways round. */
const directions = (): (readonly [ServerNode, ServerNode])[] => [site.nodes, [site.nodes[1], site.nodes[0]]];

/** How many clients ask at once, and how often each asks before and after the change. */
const clients = 6;
const attemptsEach = 12;

/** What clients that never pause are answered, by whether they began to ask before the change was acknowledged or after it. */
async function answersAround(
  use: (attempt: number) => Promise<unknown>,
  change: () => Promise<unknown>,
): Promise<{ before: Set<string>; after: Set<string> }> {
  const answers = { before: new Set<string>(), after: new Set<string>() };
  let acknowledged = false;
  let ready = 0;
  const { promise: warm, resolve } = Promise.withResolvers<void>();
  const ask = async (client: number): Promise<void> => {
    for (let before = 0, after = 0; after < attemptsEach;) {
      const when = acknowledged ? 'after' : 'before';
      const answer = await use(client + before + after).then(
        () => 'success',
        (error: unknown) => (error instanceof TrialkeepError ? error.code : String(error)),
      );
      answers[when].add(answer);
      if (when === 'after') after += 1;
      else before += 1;
      if (before === attemptsEach && (ready += 1) === clients) resolve();
    }
  };
  const asking = Promise.all(Array.from({ length: clients }, (_, client) => ask(client)));
  await Promise.race([warm, asking]);
  await change();
  acknowledged = true;
  await asking;
  return answers;
}

/** What ends on one node, as it is seen from the other. */
interface Ending {
  readonly operation: string;
  readonly refusal: string;
  /** On the other node; asked for over and over. */
  use(attempt: number): Promise<unknown>;
  change(): Promise<unknown>;
  /** Whether an entry is of such a use; undefined where they leave none. */
  readonly isUse: ((entry: LedgerEntry) => boolean) | undefined;
}

/** Once the change is acknowledged everything is refused, and in the ledger nothing succeeds after it. */
async function assertEnds(reader: Client, { operation, refusal, use, change, isUse }: Ending): Promise<void> {
  const { before, after } = await answersAround(use, change);
  assert.deepEqual([...after], [refusal], operation);
  assert.ok(before.delete('success'), operation);
  // Refused before the answer was back.
  before.delete(refusal);
  assert.deepEqual([...before], [], operation);
  if (isUse === undefined) return;
  const entries = await askLedger(reader);
  const at = entries.findLastIndex((entry) => entry.operation === operation && entry.outcome === 'success');
  const succeeded = entries.slice(at).filter((entry) => entry.outcome === 'success' && isUse(entry));
  assert.ok(at > 0 && entries.slice(0, at).some(isUse), operation);
  assert.deepEqual(succeeded, [], operation);
}

const uses = /^keys\.(?:encrypt|decrypt|generate-data-key|decrypt-data-key)$/;
const context = { class: 'ecg' };
const plaintext = Buffer.from('one reading').toString('base64');

/** A new service with a key of its own, and the uses that it makes of it on a node. */
async function newService(node: ServerNode, { system, credentials }: Tenant) {
  const custodian = clientOf(node, credentials.custodian.secret);
  const { id: key } = await custodian.call('keys.create', { system });
  const service = { name: 'service', role: 'service' as const, system, keys: [key] };
  const { credential, secret } = await custodian.call('credentials.issue', service);
  const client = clientOf(node, secret);
  const { ciphertext } = await client.call('keys.encrypt', { key, context, plaintext });
  const wrapped = await client.call('keys.generate-data-key', { key, context });
  const use = (attempt: number): Promise<unknown> => {
    if (attempt % 4 === 0) return client.call('keys.encrypt', { key, context, plaintext });
    if (attempt % 4 === 1) return client.call('keys.decrypt', { key, context, ciphertext });
    if (attempt % 4 === 2) return client.call('keys.generate-data-key', { key, context });
    return client.call('keys.decrypt-data-key', { key, context, ciphertext: wrapped.ciphertext });
  };
  return { key, credential: credential.id, use };
}

const reason = 'An alarm.';

/** Says how to end things on `one` while they are used on `other`, the seal last. */
async function* endings(one: ServerNode, other: ServerNode, tenant: Tenant): AsyncGenerator<Ending> {
  const custodian = clientOf(one, tenant.credentials.custodian.secret);
  for (let round = 0; round < 3; round++) {
    const { key, use } = await newService(other, tenant);
    yield {
      operation: 'keys.revoke',
      refusal: 'key.revoked',
      use,
      change: () => custodian.call('keys.revoke', { key, cause: 'breach', reason }),
      isUse: (entry) => uses.test(entry.operation) && entry.key === key,
    };
  }
  const { credential, use } = await newService(other, tenant);
  yield {
    operation: 'credentials.revoke',
    refusal: 'auth.revoked',
    use,
    change: () => custodian.call('credentials.revoke', { credential, reason }),
    isUse: (entry) => entry.actor === credential,
  };
  const invitee = { name: 'Lea Voss', login: 'lea.voss@sponsor.example', roles: ['custodian' as const] };
  const [lea] = await bringIn(one, tenant.credentials.custodian.secret, { tenant: tenant.id }, [invitee]);
  assert.ok(lea);
  const hers = clientOf(other, lea.session);
  let studies = 0;
  yield {
    operation: 'people.leave',
    refusal: 'auth.revoked',
    // A question that is recorded, one that is not, and a change.
    use: (attempt) => {
      if (attempt % 3 === 0) return hers.call('keys.list', {});
      if (attempt % 3 === 1) return hers.call('sessions.current', {});
      return hers.call('studies.create', { protocol: `${one.url}/${studies++}` });
    },
    change: () => custodian.call('people.leave', { person: lea.id, reason }),
    isUse: (entry) => entry.actor === lea.id,
  };
  const { id, secret } = tenant.credentials.auditor;
  yield {
    operation: 'credentials.revoke',
    refusal: 'auth.revoked',
    // Nothing is written for it that would notice.
    use: () => clientOf(other, secret).call('ledger.verifier-key', {}),
    change: () => custodian.call('credentials.revoke', { credential: id, reason }),
    isUse: undefined,
  };
  const last = await newService(other, tenant);
  yield {
    operation: 'tenants.seal',
    refusal: 'tenant.sealed',
    use: last.use,
    change: () => custodian.call('tenants.seal', { reason }),
    isUse: (entry) => uses.test(entry.operation),
  };
}

test(
  'what ends on one node is refused on the other from the answer on [URS-002] [URS-004] [URS-024] [URS-036]',
  { skip },
  async () => {
    for (const [one, other] of directions()) {
      const tenant = await anotherTenant(one);
      const reader = clientOf(one, tenant.credentials.custodian.secret);
      for await (const ending of endings(one, other, tenant)) await assertEnds(reader, ending);
    }
  },
);

test('what one node has made works on the other at once [URS-007] [URS-043]', { skip }, async () => {
  const [one, two] = site.nodes;
  for (let round = 0; round < 5; round++) {
    const name = `Quick ${round}`;
    const { tenant, custodian } = await clientOf(one, site.administrator.secret).call('tenants.create', {
      name,
    });
    const study = await clientOf(two, custodian.secret).call('studies.create', { protocol: name });
    const { alias } = await clientOf(one, custodian.secret).call('subjects.create', {
      study: study.id,
      number: '1001',
    });
    const { system, key } = await newSystem(clientOf(two, custodian.secret), `${name} EDC`);
    const service = { name: 'EDC', role: 'service' as const, system, keys: [key] };
    const { secret } = await clientOf(one, custodian.secret).call('credentials.issue', service);
    const about = { study: study.id, subject: alias, class: 'ecg' };
    const made = await clientOf(two, secret).call('keys.encrypt', { key, context: about, plaintext });
    const asked = { key, context: about, ciphertext: made.ciphertext };
    assert.equal((await clientOf(one, secret).call('keys.decrypt', asked)).plaintext, plaintext);
    assert.equal((await clientOf(one, custodian.secret).call('keys.rotate', { key })).version, 2);
    assert.equal((await clientOf(two, secret).call('keys.encrypt', { key, plaintext })).version, 2);
    const { tenants: listed } = await clientOf(two, site.administrator.secret).call('tenants.list', {});
    assert.ok(listed.some(({ id }) => id === tenant.id));
  }
});

test(
  'a person who was invited on one node enrols on the other, and signs in on the first [URS-024]',
  { skip },
  async () => {
    const [one, two] = site.nodes;
    const { id: tenant, credentials } = await anotherTenant();
    const invitee = { name: 'Mika Roth', login: 'mika.roth@sponsor.example', roles: ['approver' as const] };
    const [invited] = await invitePeople(one, credentials.custodian.secret, [invitee]);
    assert.ok(invited);
    const person = await enrol(two, invited.invitation);
    const session = await signIn(one, person, { tenant });
    const current = await clientOf(two, session).call('sessions.current', {});
    assert.deepEqual([current.person.id, current.person.state], [person.id, 'active']);
    await clientOf(two, session).call('sessions.end', {});
    await assert.rejects(clientOf(one, session).call('sessions.current', {}), { code: 'auth.revoked' });
  },
);

/** The last tile and the last bundle under a checkpoint, byte for byte, as a node gives them. */
async function lastTiles(reader: Client, size: number): Promise<Uint8Array[]> {
  const [index, width] = [Math.floor((size - 1) / 256), ((size - 1) % 256) + 1];
  // Tiles are numbered in groups of three digits; there are fewer than a thousand here.
  const name = `${String(index).padStart(3, '0')}${width === 256 ? '' : `.p/${width}`}`;
  const tile = (path: string) => reader.call('ledger.tile', { path });
  return Promise.all([tile(`0/${name}`), tile(`entries/${name}`)]);
}

test(
  'both nodes show one tree: tiles under each other’s checkpoints, and exports that continue them [URS-033]',
  { skip },
  async () => {
    const tenant = await anotherTenant();
    const { verifierKey, credentials } = tenant;
    const readers = site.nodes.map((node) => clientOf(node, credentials.auditor.secret));
    const services = await Promise.all(site.nodes.map((node) => newService(node, tenant)));
    const kept: string[] = [];
    for (let round = 0; round < 40; round++) {
      const [signs, other] = [readers[round % 2], readers[(round + 1) % 2]];
      assert.ok(signs && other);
      // More entries than a bundle holds, on both nodes at once.
      await Promise.all(services.flatMap(({ use }) => Array.from({ length: 5 }, (_, n) => use(n))));
      const checkpoint = await signs.call('ledger.checkpoint', {});
      const { size } = parseCheckpoint(parseNote(Buffer.from(checkpoint)).text);
      assert.ok(size > 0);
      assert.deepEqual(await lastTiles(other, size), await lastTiles(signs, size));
      kept.push(checkpoint);
    }
    for (const reader of readers) {
      const folder = join(makeFolder(), 'ledger');
      await exportLedger(reader, folder, { verifierKey });
      for (const checkpoint of kept) {
        const keptCheckpoint = Buffer.from(checkpoint);
        const { verdict, findings } = await verifyFolder({ folder, verifierKey, keptCheckpoint });
        assert.deepEqual([verdict, findings], ['verified', []]);
      }
    }
    const [one, two] = await Promise.all(readers.map((reader) => reader.call('ledger.checkpoint', {})));
    assert.equal(one, two);
  },
);
