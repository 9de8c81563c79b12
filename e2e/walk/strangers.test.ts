import assert from 'node:assert/strict';
import { randomBytes, randomUUID } from 'node:crypto';
import { before, test } from 'node:test';
import { operations } from '@trialkeep/contract';
import type { ErrorCode, OperationId } from '@trialkeep/contract';
import { ask, errorOf } from '../harness.ts';
import { askLedger } from '../tenant.ts';
import { askerFor, byCredential, bySession } from './callers.ts';
import {
  askSample,
  assertRecorded,
  assertRefused,
  bearer,
  inventory,
  refusal,
  sealedAs,
} from './refusals.ts';
import type { Refusal } from './refusals.ts';
import { approved, forStrangers, guarded, ids, last, samples, tooEarly } from './samples.ts';
import { nowhere, World } from './world.ts';
import type { Sampled } from './world.ts';

let world: World;
/** The tests share two tenants; only the last one changes what the others lean on. */
let here: Sampled;
let elsewhere: Sampled;
before(async () => {
  world = await World.start();
  here = await world.newSampled();
  elsewhere = await world.newSampled();
});

/** Everything by which a tenant and those who belong to it can be told. */
function namesOf(of: Sampled): string[] {
  const { id, name, study, system, key, subject, entry, approval, spentKey, verifierKey } = of;
  const known = [...Object.values(of.people), of.requester, of.newcomer];
  return [
    ...[id, name, study, system, key, subject, entry, approval, spentKey, verifierKey],
    ...Object.values(of.credentials).map((credential) => credential.id),
    ...known.map((person) => person.id),
  ];
}

test('nobody without a secret gets in; what they try is counted by source and minute [URS-019] [URS-032]', async () => {
  const unchanged = await inventory(world, here);
  let tried = 0;
  const made = (prefix: string): string => bearer(prefix + randomBytes(32).toString('base64url'));
  const strangers = [undefined, made('tkc_'), made('tks_'), made('tki_'), 'Basic dTpw', 'Bearer ?'];
  for (const id of guarded) {
    for (const authorization of strangers) {
      const answer = await ask(world.server, id, samples[id](here), authorization);
      assertRefused(id, answer, 'auth.required');
      tried += 1;
    }
  }
  // Public operations are for whoever asks: they show that the server is up and how to talk to it, and name no tenant.
  for (const id of ids.filter((each) => operations[each].permission === 'public')) {
    const answer = await askSample(world, id, here);
    assert.equal(answer.status, 200, id);
    assert.ok(!answer.text.includes(here.name) && !answer.text.includes(here.id));
  }
  assert.deepEqual(await inventory(world, here), unchanged);

  // What is still being counted is written when the server stops.
  await world.restart();
  const client = world.reader();
  const entries = await askLedger(client, { operation: 'instance.authenticate' });
  const seen = new Set<string>();
  let counted = 0;
  for (const { entry, outcome, code, actor } of entries) {
    assert.deepEqual([outcome, code, actor], ['refused', 'auth.required', undefined]);
    const { payload } = await client.call('ledger.payload', { entry });
    const said = payload as { source: string; minute: number; count: number; operations: string[] };
    assert.equal(said.source, '127.0.0.1');
    assert.equal(said.minute % 60_000, 0);
    counted += said.count;
    for (const id of said.operations) seen.add(id);
  }
  assert.equal(counted, tried);
  assert.deepEqual([...seen].sort(), [...guarded].sort());
});

test("one's own key opens nothing of another tenant's, and takes no study or subject of it [URS-049]", async () => {
  const stranger = await world.newTenant();
  const service = bearer(stranger.credentials.service.secret);
  const { key, study } = stranger;
  const foreign = { study: here.study, subject: here.subject };
  const cases: [OperationId, Record<string, unknown>, ErrorCode][] = [
    ['keys.decrypt', { key, ciphertext: here.ciphertext }, 'ciphertext.invalid'],
    ['keys.decrypt-data-key', { key, ciphertext: here.wrappedDataKey }, 'ciphertext.invalid'],
    ['keys.decrypt', { key, ciphertext: here.ciphertext, context: foreign }, 'study.unknown'],
    ['keys.encrypt', { key, plaintext: '', context: foreign }, 'study.unknown'],
    ['keys.encrypt', { key, plaintext: '', context: { study, subject: here.subject } }, 'subject.unknown'],
    ['keys.generate-data-key', { key, context: { study: here.study } }, 'study.unknown'],
  ];
  for (const [id, input, code] of cases) {
    assertRefused(id, await ask(world.server, id, input, service), code);
  }
  const custodian = bearer(stranger.credentials.custodian.secret);
  const issue = { name: 'x', role: 'service', system: stranger.system, keys: [here.key] };
  const issued = await ask(world.server, 'credentials.issue', issue, custodian);
  assertRefused('credentials.issue', issued, 'key.unknown');
  const filtered = await ask(world.server, 'keys.list', { system: here.system }, custodian);
  const { keys, next } = JSON.parse(filtered.text) as Record<string, unknown>;
  assert.deepEqual([keys, next], [[], null]);
});

