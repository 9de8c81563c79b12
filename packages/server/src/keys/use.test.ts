import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { makeService, makeTenant, refusal, shareServer } from '../fixture.test.ts';

const shared = shareServer();
const plaintext = Buffer.from('a value').toString('base64');
const invalid = refusal('ciphertext.invalid');

/** A tenant with a study and a subject. */
async function arrange() {
  const server = await shared();
  const made = await makeTenant(server);
  const { id: study } = await server.admit('studies.create', made.custodian, { protocol: 'P-1' });
  const { alias } = await server.admit('subjects.create', made.custodian, { study, number: '001' });
  return { server, ...made, study, subject: alias };
}

test('what was encrypted decrypts byte-identical under its own context, and under no other [URS-047] [URS-046]', async () => {
  const { server, key, service, study, subject } = await arrange();
  const contexts = fc.constantFrom<Record<string, string>>(
    {},
    { class: 'ecg' },
    { study },
    { study, subject },
    { study, subject, class: 'ecg' },
  );
  const content = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('base64'));
  await fc.assert(
    fc.asyncProperty(content, contexts, contexts, async (plaintext, context, other) => {
      const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext, context });
      const opened = await server.admit('keys.decrypt', service, { key, ciphertext, context });
      assert.equal(opened.plaintext, plaintext);
      if (JSON.stringify(other) === JSON.stringify(context)) return;
      await assert.rejects(
        server.admit('keys.decrypt', service, { key, ciphertext, context: other }),
        invalid,
      );
    }),
    { numRuns: 30 },
  );
});

test('an altered ciphertext never opens, and says nothing of why [URS-046]', async () => {
  const { server, key, service } = await arrange();
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext });
  const bytes = Buffer.from(ciphertext, 'base64');
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(7), fc.nat(bytes.length), async (at, bit, end) => {
      const flipped = Buffer.from(bytes);
      flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << bit), at);
      const longer = Buffer.concat([bytes, Buffer.of(0)]);
      for (const altered of [flipped, longer, bytes.subarray(0, Math.min(end, bytes.length - 1))]) {
        const input = { key, ciphertext: altered.toString('base64') };
        await assert.rejects(server.admit('keys.decrypt', service, input), invalid);
      }
    }),
    { numRuns: 25 },
  );
});

test("another key's ciphertext does not open, nor another tenant's, whoever asks [URS-049] [URS-012]", async () => {
  const { server, custodian, system, key, service } = await arrange();
  const other = await makeTenant(server);
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext });
  const { id: second } = await server.admit('keys.create', custodian, { system });
  const both = await makeService(server, custodian, system, [key, second]);
  await assert.rejects(server.admit('keys.decrypt', both, { key: second, ciphertext }), invalid);
  await assert.rejects(server.admit('keys.decrypt', other.service, { key: other.key, ciphertext }), invalid);
  const unknown = refusal('key.unknown');
  await assert.rejects(server.admit('keys.decrypt', other.service, { key, ciphertext }), unknown);
  await assert.rejects(server.admit('keys.encrypt', other.service, { key, plaintext }), unknown);
  await assert.rejects(server.admit('keys.show', other.custodian, { key }), unknown);
  await assert.rejects(server.admit('keys.encrypt', service, { key: second, plaintext }), unknown);
});

test("a context that names another tenant's study or subject is refused as unknown [URS-049]", async () => {
  const one = await arrange();
  const two = await arrange();
  const { server } = one;
  const encrypt = (context: Record<string, string>) =>
    server.admit('keys.encrypt', two.service, { key: two.key, plaintext, context });
  await assert.rejects(encrypt({ study: one.study }), refusal('study.unknown'));
  await assert.rejects(encrypt({ study: one.study, subject: one.subject }), refusal('study.unknown'));
  await assert.rejects(encrypt({ study: two.study, subject: one.subject }), refusal('subject.unknown'));
});

test('a data key opens as a data key and not as a ciphertext, nor the reverse [URS-046]', async () => {
  const { server, key, service, study, subject } = await arrange();
  const context = { study, subject };
  const made = await server.admit('keys.generate-data-key', service, { key, context });
  const { ciphertext } = await server.admit('keys.encrypt', service, {
    key,
    plaintext: made.plaintext,
    context,
  });
  const released = await server.admit('keys.decrypt-data-key', service, {
    key,
    ciphertext: made.ciphertext,
    context,
  });
  assert.equal(released.plaintext, made.plaintext);
  assert.equal(Buffer.from(made.plaintext, 'base64').length, 32);
  await assert.rejects(
    server.admit('keys.decrypt', service, { key, ciphertext: made.ciphertext, context }),
    invalid,
  );
  await assert.rejects(server.admit('keys.decrypt-data-key', service, { key, ciphertext, context }), invalid);
  const again = await server.admit('keys.generate-data-key', service, { key, context });
  assert.notEqual(again.plaintext, made.plaintext);
});

test('64 KiB are encrypted, one byte more is refused and recorded [URS-032] [URS-046]', async () => {
  const { server, tenant, key, service, study, subject } = await arrange();
  const most = Buffer.alloc(65_536, 7).toString('base64');
  const { ciphertext } = await server.admit('keys.encrypt', service, { key, plaintext: most });
  assert.equal((await server.admit('keys.decrypt', service, { key, ciphertext })).plaintext, most);
  const more = Buffer.alloc(65_537, 7).toString('base64');
  await assert.rejects(server.admit('keys.encrypt', service, { key, plaintext: more }), (error: Error) =>
    /^request\.(invalid|too_large)$/.test((error as unknown as { code: string }).code),
  );
  const refused = (await server.entries(tenant)).at(-1);
  assert.deepEqual([refused?.['operation'], refused?.['outcome']], ['keys.encrypt', 'refused']);
  // A subject's layer takes 98 bytes of its own.
  const context = { study, subject };
  const inner = Buffer.alloc(65_536 - 98, 7).toString('base64');
  await server.admit('keys.encrypt', service, { key, plaintext: inner, context });
});
