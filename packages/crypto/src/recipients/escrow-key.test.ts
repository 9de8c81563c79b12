import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { bytes, flipped, named, readVectors, withCode } from '../fixture.test.ts';
import {
  createEscrowKey,
  ed25519PublicKey,
  openEscrowKey,
  parseEscrowRecipient,
  signEd25519,
  verifyEd25519,
  type CryptoErrorCode,
  type EscrowProfile,
} from '../index.ts';
import { escrowProfiles, passwordHashes } from '../registry.ts';
import { ed25519Seed } from '../signature.ts';

interface FileVector {
  name: string;
  passphrase: string;
  /** hexadecimal */
  privateKey: string;
  signingSeed: string;
  publicFile: string;
  privateFile: string;
}
interface Vectors {
  files: FileVector[];
  /** the file of the vector `of` in which `from`, or all of it, is replaced by `to` */
  refused: {
    name: string;
    of: string;
    as: 'key' | 'recipient';
    from?: string;
    to: string;
    code: CryptoErrorCode;
  }[];
}

const vectors = readVectors('escrow-key') as Vectors;
const passphrase = 'correct horse battery staple';
const timeMs = Date.UTC(2026, 2, 1, 12);
/** The lowest that the registry accepts, so that tests are fast. */
const cheap = {
  evaluation: { m: passwordHashes.argon2id.cost.m.minimum, t: passwordHashes.argon2id.cost.t.minimum },
  regulated: { i: passwordHashes['pbkdf2-sha512'].cost.i.minimum },
};
const profiles = Object.keys(escrowProfiles) as EscrowProfile[];

function create(profile: EscrowProfile = 'evaluation', name = 'Sponsor archive') {
  return createEscrowKey({ name, passphrase, profile, timeMs, cost: cheap[profile] });
}

for (const profile of profiles) {
  test(`${profile}: what is sealed to the public file opens with private file and passphrase [URS-054]`, async () => {
    const { publicFile, privateFile, id } = await create(profile);
    const { recipient, ...told } = await parseEscrowRecipient(publicFile);
    assert.equal(told.id, id);
    assert.equal(Buffer.from(recipient.id).toString('hex'), id);
    assert.equal(told.name, 'Sponsor archive');
    assert.equal(told.createdAt, '2026-03-01T12:00:00.000Z');
    assert.equal(told.suite, escrowProfiles[profile].suite);
    const key = await openEscrowKey(privateFile, passphrase);
    assert.equal(key.publicFile, publicFile);
    assert.equal(key.publicPart.id, id);
    assert.deepEqual(ed25519PublicKey(key.signer), Buffer.from(told.verificationKey));
    const list = Buffer.from('what was opened');
    assert.ok(verifyEd25519(told.verificationKey, list, signEd25519(key.signer, list)));

    const dataKey = randomBytes(32);
    const encrypted = await recipient.wrap(dataKey, { study: 'A' });
    assert.deepEqual(await key.identity.unwrap(encrypted, { study: 'A' }), dataKey);
    const again = await key.publicPart.recipient.wrap(dataKey, {});
    assert.deepEqual(await key.identity.unwrap(again, {}), dataKey);
  });
}

test('vectors of a second implementation: what opens [URS-054]', async () => {
  for (const vector of vectors.files) {
    const { signer, publicFile, publicPart } = await openEscrowKey(vector.privateFile, vector.passphrase);
    assert.deepEqual(ed25519Seed(signer), bytes(vector.signingSeed), vector.name);
    assert.equal(publicFile, vector.publicFile);
    assert.equal((await parseEscrowRecipient(vector.publicFile)).id, publicPart.id);
  }
});

test('vectors of a second implementation: what is refused', async () => {
  for (const { name, of, as, from, to, code } of vectors.refused) {
    const vector = named(vectors.files, of);
    const file = as === 'key' ? vector.privateFile : vector.publicFile;
    assert.ok(from === undefined || file.includes(from), name);
    const altered = from === undefined ? to : file.replace(from, () => to);
    assert.notEqual(altered, file);
    const reading = as === 'key' ? openEscrowKey(altered, vector.passphrase) : parseEscrowRecipient(altered);
    await assert.rejects(reading, withCode(code), name);
  }
});

