import { createHash, randomBytes } from 'node:crypto';
import {
  CryptoError,
  formatTimestampRequest,
  maximumResponseBytes,
  parseTimestampResponse,
  timestampMediaTypes,
  timestampNonceBytes,
  verifyTimestamp,
} from '@trialkeep/crypto';
import type { VerifiedTimestamp } from '@trialkeep/crypto';
import type { Authority } from './settings.ts';

/** Why an authority gave nothing that could be read; the rest are codes of CryptoError. */
export const faultCodes = ['unreachable', 'slow', 'redirect', 'status', 'media-type', 'too-large'] as const;
export type FaultCode = (typeof faultCodes)[number];

/** An authority that is gone, slow, or does not speak RFC 3161. */
export class AuthorityFault extends Error {
  readonly code: FaultCode;

  constructor(code: FaultCode, options: { detail?: string; cause?: unknown } = {}) {
    super(options.detail === undefined ? code : `${code}: ${options.detail}`, { cause: options.cause });
    this.name = 'AuthorityFault';
    this.code = code;
  }
}

/** How long an authority may take for an answer, its last byte included. */
export const answerTimeoutMs = 10_000;

/** A token that has been verified. */
export interface Obtained {
  /** DER. */
  readonly token: Uint8Array;
  readonly verified: VerifiedTimestamp;
}

/**
 * Has an authority stamp `data` (RFC 3161 over HTTP), and verifies what it gives: of this data, for this request, under the policy that
 * was asked for, signed under the configured roots.
 *
 * @throws AuthorityFault; CryptoError `crypto.timestamp_…`
 */
export async function obtainTimestamp(
  { url, roots, policy }: Authority,
  data: Uint8Array,
  timeoutMs = answerTimeoutMs,
): Promise<Obtained> {
  const hash = 'SHA-512';
  const nonce = randomBytes(timestampNonceBytes);
  const digest = createHash('sha512').update(data).digest();
  const wanted = policy === undefined ? {} : { policy };
  const answer = await post(url, formatTimestampRequest({ hash, digest, nonce, ...wanted }), timeoutMs);
  const token = parseTimestampResponse(answer);
  const policies = policy === undefined ? {} : { policies: [policy] };
  return { token, verified: await verifyTimestamp(token, { data, roots, hash, nonce, ...policies }) };
}

/** Bounded in time and in what is read; redirections are not followed, for nobody has configured where they lead. */
async function post(url: string, body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': timestampMediaTypes.query, accept: timestampMediaTypes.reply },
      body: Buffer.from(body),
      redirect: 'manual',
      signal,
    });
    const fault = faultOf(response);
    if (fault !== undefined) {
      await response.body?.cancel();
      throw fault;
    }
    return await readBounded(response);
  } catch (error) {
    if (error instanceof AuthorityFault) throw error;
    if (signal.aborted) throw new AuthorityFault('slow', { cause: error });
    throw new AuthorityFault('unreachable', { cause: error });
  }
}

function faultOf({ status, headers }: Response): AuthorityFault | undefined {
  if (status >= 300 && status < 400) return new AuthorityFault('redirect');
  if (status !== 200) return new AuthorityFault('status', { detail: String(status) });
  const [type] = (headers.get('content-type') ?? '').split(';');
  return type?.trim().toLowerCase() === timestampMediaTypes.reply
    ? undefined
    : new AuthorityFault('media-type');
}

async function readBounded({
  body,
}: {
  readonly body: AsyncIterable<Uint8Array> | null;
}): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of body ?? []) {
    length += piece.length;
    // Leaving the loop cancels the rest.
    if (length > maximumResponseBytes) throw new AuthorityFault('too-large');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** The code of what an authority did wrong; undefined where it is no fault of the authority's. */
export function faultCode(error: unknown): string | undefined {
  return error instanceof AuthorityFault || error instanceof CryptoError ? error.code : undefined;
}
