import assert from 'node:assert/strict';
import { createPublicKey, createVerify, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { flipped, withCode } from '../fixture.test.ts';
import { generateMessageSigner, openBytes, openMessage, sealBytes, sealMessage } from '../index.ts';
import { collect, freshOptions, headerOf, inChunks, partsOf, sealThreeFrames } from './fixture.test.ts';
import { parseVerificationKey } from './signature.ts';

const signed = (frameBytes?: number) => freshOptions({ frameBytes }, '0x0578');

test('what was sealed and signed opens byte-identical, in whatever chunks it comes [URS-047]', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 200 }),
      fc.integer({ min: 1, max: 100 }),
      fc.integer({ min: 1, max: 90 }),
      async (plaintext, frameBytes, size) => {
        const options = signed(frameBytes);
        const message = await collect(sealMessage(inChunks(plaintext, size), options));
        assert.equal(headerOf(message).suite, 0x0578);
        const dataKeyFor = () => options.dataKey;
        const chunks = inChunks(message, size);
        const opened = openMessage(chunks, { dataKeyFor, releaseBeforeSignature: true });
        assert.deepEqual(await collect(opened), Buffer.from(plaintext));
        assert.deepEqual(await openBytes(message, { dataKeyFor }), Buffer.from(plaintext));
      },
    ),
    { numRuns: 40 },
  );
});

test('the signature is ECDSA with SHA-384 over header and frames, by the key that the context holds', async () => {
  const { message } = await sealThreeFrames('0x0578');
  const { footer } = partsOf(message);
  const covered = message.subarray(0, message.length - footer.length);
  assert.equal(footer.readUInt16BE(0), footer.length - 2);
  const point = Buffer.from(headerOf(message).context['aws-crypto-public-key'] ?? '', 'base64');
  assert.equal(point.length, 49);
  const spki = Buffer.concat([Buffer.from('3046301006072a8648ce3d020106052b81040022033200', 'hex'), point]);
  const publicKey = createPublicKey({ key: spki, format: 'der', type: 'spki' });
  assert.equal(publicKey.asymmetricKeyDetails?.namedCurve, 'secp384r1');
  assert.ok(createVerify('sha384').update(covered).verify(publicKey, footer.subarray(2)));
});

test('a stream of a signed message is refused before a data key is asked for, unless told otherwise', async () => {
  const { message, dataKey, plaintext } = await sealThreeFrames('0x0578');
  for (const releaseBeforeSignature of [undefined, false]) {
    const dataKeyFor = () => assert.fail('asked for a data key');
    await assert.rejects(
      collect(openMessage([message], { dataKeyFor, releaseBeforeSignature })),
      withCode('crypto.signature_unchecked'),
    );
  }
  const opened = openMessage([message], { dataKeyFor: () => dataKey, releaseBeforeSignature: true });
  assert.deepEqual(await collect(opened), plaintext);
});

test('the last frame is released once the signature holds, and never where it does not [URS-046]', async () => {
  const plaintext = randomBytes(10_000);
  const { dataKey, ...options } = signed(4096);
  const message = await sealBytes(plaintext, { ...options, dataKey });
  const { header, frames, footer } = partsOf(message);
  const before: number[] = [];
  let releasedBytes = 0;
  function* source(): Generator<Uint8Array> {
    for (const part of [header, ...frames, footer]) {
      before.push(releasedBytes);
      yield part;
    }
  }
  const opening = { dataKeyFor: () => dataKey, releaseBeforeSignature: true };
  for await (const chunk of openMessage(source(), opening)) releasedBytes += chunk.length;
  assert.deepEqual(before, [0, 0, 4096, 8192, 8192]);
  assert.equal(releasedBytes, plaintext.length);

  const forged = flipped(message, message.length - 1);
  const released: Buffer[] = [];
  await assert.rejects(async () => {
    for await (const chunk of openMessage([forged], opening)) released.push(chunk);
  }, withCode('crypto.signature_invalid'));
  assert.deepEqual(Buffer.concat(released), plaintext.subarray(0, 8192));
  await assert.rejects(
    openBytes(forged, { dataKeyFor: () => dataKey }),
    withCode('crypto.signature_invalid'),
  );
});

