import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { createEscrowKey, openEscrowKey } from '@trialkeep/crypto';
import { approveAndRun, arrange, askFor, plaintext, rejection } from '../dual-control.fixture.test.ts';
import type { Arranged } from '../dual-control.fixture.test.ts';
import { makeServer, makeService } from '../fixture.test.ts';

const reason = 'The investigator keeps control of the source data.';
const passphrase = 'six words that nobody has drawn';
/** As cheap as the registry allows. */
const cost = { m: 19_456, t: 2 };

const newParty = () => createEscrowKey({ name: 'Site 12', passphrase, timeMs: Date.now(), cost });

async function register(
  arranged: Arranged,
  more: { study?: string; system?: string; covers?: 'all' | 'investigator-controlled' } = {},
) {
  const { publicFile, privateFile } = await newParty();
  const input = {
    name: 'Site 12',
    recipient: publicFile,
    covers: 'investigator-controlled',
    reason,
    ...more,
  } as const;
  await approveAndRun(arranged, await askFor(arranged, 'second-recipients.register', input));
  const { recipients } = await arranged.server.admit('second-recipients.list', arranged.custodian, {});
  const { identity } = await openEscrowKey(privateFile, passphrase);
  return { recipient: recipients.at(-1) ?? assert.fail(), identity };
}

/** A tenant with people, and a service with a key that protects. */
async function arrangeUser(t: Parameters<typeof makeServer>[0]) {
  const arranged = await arrange(await makeServer(t));
  const { server, custodian, system } = arranged;
  const { id: key } = await server.admit('keys.create', custodian, { system });
  const service = await makeService(server, custodian, system, [key]);
  return { ...arranged, key, service };
}

const context = { class: 'investigator-controlled' };

test('a data key of the class leaves only with a copy that the second recipient opens alone [URS-083]', async (t) => {
  const arranged = await arrangeUser(t);
  const { server, tenant, key, service } = arranged;
  const before = await server.admit('keys.generate-data-key', service, { key, context });
  assert.deepEqual(before.recipients, []);
  const { recipient, identity } = await register(arranged);
  for (const id of ['keys.generate-data-key', 'keys.generate-wrapped-data-key'] as const) {
    assert.equal(
      (await rejection(server.admit(id, service, { key, context }))).code,
      'second_recipient.required',
    );
  }
  const made = await server.admit('keys.generate-data-key', service, { key, context, recipients: true });
  const [copy, ...others] = made.recipients;
  assert.deepEqual([copy?.id, copy?.name, others.length], [recipient.id, 'Site 12', 0]);
  const opened = await identity.unwrap(
    {
      providerId: copy?.providerId ?? '',
      providerInfo: Buffer.from(copy?.providerInfo ?? '', 'base64'),
      ciphertext: Buffer.from(copy?.ciphertext ?? '', 'base64'),
    },
    context,
  );
  assert.equal(opened?.toString('base64'), made.plaintext);
  const entries = await server.entries(tenant);
  const [refused, done] = [entries.at(-2), entries.at(-1)] as unknown as {
    recipients: string[];
    code?: string;
  }[];
  assert.deepEqual([refused?.code, refused?.recipients], ['second_recipient.required', [recipient.id]]);
  assert.deepEqual(done?.recipients, [recipient.id]);
});

test('what only the server could open is refused where a second recipient is demanded [URS-083]', async (t) => {
  const arranged = await arrangeUser(t);
  const { server, key, service } = arranged;
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext, context });
  await register(arranged);
  const required = { code: 'second_recipient.required' };
  await assert.rejects(server.admit('keys.encrypt', service, { key, plaintext, context }), required);
  const pair = { key, algorithm: 'ECC_NIST_P256', context } as const;
  await assert.rejects(server.admit('keys.generate-data-key-pair', service, pair), required);
  const again = { key, target: key, ciphertext, context, targetContext: context };
  await assert.rejects(server.admit('keys.re-encrypt', service, again), required);
  // What was encrypted before stays readable, and other classes are not concerned.
  assert.equal(
    (await server.admit('keys.decrypt', service, { key, ciphertext, context })).plaintext,
    plaintext,
  );
  await server.admit('keys.encrypt', service, { key, plaintext, context: { class: 'audit' } });
});

