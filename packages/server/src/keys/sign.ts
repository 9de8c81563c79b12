import { createHash } from 'node:crypto';
import { signWith, signatureAlgorithms, signatureAlgorithmsOf, verifyWith } from '@trialkeep/crypto';
import type { SignatureAlgorithm, Signed } from '@trialkeep/crypto';
import type { Input, Operations, Output } from '@trialkeep/contract';
import { OperationError } from '../platform/errors.ts';
import type { Context } from '../platform/implementation.ts';
import { isResident, signInToken } from './in-token.ts';
import { chosenVersion, currentVersion, messageOf, permitted, publicKeyOf, secretOf } from './permitted.ts';
import type { UseParts } from './permitted.ts';

type Wanted = Pick<Input<Operations['keys.sign']>, 'message' | 'digest' | 'algorithm' | 'encoding'>;

/** The way that is asked for, or the key's usual one. */
function wayOf(keyAlgorithm: string, { algorithm, encoding }: Wanted): SignatureAlgorithm {
  const ways = signatureAlgorithmsOf(keyAlgorithm);
  const way = algorithm ?? ways[0];
  if (way === undefined || !ways.includes(way)) {
    throw new OperationError('signature.algorithm_unsuitable', { field: '/algorithm' });
  }
  if (encoding !== undefined && signatureAlgorithms[way].scheme !== 'ecdsa') {
    throw new OperationError('signature.input_invalid', {
      field: '/encoding',
      detail: 'Only ECDSA signatures have two encodings.',
    });
  }
  return way;
}

/** The message or its digest; and what the entry's payload keeps of it, which is never the message. */
function whatIsSigned(way: SignatureAlgorithm, { message, digest }: Wanted) {
  const row = signatureAlgorithms[way];
  const hash = row.scheme === 'pure' ? 'sha256' : row.hash;
  if ((message === undefined) === (digest === undefined)) {
    throw new OperationError('signature.input_invalid', {
      field: message === undefined ? '/message' : '/digest',
    });
  }
  if (message !== undefined) {
    const bytes = messageOf(message);
    const kept = { hash, digest: createHash(hash).update(bytes).digest('hex') };
    return { signed: { message: bytes } satisfies Signed, kept };
  }
  const bytes = Buffer.from(digest ?? '', 'base64');
  if (!row.digest || bytes.length !== row.hashBytes) {
    throw new OperationError('signature.input_invalid', { field: '/digest' });
  }
  return { signed: { digest: bytes } satisfies Signed, kept: { hash, digest: bytes.toString('hex') } };
}

/** The sign operation: with the current version, which the answer names. */
export async function sign(
  parts: UseParts,
  context: Context<'keys.sign'>,
): Promise<Output<Operations['keys.sign']>> {
  const { input, payload } = context;
  const key = await permitted(parts, context, 'keys.sign');
  const algorithm = wayOf(key.row.algorithm, input);
  const { signed, kept } = whatIsSigned(algorithm, input);
  payload['signed'] = kept;
  const current = currentVersion(key);
  const { encoding } = input;
  const signature = isResident(current)
    ? await signInToken(parts, key, current, { algorithm, signed, encoding })
    : signWith(algorithm, await secretOf(parts, key, current), signed, encoding);
  return { signature: signature.toString('base64'), algorithm, key: key.row.id, version: current.version };
}

/** The verify operation: with the version that is named, or the current one. */
export async function verify(
  parts: UseParts,
  context: Context<'keys.verify'>,
): Promise<Output<Operations['keys.verify']>> {
  const { input, payload } = context;
  const key = await permitted(parts, context, 'keys.verify');
  const algorithm = wayOf(key.row.algorithm, input);
  const { signed, kept } = whatIsSigned(algorithm, input);
  const chosen = chosenVersion(context, key, input.version);
  const signature = Buffer.from(input.signature, 'base64');
  const valid = verifyWith(algorithm, publicKeyOf(key, chosen), signed, signature, input.encoding);
  Object.assign(payload, { signed: kept, valid });
  return { valid, algorithm, key: key.row.id, version: chosen.version };
}
