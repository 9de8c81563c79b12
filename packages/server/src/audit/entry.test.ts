import assert from 'node:assert/strict';
import { createHash, createSecretKey, randomBytes } from 'node:crypto';
import test from 'node:test';
import { CryptoError, commitPayload } from '@trialkeep/crypto';
import fc from 'fast-check';
import { idBytes } from '../platform/ids.ts';
import { entryBytes, openSealed, sealDraft } from './entry.ts';
import type { Draft } from './entry.ts';

const key = {
  key: createSecretKey(randomBytes(32)),
  keyVersionId: randomBytes(16),
  tenantId: randomBytes(16),
  keyId: randomBytes(16),
};
const draft: Draft = {
  operation: 'keys.encrypt',
  actor: 'a',
  role: 'service',
  outcome: 'success',
  recorded: {},
};

/** RFC 8785 for objects, strings, integers and booleans, as an oracle written apart: members sorted by UTF-16 units, no space. */
function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${canonical(member)}`);
  return `{${members.join(',')}}`;
}

test('an entry is canonical JSON whichever of its members are there [URS-032]', () => {
  const text = fc.string({ unit: 'grapheme' }).filter((value) => value.isWellFormed());
  const recorded = fc.record(
    {
      approval: text,
      attested: fc.record(
        {
          use: fc.constantFrom('seal' as const, 'open' as const),
          count: fc.nat(),
          time: fc.nat(),
          sequence: fc.nat(),
          recipient: text,
        },
        { requiredKeys: ['use', 'count', 'time', 'sequence'] },
      ),
      credential: text,
      dataKey: text,
      gap: fc.record({ to: fc.nat(), from: fc.nat() }),
      hash: text,
      key: text,
      person: text,
      recipientPeriodDays: fc.nat(),
      reporter: text,
      rotationPeriodDays: fc.nat(),
      session: text,
      signature: text,
      size: fc.nat(),
      version: fc.nat(),
      study: text,
      system: text,
      subject: text,
      class: text,
      purpose: text,
      reason: text,
      state: text,
      useLogged: fc.constant(true as const),
    },
    { requiredKeys: [] },
  );
  fc.assert(
    fc.property(recorded, fc.nat(), fc.boolean(), (fields, time, denied) => {
      const sealed = sealDraft({ ...draft, recorded: fields }, 'log', {}, key);
      const bytes = Buffer.from(entryBytes(sealed, time, denied ? 'key.unusable' : undefined)).toString(
        'utf8',
      );
      assert.equal(bytes, canonical(JSON.parse(bytes)));
      assert.equal((JSON.parse(bytes) as { outcome: string }).outcome, denied ? 'refused' : 'success');
    }),
    { numRuns: 50 },
  );
});

test('a payload opens to what was committed, and only in its own log and entry [URS-032] [URS-037]', () => {
  const sealed = sealDraft(draft, 'log', { reason: 'free text' }, key);
  const { id: entry, commitment, ciphertext } = sealed;
  const opened = openSealed({ origin: 'log', entry, commitment, ciphertext }, key);
  assert.ok(opened);
  assert.equal(opened.content, '{"reason":"free text"}');
  const committed = commitPayload(opened.blinding, idBytes(entry), Buffer.from(opened.content));
  assert.equal(committed.toString('hex'), commitment, 'whoever has both can check it');
  assert.equal(sealed.payloadHash, createHash('sha256').update(ciphertext).digest('hex'));
  assert.throws(() => openSealed({ origin: 'other', entry, commitment, ciphertext }, key), CryptoError);
  const other = sealDraft(draft, 'log', { reason: 'free text' }, key);
  assert.throws(
    () => openSealed({ origin: 'log', entry: other.id, commitment, ciphertext }, key),
    CryptoError,
  );
  const swapped = { origin: 'log', entry, commitment: other.commitment, ciphertext };
  assert.equal(openSealed(swapped, key), undefined);
});

test('what happened is recorded even where its payload is too long to keep [URS-032]', () => {
  const sealed = sealDraft(draft, 'log', { input: 'x'.repeat(100_000) }, key);
  const opened = openSealed({ ...sealed, origin: 'log', entry: sealed.id }, key);
  const { omitted } = JSON.parse(opened?.content ?? '{}') as { omitted: { bytes: number } };
  assert.equal(omitted.bytes, 100_012);
});
