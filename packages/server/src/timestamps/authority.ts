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
import { OutwardFault, askOutside } from '../platform/outward.ts';
import type { Authority } from './settings.ts';

/** An authority that does not speak RFC 3161. */
class AuthorityFault extends Error {
  readonly code: 'status' | 'media-type';

  constructor(code: AuthorityFault['code'], detail?: string) {
    super(detail === undefined ? code : `${code}: ${detail}`);
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
 * @throws OutwardFault; AuthorityFault; CryptoError `crypto.timestamp_…`
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

async function post(url: string, body: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
  const headers = { 'content-type': timestampMediaTypes.query, accept: timestampMediaTypes.reply };
  const request = { method: 'POST', url, headers, body, timeoutMs, maxBytes: maximumResponseBytes } as const;
  return (await askOutside({ ...request, checkHead })).body;
}

/** @throws AuthorityFault */
function checkHead({ status, contentType }: { readonly status: number; readonly contentType: string }): void {
  if (status !== 200) throw new AuthorityFault('status', String(status));
  const [type] = contentType.split(';');
  if (type?.trim().toLowerCase() !== timestampMediaTypes.reply) throw new AuthorityFault('media-type');
}

/** The code of what an authority did wrong; undefined where it is no fault of the authority's. */
export function faultCode(error: unknown): string | undefined {
  const faults = [OutwardFault, AuthorityFault, CryptoError];
  return faults.some((kind) => error instanceof kind) ? (error as { code: string }).code : undefined;
}
