import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { test } from 'node:test';
import { requireChain } from './chain.ts';
import type { Certificate } from './certificate.ts';
import { nodeTimestampPrimitives as primitives } from './primitives.ts';

const time = Date.UTC(2026, 10, 22);
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A certificate as it was read, signed by `issuer` with ECDSA. */
function certificate(subject: string, publicKey: KeyObject, issuer?: KeyObject): Certificate {
  const whole = bytesOf(`${subject} ${publicKey.asymmetricKeyType}`);
  return {
    whole,
    signed: whole,
    scheme: { scheme: 'ECDSA', hash: 'SHA-256', saltBytes: 0 },
    signature: issuer === undefined ? new Uint8Array(72) : sign('sha256', whole, issuer),
    issuer: bytesOf('root'),
    subject: bytesOf(subject),
    serial: Uint8Array.of(1),
    notBefore: time - 1,
    notAfter: time + 1,
    publicKey: publicKey.export({ format: 'der', type: 'spki' }),
    extensions: { unknownCritical: [] },
  };
}

test('an old root that is too weak does not hide the new one of the same name [URS-035]', async () => {
  const root = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const old = [
    generateKeyPairSync('rsa', { modulusLength: 1024 }),
    generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
    generateKeyPairSync('ed25519'),
  ].map(({ publicKey }) => certificate('root', publicKey));
  const signer = certificate('signer', root.publicKey, root.privateKey);
  const present = certificate('root', root.publicKey);
  const chain = { between: [], time, primitives };
  await requireChain(signer, { ...chain, roots: [...old, present] });
  for (const weak of old) {
    await assert.rejects(requireChain(signer, { ...chain, roots: [weak] }), {
      code: 'crypto.timestamp_untrusted',
      message: /not accepted/,
    });
  }
});