test('who has the data key, but not the signing key, cannot change a signed message', async () => {
  const options = signed(16);
  const genuine = await sealBytes(randomBytes(40), options);
  const { signer: _, ...withoutSigner } = options;
  const { footer } = partsOf(genuine);
  // With the data key alone another message can be made, but under a context without the genuine public key.
  const { 'aws-crypto-public-key': publicKey, ...context } = options.context;
  assert.ok(publicKey !== undefined);
  const forger = generateMessageSigner();
  const forged = await sealBytes(randomBytes(40), {
    ...withoutSigner,
    context: forger.contextWith(context),
    signer: forger,
  });
  const dataKeyFor = () => options.dataKey;
  await assert.rejects(
    openBytes(forged, { dataKeyFor, requiredContext: options.context }),
    withCode('crypto.context_mismatch'),
  );
  const transplanted = Buffer.concat([partsOf(forged).header, ...partsOf(forged).frames, footer]);
  await assert.rejects(openBytes(transplanted, { dataKeyFor }), withCode('crypto.signature_invalid'));
});

test('a signer signs one message, its own, and has a key of its own', async () => {
  const options = signed(16);
  await sealBytes(Buffer.from('first'), options);
  assert.throws(() => sealMessage([], options), withCode('crypto.argument_invalid'));
  const copy = { ...generateMessageSigner() };
  const context = copy.contextWith({});
  assert.throws(
    () => sealMessage([], { ...freshOptions(), context, signer: copy }),
    withCode('crypto.argument_invalid'),
  );
  assert.notEqual(generateMessageSigner().verificationKey, generateMessageSigner().verificationKey);
});

test('the context of a signed message is the one that its data key was asked for with', () => {
  const signer = generateMessageSigner();
  const context = { study: 'TK-1' };
  assert.deepEqual(signer.contextWith(context), {
    study: 'TK-1',
    'aws-crypto-public-key': signer.verificationKey,
  });
  assert.deepEqual(context, { study: 'TK-1' });
  const invalid = withCode('crypto.context_invalid');
  assert.throws(() => signer.contextWith({ 'aws-crypto-public-key': signer.verificationKey }), invalid);
  const options = freshOptions();
  const other = generateMessageSigner();
  for (const change of [
    { signer },
    { signer, context: other.contextWith({}) },
    { signer, context: { ...signer.contextWith({}), 'aws-crypto-x': '' } },
    { context: signer.contextWith({}) },
  ]) {
    assert.throws(() => sealMessage([], { ...options, ...change }), invalid);
  }
  assert.doesNotThrow(() => sealMessage([], { ...options, signer, context: signer.contextWith(context) }));
});

test('only the one encoding of a point on the curve is a verification key', () => {
  const { verificationKey } = generateMessageSigner();
  const point = Buffer.from(verificationKey, 'base64');
  assert.equal(parseVerificationKey(verificationKey).asymmetricKeyType, 'ec');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.string(), (noise, text) => {
      for (const value of [Buffer.from(noise).toString('base64'), text, `${verificationKey}${text}`]) {
        if (value === verificationKey) continue;
        assert.throws(() => parseVerificationKey(value), withCode('crypto.context_invalid'));
      }
    }),
  );
  // Half of all x have a point, so that its negative, or none, is found behind an altered byte; never another form.
  for (let offset = 0; offset < point.length; offset += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const value = flipped(point, offset, bit).toString('base64');
      try {
        assert.ok(parseVerificationKey(value).asymmetricKeyType === 'ec' && (offset > 0 || bit === 0));
      } catch (error) {
        withCode('crypto.context_invalid')(error);
      }
    }
  }
});
