import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { approveAndRun, arrange as arrangePeople, askFor } from '../dual-control.fixture.test.ts';
import { makeService, makeTenant, refusal, shareServer } from '../fixture.test.ts';

const shared = shareServer();
const plaintext = Buffer.from('a value').toString('base64');

/** A tenant with two keys that one service uses, a study and two subjects. */
async function arrange() {
  const server = await shared();
  const made = await makeTenant(server);
  const { custodian, system, key: source } = made;
  const { id: target } = await server.admit('keys.create', custodian, { system });
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-1' });
  const subjects: string[] = [];
  for (const number of ['001', '002']) {
    subjects.push((await server.admit('subjects.create', custodian, { study, number })).alias);
  }
  const service = await makeService(server, custodian, system, [source, target]);
  return {
    ...made,
    server,
    source,
    target,
    study,
    subject: subjects[0] ?? '',
    other: subjects[1] ?? '',
    service,
  };
}

test('what is re-encrypted opens under the other key and context alone, and both keys have their entry [URS-003] [URS-032]', async () => {
  const { server, tenant, source, target, study, subject, service } = await arrange();
  const context = { study, class: 'ecg' };
  const targetContext = { study, subject, class: 'ecg' };
  const { ciphertext } = await server.admit('keys.encrypt', service, { key: source, plaintext, context });
  const moved = await server.admit('keys.re-encrypt', service, {
    key: source,
    ciphertext,
    context,
    target,
    targetContext,
  });
  assert.deepEqual([moved.key, moved.target, moved.version, moved.targetVersion], [source, target, 1, 1]);
  const entries = (await server.entries(tenant)).filter(({ operation }) => operation === 'keys.re-encrypt');
  const said = new Map(
    entries.map(({ key, outcome, version, study: of, subject: whose }) => [
      key,
      [outcome, version, of, whose],
    ]),
  );
  assert.equal(entries.length, 2);
  assert.deepEqual(said.get(source), ['success', 1, study, undefined]);
  assert.deepEqual(said.get(target), ['success', 1, study, subject]);
  const opened = await server.admit('keys.decrypt', service, {
    key: target,
    ciphertext: moved.ciphertext,
    context: targetContext,
  });
  assert.equal(opened.plaintext, plaintext);
  const invalid = refusal('ciphertext.invalid');
  for (const [key, bound] of [
    [source, targetContext],
    [target, context],
  ] as const) {
    const wrong = { key, ciphertext: moved.ciphertext, context: bound };
    await assert.rejects(server.admit('keys.decrypt', service, wrong), invalid);
  }
});

test('re-encrypting never takes data out of the reach of forgetting, nor to a key of others [URS-012] [URS-049]', async () => {
  const { server, tenant, custodian, system, source, target, study, subject, other, service } =
    await arrange();
  const context = { study, subject };
  const { ciphertext } = await server.admit('keys.encrypt', service, { key: source, plaintext, context });
  const move = (targetContext: Record<string, string>, who = service, to = target) =>
    server.admit('keys.re-encrypt', who, { key: source, ciphertext, context, target: to, targetContext });
  await assert.rejects(move({}), refusal('context.invalid'));
  await assert.rejects(move({ study }), refusal('context.invalid'));
  await assert.rejects(move({ study, subject: other }), refusal('context.invalid'));
  const foreign = await makeTenant(server);
  await assert.rejects(move(context, service, foreign.key), refusal('key.unknown'));
  const single = await makeService(server, custodian, system, [source]);
  await assert.rejects(move(context, single), refusal('key.unknown'));
  await server.admit('keys.suspend', custodian, { key: target, reason: 'test' });
  await assert.rejects(move(context), refusal('key.unusable'));
  const entries = (await server.entries(tenant)).filter(({ operation }) => operation === 'keys.re-encrypt');
  assert.ok(entries.length === 6 && entries.every(({ outcome }) => outcome === 'refused'));
  assert.deepEqual(new Set(entries.map(({ key }) => key)), new Set([source]));
});