test("a service sees no key but those that its credential names, of its own tenant's either [URS-012]", async () => {
  const custodian = world.client(here.credentials.custodian.secret);
  const { id: unnamed } = await custodian.call('keys.create', { system: here.system });
  const uses = ids.filter((id) => operations[id].effect === 'use' && forStrangers[id] === 'key.unknown');
  assert.ok(uses.length >= 8);
  const service = byCredential('service', here.credentials.service);
  await assertRecorded(world.reader(here), async () => {
    const refusals: Refusal[] = [];
    for (const id of uses) {
      const answers: object[] = [];
      for (const key of [unnamed, randomUUID()]) {
        const keys = { sign: key, mac: key, agree: key, encapsulate: key };
        const answer = await askSample(world, id, { ...here, key, keys }, service.secret);
        assertRefused(id, answer, 'key.unknown');
        answers.push({ ...errorOf(answer), requestId: '' });
        refusals.push(refusal(id, service, 'key.unknown'));
      }
      assert.deepEqual(answers[0], answers[1]);
    }
    return refusals;
  });
});

test('a session of one tenant is no session of another, whoever has it [URS-049]', async () => {
  const { id, login, name } = here.people.custodian;
  // The same sign-in name is another person in each tenant.
  assert.equal(login, elsewhere.people.custodian.login);
  assert.notEqual(id, elsewhere.people.custodian.id);
  const { secret } = bySession('custodian', here.people.custodian);
  const { person } = await world.client(secret).call('sessions.current', {});
  assert.deepEqual([person.id, person.name, person.roles], [id, name, ['custodian']]);
  const { people } = await world.client(secret).call('people.list', {});
  assert.ok(people.some((each) => each.id === id));
  const foreign = new Set(namesOf(elsewhere));
  assert.ok(people.every((each) => !foreign.has(each.id)));
});

test("the instance's people and credentials get nothing of a tenant [URS-019] [URS-049]", async () => {
  const unchanged = await inventory(world, here);
  const administrator = await world.newAdministrator();
  // The log comes before what puts ids into it that the caller named.
  for (const id of guarded.filter((each) => each !== 'sessions.end')) {
    for (const secret of [administrator.session, world.installation.administrator.secret]) {
      const answer = await askSample(world, id, here, secret);
      // Only that there is such a tenant, and the path that was asked for.
      const isListed = id === 'tenants.list' ? [here.id, here.name, here.verifierKey] : [];
      for (const name of namesOf(here).filter((each) => !isListed.includes(each))) {
        assert.ok(!answer.text.includes(name), `${id} tells of a tenant: ${name}`);
      }
    }
  }
  assert.deepEqual(await inventory(world, here), unchanged);
});

test("another tenant's ids are refused as ids that do not exist [URS-019] [URS-049]", async () => {
  const unchanged = await inventory(world, here);
  // What is about the caller's own tenant says nothing of this one.
  const askOwn = async (own: readonly OperationId[]): Promise<void> => {
    for (const id of own) {
      const of = { ...here, sealedAt: elsewhere.sealedAt };
      const answer = await askSample(world, id, of, askerFor(id, elsewhere).secret);
      if (id === 'tenants.seal') elsewhere = sealedAs(elsewhere, answer);
      const early = tooEarly[id];
      const status = id === 'enrolment.finish' ? 400 : approved.includes(id) ? 202 : 200;
      if (early !== undefined) assertRefused(id, answer, early);
      else assert.equal(answer.status, status, `${id}: ${answer.text}`);
      for (const name of namesOf(here)) {
        assert.ok(!answer.text.includes(name), `${id} tells of another tenant: ${name}`);
      }
    }
  };
  const isOwn = (id: OperationId): boolean => forStrangers[id] === 'own';
  await askOwn(guarded.filter((id) => isOwn(id) && !last.includes(id)));
  await assertRecorded(world.reader(elsewhere), async () => {
    const refusals: Refusal[] = [];
    for (const id of guarded.filter((each) => !isOwn(each))) {
      const code = forStrangers[id] as ErrorCode;
      const asker = askerFor(id, elsewhere);
      const answers: object[] = [];
      for (const target of [here, nowhere(here)]) {
        const answer = await askSample(world, id, target, asker.secret);
        assertRefused(id, answer, code);
        answers.push({ ...errorOf(answer), requestId: '' });
        refusals.push(refusal(id, asker, code));
      }
      assert.deepEqual(answers[0], answers[1], `${id} tells that the id exists`);
    }
    return refusals;
  });
  await askOwn(last.filter(isOwn));
  assert.deepEqual(await inventory(world, here), unchanged);
  const strangers = new Set(namesOf(elsewhere));
  const entries = await askLedger(world.reader(here));
  assert.ok(entries.every(({ actor }) => !strangers.has(actor ?? '')));
});
