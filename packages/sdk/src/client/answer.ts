import { errors } from '@trialkeep/contract';
import type { ErrorCode, Operation } from '@trialkeep/contract';
import { sdkError, sdkErrors, TrialkeepError } from '../errors.ts';

/** Longest answer that is read, bytes: a full page of ledger entries of the greatest length fits. */
const maxAnswerBytes = 128 * 1024 * 1024;
/** Longest sentence that is taken over from an answer, characters. */
const maxSentenceLength = 2000;

/** What the operation answered, or the error that the answer carries. */
export async function readAnswer(operation: Operation, response: Response): Promise<unknown> {
  const body = await readBody(response);
  if (!response.ok) throw errorOf(response.status, body);
  switch (operation.produces ?? 'json') {
    case 'bytes':
      return body;
    case 'text':
      return decodeText(body, response.status);
    case 'json':
      return parseJson(body, response.status);
  }
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
function errorOf(status: number, body: Uint8Array): TrialkeepError {
  const error: unknown = (parseJson(body, status) as { error?: unknown }).error;
  const field = (name: string) => {
    const value: unknown = (error as Record<string, unknown> | undefined | null)?.[name];
    return typeof value === 'string' && value.length <= maxSentenceLength ? value : undefined;
  };
  const [code, message, fix] = [field('code'), field('message'), field('fix')];
  if (code === undefined || message === undefined || fix === undefined) {
    throw badAnswer(status, `HTTP status ${status}`);
  }
  const known = Object.hasOwn(errors, code);
  const where = { field: field('field'), requestId: field('requestId') };
  return new TrialkeepError(
    known ? (code as ErrorCode) : 'client.unknown_error',
    known ? { message, fix } : { message, fix: sdkErrors['client.unknown_error'].fix },
    { status, ...Object.fromEntries(Object.entries(where).filter(([, value]) => value !== undefined)) },
  );
}

export function badAnswer(status: number, detail: string): TrialkeepError {
  return sdkError('client.bad_answer', { status, detail });
}
