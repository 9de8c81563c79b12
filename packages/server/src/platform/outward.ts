/** What may go wrong with a request to somebody else's server, before its answer means anything. */
export type OutwardFaultCode = 'unreachable' | 'slow' | 'redirect' | 'too-large';

/** Nothing that could be read came from outside. */
export class OutwardFault extends Error {
  readonly code: OutwardFaultCode;
  /** The system's short name for why the connection failed. */
  readonly detail: string | undefined;

  constructor(code: OutwardFaultCode, detail?: string, cause?: unknown) {
    super(detail === undefined ? code : `${code}: ${detail}`, { cause });
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
 * @throws OutwardFault
 */
export async function askOutside(request: OutwardRequest): Promise<OutwardAnswer> {
  const timeout = AbortSignal.timeout(request.timeoutMs);
  const signal = request.signal === undefined ? timeout : AbortSignal.any([timeout, request.signal]);
  try {
    const { body } = request;
    const response = await fetch(request.url, {
      method: request.method,
      headers: { ...request.headers },
      redirect: 'manual',
      signal,
      ...(body !== undefined && (body instanceof Uint8Array ? { body: Buffer.from(body) } : streaming(body))),
    });
    if (response.status >= 300 && response.status < 400) {
      await response.body?.cancel();
      throw new OutwardFault('redirect');
    }
    const contentType = response.headers.get('content-type') ?? '';
    return { status: response.status, contentType, body: await readBounded(response, request.maxBytes) };
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