test('another passphrase does not open; the same in another Unicode form does', async () => {
  const { privateFile, passphrase: right } = named(vectors.files, 'regulated');
  assert.notEqual(right.normalize('NFC'), right);
  await openEscrowKey(privateFile, right.normalize('NFC'));
  for (const wrong of [`${right} `, right.toUpperCase(), 'x']) {
    await assert.rejects(openEscrowKey(privateFile, wrong), withCode('crypto.passphrase_wrong'));
  }
  for (const invalid of ['', '\ud800', 'x'.repeat(5000)]) {
    await assert.rejects(openEscrowKey(privateFile, invalid), withCode('crypto.password_invalid'));
  }
});

test('no byte of a public file can be altered', async () => {
  const { publicFile } = named(vectors.files, 'regulated');
  const file = Buffer.from(publicFile);
  for (let offset = 0; offset < file.length; offset += 1) {
    // Only bits that leave ASCII text, most of which still is JSON.
    const altered = flipped(file, offset, offset % 5).toString();
    await assert.rejects(
      parseEscrowRecipient(altered),
      withCode(
        'crypto.escrow_key_malformed',
        'crypto.algorithm_unknown',
        'crypto.version_unknown',
        'crypto.public_key_invalid',
      ),
      `byte ${offset}`,
    );
  }
});

test('a file of any length is refused without being read as a whole', async () => {
  for (const text of [' '.repeat(20_000), '['.repeat(16_384), '{"a":'.repeat(3000), 'x'.repeat(10_000_000)]) {
    await assert.rejects(parseEscrowRecipient(text), withCode('crypto.escrow_key_malformed'));
    await assert.rejects(openEscrowKey(text, passphrase), withCode('crypto.escrow_key_malformed'));
  }
});

test('two pairs differ in everything that is random; neither file holds a secret in clear', async () => {
  const [one, two] = [await create(), await create()];
  assert.notEqual(one.id, two.id);
  const [first, second] = [JSON.parse(one.privateFile), JSON.parse(two.privateFile)] as {
    derivation: { salt: string };
    sealed: string;
  }[];
  assert.notEqual(first?.derivation.salt, second?.derivation.salt);
  assert.notEqual(first?.sealed, second?.sealed);
  const { privateKey, signingSeed, publicFile, privateFile } = named(vectors.files, 'evaluation');
  for (const secret of [privateKey, signingSeed]) {
    for (const encoded of [secret, bytes(secret).toString('base64url'), bytes(secret).toString('latin1')]) {
      assert.ok(!publicFile.includes(encoded) && !privateFile.includes(encoded));
    }
  }
});

test('names, passphrases, times, profiles and costs that are not accepted', async () => {
  const right = { name: 'x', passphrase, timeMs, cost: cheap.evaluation };
  const invalid = withCode('crypto.argument_invalid');
  for (const name of [
    '',
    ' x',
    'x\u00a0',
    'a\nb',
    'a\u202eb',
    'a\u200bb',
    'e\u0301',
    'x'.repeat(101),
    '\ud800',
  ]) {
    await assert.rejects(createEscrowKey({ ...right, name }), invalid);
  }
  for (const time of [-1, 0.5, NaN, Infinity, 8.64e15]) {
    await assert.rejects(createEscrowKey({ ...right, timeMs: time }), invalid);
  }
  for (const cost of [{ m: 8 }, { m: 1_048_576 }, { t: 2.5 }, { i: 210_000 }] as Record<string, number>[]) {
    await assert.rejects(createEscrowKey({ ...right, cost }), invalid);
  }
  for (const [weak, code] of [
    ['fourteen chars', 'crypto.passphrase_too_short'],
    ['', 'crypto.password_invalid'],
    ['\ud800'.repeat(20), 'crypto.password_invalid'],
  ] as const) {
    await assert.rejects(createEscrowKey({ ...right, passphrase: weak }), withCode(code));
  }
  for (const profile of ['fips', 'constructor', '__proto__'] as string[]) {
    await assert.rejects(
      createEscrowKey({ ...right, profile: profile as EscrowProfile }),
      withCode('crypto.algorithm_unknown'),
    );
  }
});

test('the costs of the profiles are within the bounds that a reader accepts', () => {
  for (const { algorithm, cost } of Object.values(escrowProfiles)) {
    const bounds: Record<string, { minimum: number; maximum: number }> = passwordHashes[algorithm].cost;
    assert.deepEqual(Object.keys(cost), Object.keys(bounds));
    for (const [name, value] of Object.entries(cost)) {
      const bound = bounds[name];
      assert.ok(bound && value >= bound.minimum && value <= bound.maximum, name);
    }
  }
});
