import { createHash } from 'node:crypto';
import type { SignedRequest } from '../../platform/signed-request.ts';
import { AwsError } from './errors.ts';
import { isServedHost } from './hosts.ts';

/**
 * Reads AWS Signature Version 4 as it stands in headers ("Create a signed AWS API request" of the IAM User Guide): which access key, what was
 * signed, and the signature. Nothing is verified here; the access slice does that, for it alone has the secrets.
 */

/** A request as it came over the wire. */
export interface WireRequest {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  /** Name, value, name, value …, as Node keeps them: repeated ones stay apart. */
  readonly rawHeaders: readonly string[];
  readonly body: Uint8Array;
}

const algorithm = 'AWS4-HMAC-SHA256';
const authorizationPattern =
  /^AWS4-HMAC-SHA256 Credential=([A-Z0-9]{16,128})\/([0-9]{8})\/([a-z0-9-]{1,64})\/([a-z0-9-]{1,64})\/aws4_request, ?SignedHeaders=([a-z0-9;-]{1,2000}), ?Signature=([0-9a-f]{64})$/;
const datePattern = /^([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z$/;
const service = 'kms';
/** What a signature that leaves it out could be moved to: another server (whose name is compared), another time, another operation. */
const mustBeSigned = ['host', 'x-amz-date', 'x-amz-target'] as const;
const maxHeaders = 100;

/**
 * @param hosts names under which requests are taken
 * @throws AwsError that says what is missing, of the wrong form, or signed for another server
 */
export function readSignature(request: WireRequest, hosts: ReadonlySet<string>): SignedRequest {
  const headers = readHeaders(request.rawHeaders);
  if (request.url !== '/')
    throw new AwsError('IncompleteSignatureException', 'Requests go to /, without a query.');
  if (headers.has('x-amz-security-token')) {
    const detail = 'There are no session tokens here: the access key alone says who asks.';
    throw new AwsError('UnrecognizedClientException', detail);
  }
  const authorization = headers.get('authorization');
  if (authorization === undefined) {
    throw new AwsError('MissingAuthenticationTokenException', 'The request is not signed.');
  }
  const [, accessKey, day, region, ofService, signed, signature] =
    authorizationPattern.exec(authorization) ?? [];
  if (accessKey === undefined || day === undefined || region === undefined || signature === undefined) {
    throw incomplete(`Authorization is not of the form of ${algorithm} that is read here.`);
  }
  if (ofService !== service) throw incomplete(`The service of the credential scope is ${service}.`);
  const date = headers.get('x-amz-date') ?? '';
  const time = readDate(date);
  if (time === undefined) throw incomplete('X-Amz-Date is a time as 20260131T235959Z.');
  if (!date.startsWith(day)) throw incomplete('The day of the credential scope is that of X-Amz-Date.');
  const names = readSignedHeaders(signed ?? '', headers);
  if (!isServedHost(hosts, headers.get('host') ?? '')) {
    const detail = 'The request is signed for a Host that is not served here (TRIALKEEP_AWS_KMS_HOSTS).';
    throw new AwsError('InvalidSignatureException', detail);
  }
  const bodyHash = sha256Hex(request.body);
  const stated = headers.get('x-amz-content-sha256');
  if (stated !== undefined && stated !== bodyHash) {
    throw incomplete('X-Amz-Content-Sha256 is not the hash of the body.');
  }
  const canonical = canonicalRequest(request.method, headers, names, bodyHash);
  const scope = { date: day, region, service };
  return {
    accessKey,
    scope,
    stringToSign: stringToSign(date, scope, canonical),
    signature: Buffer.from(signature, 'hex'),
    time,
  };
}

/**
 * The canonical request of one to `/` without a query, as bytes: header values are signed as they were sent.
 *
 * @param names signed headers, lower case, in order
 */
export function canonicalRequest(
  method: string,
  headers: ReadonlyMap<string, string>,
  names: readonly string[],
  bodyHash: string,
): Buffer {
  const lines = names.map((name) => `${name}:${normalised(headers.get(name) ?? '')}`);
  const text = [method, '/', '', ...lines, '', names.join(';'), bodyHash].join('\n');
  // Node gives header values as ISO 8859-1: these are the bytes that came.
  return Buffer.from(text, 'latin1');
}

export function stringToSign(date: string, scope: SignedRequest['scope'], canonical: Uint8Array): string {
  const { date: day, region, service: ofService } = scope;
  return [algorithm, date, `${day}/${region}/${ofService}/aws4_request`, sha256Hex(canonical)].join('\n');
}

/** Values without spaces around them, and with one where there are several. */
function normalised(value: string): string {
  return value.replace(/ +/g, ' ').replace(/^ | $/g, '');
}

/** Headers by lower-case name. One that came twice could be signed as one and read as the other: it is refused. */
function readHeaders(rawHeaders: readonly string[]): Map<string, string> {
  const headers = new Map<string, string>();
  if (rawHeaders.length > 2 * maxHeaders) throw incomplete('There are too many headers.');
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase();
    if (headers.has(name)) throw incomplete('A header came twice.');
    headers.set(name, rawHeaders[i + 1] ?? '');
  }
  return headers;
}

/** The signed headers, which are there, in order, and all that must be: also each of AWS' own that came. */
function readSignedHeaders(text: string, headers: ReadonlyMap<string, string>): readonly string[] {
  const names = text.split(';');
  const isOrdered = names.every((name, i) => name !== '' && (i === 0 || (names[i - 1] ?? '') < name));
  if (!isOrdered) throw incomplete('SignedHeaders are in ascending order, each once.');
  for (const name of names)
    if (!headers.has(name)) throw incomplete(`The signed header ${name} did not come.`);
  const own = [...headers.keys()].filter((name) => name.startsWith('x-amz-'));
  const unsigned = [...mustBeSigned, ...own].find((name) => !names.includes(name));
  if (unsigned !== undefined) throw incomplete(`The header ${unsigned} has to be signed.`);
  return names;
}

/** ISO 8601 basic format, UTC, to ms; undefined for what is no such time. */
function readDate(text: string): number | undefined {
  const [, year, month, day, hour, minute, second] = datePattern.exec(text) ?? [];
  if (year === undefined) return undefined;
  const iso = `${year}-${month}-${day}T${hour}:${minute}:${second}.000Z`;
  const time = Date.parse(iso);
  return Number.isNaN(time) || new Date(time).toISOString() !== iso ? undefined : time;
}

function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function incomplete(message: string): AwsError {
  return new AwsError('IncompleteSignatureException', message);
}
