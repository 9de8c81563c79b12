import { SealError } from '../errors.ts';
import { isPrivateUrl } from '../private-url.ts';
import type { RangeSource } from './range-source.ts';

export interface HttpRangesOptions {
  /** Sent with each request, such as `authorization`; only over https, or to this machine. */
  readonly headers?: Readonly<Record<string, string>>;
  /** What sends requests; the platform's `fetch` by default. */
  readonly fetch?: typeof fetch;
  /** How long one request may take, ms, until the whole answer is there; 30,000 by default. */
  readonly timeoutMs?: number;
  /** Ends the work early, with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** Bytes of the first request: the header of most messages. */
const firstBytes = 8192;

/**
 * An object behind a URL that answers range requests (RFC 9110 section 14), such as a presigned URL of an S3 object. Every request but the
 * first names the entity tag of the first, so that an object that was replaced meanwhile is noticed before it is mixed up.
 *
 * @param url https, or this machine. What stands in its query, such as a signature, is in no error
 * @throws SealError `seal.source_missing`, `seal.source_unreadable`, `seal.source_no_ranges`; so do the reads, and `seal.source_changed`
 */
export async function httpRanges(url: string, options: HttpRangesOptions = {}): Promise<RangeSource> {
  const target = checkedUrl(url);
  const first = await request(target, options, 0, firstBytes);
  return {
    size: first.size,
    read: async (position, length) => {
      if (position + length <= first.bytes.length) return first.bytes.subarray(position, position + length);
      const { bytes, size, objectVersion } = await request(
        target,
        options,
        position,
        length,
        first.objectVersion,
      );
      if (size !== first.size || bytes.length !== length || objectVersion !== first.objectVersion)
        throw new SealError('seal.source_changed', nameOf(target));
      return bytes;
    },
  };
}

interface Answer {
  readonly bytes: Buffer;
  readonly size: number;
  readonly objectVersion: string | undefined;
}

async function request(
  url: URL,
  { headers = {}, fetch: send = fetch, timeoutMs = 30_000, signal }: HttpRangesOptions,
  position: number,
  length: number,
  objectVersion?: string,
): Promise<Answer> {
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await send(url, {
      headers: {
        ...headers,
        range: `bytes=${position}-${position + length - 1}`,
        // A range counts bytes of the stored object, not of a compressed answer.
        'accept-encoding': 'identity',
        ...(objectVersion !== undefined && { 'if-match': objectVersion }),
      },
      redirect: 'error',
      credentials: 'omit',
      cache: 'no-store',
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
    });
    return await readAnswer(url, response, position, length);
  } catch (error) {
    signal?.throwIfAborted();
    if (error instanceof SealError) throw error;
    throw new SealError('seal.source_unreadable', nameOf(url), {
      detail: timeout.aborted ? `no answer within ${timeoutMs} ms` : 'no answer',
    });
  }
}

async function readAnswer(url: URL, response: Response, position: number, length: number): Promise<Answer> {
  const { status } = response;
  if (status !== 206) {
    await response.body?.cancel();
    // Where the object is empty no range of it exists.
    if (status === 416 && position === 0)
      return { bytes: Buffer.alloc(0), size: 0, objectVersion: undefined };
    throw refusal(url, status);
  }
  const { first, last, size } = contentRange(url, response);
  const expectedLast = Math.min(position + length, size) - 1;
  if (first !== position || last !== expectedLast) throw new SealError('seal.source_no_ranges', nameOf(url));
  const bytes = await readBounded(url, response, last - first + 1);
  const tag = response.headers.get('etag');
  // A weak tag may stand for other bytes, and matches nothing (RFC 9110 section 13.1.1).
  return { bytes, size, objectVersion: tag === null || tag.startsWith('W/') ? undefined : tag };
}

function refusal(url: URL, status: number): SealError {
  if (status === 404 || status === 410) return new SealError('seal.source_missing', nameOf(url));
  if (status === 412) return new SealError('seal.source_changed', nameOf(url));
  if (status === 200) return new SealError('seal.source_no_ranges', nameOf(url));
  return new SealError('seal.source_unreadable', nameOf(url), { detail: `HTTP status ${status}` });
}

function contentRange(url: URL, response: Response): { first: number; last: number; size: number } {
  const form = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15})$/.exec(response.headers.get('content-range') ?? '');
  if (form === null) throw new SealError('seal.source_no_ranges', nameOf(url));
  return { first: Number(form[1]), last: Number(form[2]), size: Number(form[3]) };
}

/** The body, which must have exactly `length` bytes; no more than that is kept, whatever comes. */
async function readBounded(url: URL, response: Response, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let position = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    if (position + chunk.length > length) throw new SealError('seal.source_changed', nameOf(url));
    bytes.set(chunk, position);
    position += chunk.length;
  }
  if (position < length) throw new SealError('seal.source_unreadable', nameOf(url), { detail: 'cut short' });
  return bytes;
}

function checkedUrl(url: string): URL {
  const parsed = URL.parse(url);
  if (parsed === null || !isPrivateUrl(parsed) || parsed.username + parsed.password !== '') {
    throw new SealError('seal.source_unreadable', undefined, {
      detail: 'the URL must be https, or http on this machine, without a password',
    });
  }
  return parsed;
}

/** The URL as errors may show it: a query may hold a signature. */
function nameOf({ origin, pathname }: URL): string {
  return origin + pathname;
}
