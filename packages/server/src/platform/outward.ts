import { step } from './tracing/steps.ts';

/** What may go wrong with a request to somebody else's server, before its answer means anything. */
export const outwardFaults = {
  unreachable: 'It cannot be reached.',
  slow: 'It did not answer in time.',
  redirect: 'It answered with a redirection, which is not followed.',
  'too-large': 'Its answer is longer than any should be.',
} as const;
export type OutwardFaultCode = keyof typeof outwardFaults;

/** Nothing that could be read came from outside. */
export class OutwardFault extends Error {
  readonly code: OutwardFaultCode;
  /** The system's short name for why the connection failed. */
  readonly detail: string | undefined;

  constructor(code: OutwardFaultCode, detail?: string, cause?: unknown) {
    const text = outwardFaults[code];
    super(detail === undefined ? text : `${text} ${detail}`, { cause });
    this.name = 'OutwardFault';
    this.code = code;
    this.detail = detail;
  }
}

/** Whether what is sent to a URL can be read by nobody on the way: over https, or on this machine. */
export function isPrivateUrl({ protocol, hostname }: URL): boolean {
  const loopback = ['localhost', '[::1]'].includes(hostname) || /^127\.\d+\.\d+\.\d+$/.test(hostname);
  return protocol === 'https:' || (protocol === 'http:' && loopback);
}

/** A request to somebody else's server. */
export interface OutwardRequest {
  readonly method: 'GET' | 'POST';
  readonly url: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | AsyncIterable<Uint8Array>;
  /** For the whole answer, its last byte included. */
  readonly timeoutMs: number;
  /** Longest answer that is read, bytes. */
  readonly maxBytes: number;
  /** Throws where the body is of no interest; it is then not read. */
  readonly checkHead?: (head: Pick<OutwardAnswer, 'status' | 'contentType'>) => void;
  readonly signal?: AbortSignal;
}

export interface OutwardAnswer {
  readonly status: number;
  readonly contentType: string;
  readonly body: Uint8Array;
}

/**
 * Asks somebody else's server: bounded in time and in what is read. Redirections are not followed, for nobody has configured
 * where they lead.
 *
 * @throws OutwardFault; what `checkHead` throws
 */
export function askOutside(request: OutwardRequest): Promise<OutwardAnswer> {
  return step('outward', () => ask(request));
}

async function ask(request: OutwardRequest): Promise<OutwardAnswer> {
  const timeout = AbortSignal.timeout(request.timeoutMs);
  const signal = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]);
  const response = await reaching(signal, () => begin(request, signal));
  const { status } = response;
  const contentType = response.headers.get('content-type') ?? '';
  try {
    if (status >= 300 && status < 400) throw new OutwardFault('redirect');
    request.checkHead?.({ status, contentType });
  } catch (error) {
    await reaching(signal, async () => response.body?.cancel());
    throw error;
  }
  const body = await reaching(signal, () => readBounded(response, request.maxBytes));
  return { status, contentType, body };
}

function begin({ method, url, headers, body }: OutwardRequest, signal: AbortSignal): Promise<Response> {
  return fetch(url, {
    method,
    headers: { ...headers },
    redirect: 'manual',
    signal,
    ...(body !== undefined && (body instanceof Uint8Array ? { body: Buffer.from(body) } : streaming(body))),
  });
}

/** Says in our words why the other side could not be reached, or not be read to the end. */
async function reaching<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof OutwardFault) throw error;
    if (signal.aborted) throw new OutwardFault('slow', undefined, error);
    throw new OutwardFault('unreachable', causeOf(error), error);
  }
}

/** A body of unknown length is sent piece by piece, and the answer may come before its end. */
function streaming(body: AsyncIterable<Uint8Array>): RequestInit {
  return { body: ReadableStream.from(body) as ReadableStream<Uint8Array<ArrayBuffer>>, duplex: 'half' };
}

async function readBounded(response: Response, maxBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  const body: AsyncIterable<Uint8Array> | readonly Uint8Array[] = response.body ?? [];
  for await (const piece of body) {
    length += piece.length;
    // Leaving the loop cancels the rest.
    if (length > maxBytes) throw new OutwardFault('too-large');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** Why the connection failed, where the system has a short name for it. */
function causeOf(error: unknown): string | undefined {
  const cause = (error as { cause?: { code?: unknown } } | undefined)?.cause?.code;
  return typeof cause === 'string' ? cause : undefined;
}
