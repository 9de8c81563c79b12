import assert from 'node:assert/strict';
import { createPublicKey } from 'node:crypto';
import { test } from 'node:test';
import { bytes, readVectors, withCode } from '../fixture.test.ts';
import {
  decodeExitKeys,
  encodeExitKey,
  encodePublicKey,
  exportSecret,
  firstOpened,
  generateKey,
  isExitReceipt,
  nextOpened,
  signExitReceipt,
  type CryptoErrorCode,
  type KeyAlgorithm,
  type KeyPlace,
} from '../index.ts';
import { ed25519PrivateKey } from '../signature.ts';

interface Vectors {
  readonly exit: string;
  readonly keys: readonly {
    readonly name: string;
    readonly kind: KeyPlace['kind'];
    readonly purpose: KeyPlace['purpose'];
    readonly algorithm: KeyAlgorithm;
    readonly tenant: string;
    readonly key: string;
    readonly version: string;
    readonly secret: string;
    readonly record: string;
  }[];
  readonly refused: readonly {
    readonly name: string;
    readonly record: string;
    readonly code: CryptoErrorCode;
  }[];
  readonly opened: { readonly pages: readonly string[]; readonly hashes: readonly string[] };
  readonly receipt: {
    readonly manifestHash: string;
    readonly seed: string;
    readonly verificationKey: string;
    readonly signature: string;
  };
}

const vectors = readVectors('tenant-exit') as Vectors;
const exit = bytes(vectors.exit);

for (const vector of vectors.keys) {
  test(`the record of ${vector.name} is read, and its probe tried [URS-050]`, () => {
    const [found, ...more] = decodeExitKeys(exit, bytes(vector.record));
    assert.ok(found);
    assert.equal(more.length, 0);
    const { place, key } = found;
    const hex = (id: Uint8Array): string => Buffer.from(id).toString('hex');
    assert.deepEqual(
      [place.kind, place.purpose, hex(place.tenantId), hex(place.keyId), hex(place.versionId)],
      [vector.kind, vector.purpose, vector.tenant, vector.key, vector.version],
    );
    assert.equal(hex(exportSecret(vector.algorithm, key)), vector.secret);
    const publicKey = key.type === 'private' ? encodePublicKey(key) : undefined;
    const [again] = decodeExitKeys(exit, encodeExitKey(exit, found, publicKey));
    assert.deepEqual(again?.place, place);
  });
}

for (const { name, record, code } of vectors.refused) {
  test(`${name} is refused [URS-050]`, () => {
    assert.throws(() => [...decodeExitKeys(exit, bytes(record))], withCode(code));
  });
}

test('several records stand in one page; those of another exit do not [URS-050]', () => {
  const page = Buffer.concat(vectors.keys.map(({ record }) => bytes(record)));
  assert.equal([...decodeExitKeys(exit, page)].length, vectors.keys.length);
  const other = Buffer.from(exit).fill(0);
  assert.throws(() => [...decodeExitKeys(other, page)], withCode('crypto.wrapped_key_invalid'));
});

test('a private key whose published key is another one is refused [URS-050]', () => {
  const record = vectors.keys.find(({ algorithm }) => algorithm === 'ED25519')?.record ?? assert.fail();
  const [found] = decodeExitKeys(exit, bytes(record));
  assert.ok(found);
  const publicKey = createPublicKey(generateKey('ED25519')).export({ format: 'der', type: 'spki' });
  const wrong = encodeExitKey(exit, found, publicKey);
  assert.throws(() => [...decodeExitKeys(exit, wrong)], withCode('crypto.wrapped_key_invalid'));
  assert.throws(() => encodeExitKey(exit, found), withCode('crypto.argument_invalid'));
});

test('the opened hash and the receipt over it are those of the vectors [URS-050]', () => {
  const { pages, hashes } = vectors.opened;
  let opened = firstOpened(exit);
  assert.equal(opened.toString('hex'), hashes[0]);
  for (const [index, page] of pages.entries()) {
    opened = nextOpened(opened, bytes(page));
    assert.equal(opened.toString('hex'), hashes[index + 1]);
  }
  const { manifestHash, seed, verificationKey, signature } = vectors.receipt;
  const said = { exit, manifestHash: bytes(manifestHash), opened };
  assert.equal(signExitReceipt(ed25519PrivateKey(bytes(seed)), said).toString('hex'), signature);
  const verifies = (of: typeof said): boolean => isExitReceipt(bytes(verificationKey), of, bytes(signature));
  assert.ok(verifies(said));
  for (const name of ['exit', 'manifestHash', 'opened'] as const) {
    const changed = Buffer.from(said[name]);
    changed[0] = (changed[0] ?? 0) ^ 1;
    assert.ok(!verifies({ ...said, [name]: changed }), name);
  }
});
