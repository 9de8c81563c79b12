import { errors, signatureMeanings } from '@trialkeep/contract';
import type { ErrorCode, Operation } from '@trialkeep/contract';
import { sdkError, sdkErrors, TrialkeepError } from '../errors.ts';
import type { AnswerDetails } from '../errors.ts';

/** Longest answer that is read, bytes: a full page of ledger entries of the greatest length fits. */
const maxAnswerBytes = 128 * 1024 * 1024;
/** Longest sentence that is taken over from an answer, characters. */
const maxSentenceLength = 2000;
/** Longest wait that a server can ask for, s; a longer one is cut to it. */
const maxRetryAfterSeconds = 3600;
/** The status of a request that is kept until people approve it: the answer is an error's, although it is of the class of success. */
const keptStatus = 202;

/** What a proxy or load balancer answers for a server that is away (RFC 9110 section 15.6). */
const gatewayStatuses: ReadonlySet<number> = new Set([502, 503, 504]);

/** What the operation answered, or the error that the answer carries. */
export async function readAnswer(operation: Operation, response: Response): Promise<unknown> {
  const body = await readBody(response);
  if (gatewayStatuses.has(response.status) && !isJson(response)) {
    throw sdkError('client.unreachable', {
      status: response.status,
      detail: `HTTP status ${response.status} from what stands before it`,
    });
  }
  if (!response.ok || response.status === keptStatus) throw errorOf(response, body);
  switch (operation.produces ?? 'json') {
    case 'bytes':
      return body;
    case 'text':
      return decodeText(body, response.status);
    case 'json':
      return parseJson(body, response.status);
  }
}

function isJson({ headers }: Response): boolean {
  return (headers.get('content-type') ?? '').startsWith('application/json');
}

async function readBody(response: Response): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const stream: ReadableStream<Uint8Array> | null = response.body;
  const reader = stream?.getReader();
  for (let part = await reader?.read(); part !== undefined && !part.done; part = await reader?.read()) {
    bytes += part.value.length;
    if (bytes > maxAnswerBytes) {
      await reader?.cancel();
      throw badAnswer(response.status, 'the answer is longer than 128 MiB');
    }
    chunks.push(part.value);
  }
  if (chunks.length === 1 && chunks[0] !== undefined) return chunks[0];
  const body = new Uint8Array(bytes);
  let offset = 0;
  for (const chunk of chunks) {
    body.set(chunk, offset);
    offset += chunk.length;
  }
  return body;
}

function decodeText(body: Uint8Array, status: number): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(body);
  } catch {
    throw badAnswer(status, 'not text');
  }
}

function parseJson(body: Uint8Array, status: number): object {
  let value: unknown;
  try {
    value = JSON.parse(decodeText(body, status));
  } catch {
    throw badAnswer(status, 'not JSON');
  }
  if (typeof value !== 'object' || value === null) throw badAnswer(status, 'not a JSON object');
  return value;
}

/** The typed error of an unsuccessful answer. Its sentences come from the server, so they are bounded and typed here. */
function errorOf({ status, headers }: Response, body: Uint8Array): TrialkeepError {
  const error = record((parseJson(body, status) as { error?: unknown }).error);
  const code = textOf(error['code']);
  const message = textOf(error['message']);
  const fix = textOf(error['fix']);
  if (code === undefined || message === undefined || fix === undefined) {
    throw badAnswer(status, `HTTP status ${status}`);
  }
  const known = Object.hasOwn(errors, code);
  const details = {
    status,
    field: textOf(error['field']),
    requestId: textOf(error['requestId']),
    retryAfterMs: retryAfterMs(headers.get('retry-after')),
    ...(code === 'approval.needed' && { approval: keptRequest(error['approval'], status) }),
    ...(code === 'signature.needed' && { signature: toBeSigned(record(error['signature']), status) }),
  };
  return new TrialkeepError(
    known ? (code as ErrorCode) : 'client.unknown_error',
    known ? { message, fix } : { message, fix: sdkErrors['client.unknown_error'].fix },
    Object.fromEntries(Object.entries(details).filter(([, value]) => value !== undefined)),
  );
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value.length <= maxSentenceLength ? value : undefined;
}

/** The id of the request that the server keeps. Without it nobody could go on, so that it must be there. */
function keptRequest(id: unknown, status: number): string {
  if (typeof id === 'string' && /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)) return id;
  throw badAnswer(status, 'it names no request for approval');
}

function toBeSigned(
  { meaning, hash }: Readonly<Record<string, unknown>>,
  status: number,
): NonNullable<AnswerDetails['signature']> {
  const known = signatureMeanings.find((one) => one === meaning);
  if (known === undefined || typeof hash !== 'string' || !/^[0-9a-f]{64}$/.test(hash)) {
    throw badAnswer(status, 'it does not say what is to be signed');
  }
  return { meaning: known, hash };
}

/** The header Retry-After (RFC 9110 section 10.2.3) in its form in seconds; a date says nothing without a clock that both share. */
function retryAfterMs(header: string | null): number | undefined {
  if (header === null || !/^\d{1,9}$/.test(header)) return undefined;
  return Math.min(Number(header), maxRetryAfterSeconds) * 1000;
}

export function badAnswer(status: number, detail: string): TrialkeepError {
  return sdkError('client.bad_answer', { status, detail });
}
