import { createHash } from 'node:crypto';
import { signatureAlgorithms } from '@trialkeep/crypto';
import type { SignatureAlgorithm, Signed } from '@trialkeep/crypto';
import type { SigningWay } from './protocol.ts';

/** What a token is asked for a signature: it is given digests, but for EdDSA, which takes the message. */
export function signingInput(
  algorithm: SignatureAlgorithm,
  signed: Signed,
): { way: SigningWay; input: Uint8Array } {
  const row = signatureAlgorithms[algorithm];
  if (row.scheme === 'pure') {
    if ('digest' in signed) throw new TypeError(`${algorithm} signs messages only.`);
    return { way: { scheme: 'eddsa' }, input: signed.message };
  }
  const input = 'digest' in signed ? signed.digest : createHash(row.hash).update(signed.message).digest();
  return { way: row.scheme === 'ecdsa' ? { scheme: 'ecdsa' } : { scheme: 'pss', hash: row.hash }, input };
}