test('a recipient covers its study and its system, and all that is in them where it is to [URS-083]', async (t) => {
  const arranged = await arrangeUser(t);
  const { server, custodian, system, key, service } = arranged;
  const { id: study } = await server.admit('studies.create', custodian, { protocol: 'P-1', title: 'One' });
  const { id: other } = await server.admit('studies.create', custodian, { protocol: 'P-2', title: 'Two' });
  await register(arranged, { study, system, covers: 'all' });
  const demanded = async (of: Record<string, string>) =>
    (await server.admit('keys.generate-data-key', service, { key, context: of, recipients: true })).recipients
      .length;
  assert.equal(await demanded({ study }), 1);
  assert.equal(await demanded({ study: other }), 0);
  assert.equal(await demanded({}), 0);
  const { id: ctms } = await server.admit('systems.create', custodian, {
    name: 'ctms',
    type: 'ctms',
    vendor: 'vendor',
  });
  const { id: foreign } = await server.admit('keys.create', custodian, { system: ctms });
  const ofCtms = await makeService(server, custodian, ctms, [foreign]);
  const made = await server.admit('keys.generate-data-key', ofCtms, { key: foreign, context: { study } });
  assert.deepEqual(made.recipients, []);
});

test('a second recipient is removed by approval, and what was sealed to it stays open to it [URS-010] [URS-083]', async (t) => {
  const arranged = await arrangeUser(t);
  const { server, custodian, key, service, tenant } = arranged;
  const { recipient, identity } = await register(arranged);
  const made = await server.admit('keys.generate-data-key', service, { key, context, recipients: true });
  const approval = await askFor(arranged, 'second-recipients.remove', { recipient: recipient.id, reason });
  const required = { code: 'second_recipient.required' };
  await assert.rejects(server.admit('keys.generate-data-key', service, { key, context }), required);
  await approveAndRun(arranged, approval);
  assert.deepEqual(
    (await server.admit('keys.generate-data-key', service, { key, context, recipients: true })).recipients,
    [],
  );
  const [copy] = made.recipients;
  assert.ok(copy);
  const bytes = (text: string) => Buffer.from(text, 'base64');
  const sealed = { ...copy, providerInfo: bytes(copy.providerInfo), ciphertext: bytes(copy.ciphertext) };
  assert.equal((await identity.unwrap(sealed, context))?.toString('base64'), made.plaintext);
  const { recipients } = await server.admit('second-recipients.list', custodian, {});
  assert.deepEqual(
    recipients.map(({ state }) => state),
    ['removed'],
  );
  const entry = (await server.entries(tenant)).findLast(
    ({ operation, outcome }) => operation === 'second-recipients.remove' && outcome === 'success',
  ) as unknown as { recipients: string[]; state: string };
  assert.deepEqual([entry.recipients, entry.state], [[recipient.id], 'removed']);
  const twice = await rejection(
    server.admit('second-recipients.remove', arranged.requester.session, { recipient: recipient.id, reason }),
  );
  assert.equal(twice.code, 'second_recipient.removed');
});

test('a file that is no public file, an altered one, and things of nobody are refused before people are asked [URS-083]', async (t) => {
  const arranged = await arrangeUser(t);
  const { server, requester } = arranged;
  const { publicFile } = await newParty();
  const ask = (more: object) =>
    rejection(
      server.admit('second-recipients.register', requester.session, {
        ...{ name: 'Site', recipient: publicFile, covers: 'all', reason },
        ...more,
      }),
    );
  for (const recipient of ['{}', 'not a file', `${publicFile} `, publicFile.replace('Site 12', 'Site 13')]) {
    assert.equal((await ask({ recipient })).code, 'second_recipient.key_invalid', recipient.slice(0, 20));
  }
  assert.equal((await ask({ study: randomUUID() })).code, 'study.unknown');
  assert.equal((await ask({ system: randomUUID() })).code, 'system.unknown');
  const unknown = { recipient: randomUUID(), reason };
  const refused = await rejection(server.admit('second-recipients.remove', requester.session, unknown));
  assert.equal(refused.code, 'second_recipient.unknown');
});

test('a row of a second recipient that somebody has altered is not believed [URS-083]', async (t) => {
  const arranged = await arrangeUser(t);
  const { server, tenant, key, service } = arranged;
  await register(arranged);
  await server.instance.database.write((tx) =>
    tx.updateTable('second_recipient').set({ state: 'removed' }).execute(),
  );
  const altered = { code: 'server.data_altered' };
  await assert.rejects(server.admit('second-recipients.list', arranged.custodian, {}), altered);
  // The facts of before hold until a change.
  await server.admit('keys.create', arranged.custodian, { system: arranged.system });
  await assert.rejects(server.admit('keys.generate-data-key', service, { key, context }), altered);
  assert.ok((await server.entries(tenant)).length > 0);
});