test('the two entries of a re-encryption are of two kinds, and the erasure of the subject leaves nothing of its context in any payload [URS-032] [URS-006]', async () => {
  const server = await shared();
  const arranged = await arrangePeople(server);
  const { custodian, system, tenant } = arranged;
  const [{ id: source }, { id: target }] = [
    await server.admit('keys.create', custodian, { system }),
    await server.admit('keys.create', custodian, { system }),
  ];
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-1' });
  const { alias: subject } = await server.admit('subjects.create', custodian, { study, number: '001' });
  const service = await makeService(server, custodian, system, [source, target]);
  const context = { study, class: 'ecg' };
  const targetContext = { study, subject, class: 'lab' };
  const { ciphertext } = await server.admit('keys.encrypt', service, { key: source, plaintext, context });
  const input = { key: source, ciphertext, context, target, targetContext };
  await server.admit('keys.re-encrypt', service, input);
  const wrong = { ...input, targetContext: { ...targetContext, class: 'not a word' } };
  await assert.rejects(server.admit('keys.re-encrypt', service, wrong), refusal('context.invalid'));
  const free = { ...input, targetContext: { study, class: 'not a word' } };
  await assert.rejects(server.admit('keys.re-encrypt', service, free), refusal('context.invalid'));

  const entries = (await server.entries(tenant)).filter(({ operation }) => operation === 'keys.re-encrypt');
  assert.deepEqual(
    entries.map(({ key, outcome, source: from }) => [key, outcome, from]),
    [
      [source, 'success', undefined],
      [target, 'success', source],
      [source, 'refused', undefined],
      [source, 'refused', undefined],
    ],
  );
  const question = { operation: 'keys.re-encrypt', outcome: 'success' } as const;
  const answer = await server.admit('questions.answer', custodian, question);
  assert.deepEqual(
    answer.entries.map(({ kind }) => kind),
    ['decryption-observed', 'encryption-observed'],
  );
  const payloadOf = async (i: number): Promise<string> => {
    const entry = String(entries[i]?.['entry']);
    return JSON.stringify((await server.admit('ledger.payload', custodian, { entry })).payload);
  };
  assert.match(await payloadOf(1), /"targetContext":[^}]*lab/);
  assert.match(await payloadOf(3), /"targetContext":[^}]*not a word/);

  await approveAndRun(
    arranged,
    await askFor(arranged, 'subjects.erase', { study, alias: subject, reason: 'test' }),
  );
  await assert.rejects(payloadOf(1), refusal('payload.erased'));
  for (const i of [0, 2]) {
    const said = await payloadOf(i);
    assert.ok(said.includes(target) && said.includes('ecg'));
    for (const word of [subject, 'lab', 'not a word']) assert.ok(!said.includes(word), word);
  }
});

test('a key pair for the caller: its private key opens as what its public key belongs to [URS-045] [URS-046]', async () => {
  const { server, source, study, subject, service } = await arrange();
  const context = { study, subject };
  for (const algorithm of ['ECC_NIST_P256', 'ECC_NIST_P384', 'ED25519', 'X25519', 'RSA_3072'] as const) {
    const pair = await server.admit('keys.generate-data-key-pair', service, {
      key: source,
      algorithm,
      context,
    });
    const again = await server.admit('keys.decrypt', service, {
      key: source,
      ciphertext: pair.ciphertext,
      context,
    });
    assert.equal(again.plaintext, pair.privateKey);
    const privateKey = createPrivateKey({
      key: Buffer.from(pair.privateKey, 'base64'),
      format: 'der',
      type: 'pkcs8',
    });
    const publicKey = createPublicKey(privateKey).export({ format: 'der', type: 'spki' });
    assert.equal(publicKey.toString('base64'), pair.publicKey);
  }
  const input = { key: source, algorithm: 'ED25519', context } as const;
  const wrapped = await server.admit('keys.generate-wrapped-data-key-pair', service, input);
  assert.ok(!('privateKey' in wrapped));
});

test('a data key that left wrapped is released later, and a use-logged key makes no pairs [URS-046] [URS-038]', async () => {
  const { server, custodian, system, source, study, subject, service } = await arrange();
  const context = { study, subject };
  const made = await server.admit('keys.generate-wrapped-data-key', service, { key: source, context });
  assert.ok(!('plaintext' in made));
  const input = { key: source, ciphertext: made.ciphertext, context };
  const { plaintext: released } = await server.admit('keys.decrypt-data-key', service, input);
  assert.equal(Buffer.from(released, 'base64').length, 32);
  const { id: logged } = await server.admit('keys.create', custodian, { system, useLogged: true });
  const who = await makeService(server, custodian, system, [logged]);
  const pair = { key: logged, algorithm: 'ED25519', context } as const;
  await assert.rejects(server.admit('keys.generate-data-key-pair', who, pair), refusal('key.use_logged'));
});
