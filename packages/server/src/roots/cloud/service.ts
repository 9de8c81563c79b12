import { Transform, pipeline } from 'node:stream';
import type { Readable } from 'node:stream';
import { Type } from 'typebox';
import { StartupError } from '../../platform/errors.ts';
import type { StartupErrorCode } from '../../platform/errors.ts';
import { step } from '../../platform/tracing/steps.ts';

/** How long and how often a service is asked; the same settings for every cloud. */
export const patienceSettings = {
  /** Requests for one question, the first included. */
  attempts: Type.Optional(Type.Integer({ minimum: 1, maximum: 10 })),
  /** For one of them, ms. */
  timeoutMs: Type.Optional(Type.Integer({ minimum: 100, maximum: 60_000 })),
};

/** An answer of these services has a few kilobytes. */
export const maxAnswerBytes = 65_536;
/** What libraries wait between attempts, at most and on average well below, ms. */
const pauseMs = 1000;

export interface Patience {
  readonly attempts: number;
  readonly timeoutMs: number;
  /** Until one question has its answer or its error, credentials and all attempts included. */
  readonly deadlineMs: number;
}

export function patienceOf(settings: { attempts?: number; timeoutMs?: number }): Patience {
  const { attempts = 3, timeoutMs = 5000 } = settings;
  return { attempts, timeoutMs, deadlineMs: attempts * (timeoutMs + pauseMs) };
}

/**
 * Waits for a service until the deadline, whatever its library does.
 *
 * @throws what the work throws; StartupError `root.unreachable` after the deadline
 */
export async function withDeadline<T>(
  deadlineMs: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const signal = AbortSignal.timeout(deadlineMs);
  const late = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(new StartupError('root.unreachable', `No answer within ${deadlineMs / 1000} s.`));
    });
  });
  return step('outward', () => Promise.race([work(signal), late]));
}

/** The endpoint of a service, where it is not the public one. @throws StartupError `config.invalid` */
export function checkedEndpoint(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const plain = url?.protocol === 'http:' && isLoopback(url);
  if (url === undefined || (url.protocol !== 'https:' && !plain) || url.username !== '' || url.search !== '')
    throw new StartupError('config.invalid', `${text}: an https URL is wanted; http is for this machine.`);
  return url;
}

export function isLoopback({ hostname }: URL): boolean {
  return ['127.0.0.1', '[::1]', 'localhost'].includes(hostname);
}

/** A body that fails once it is longer than an answer can be. */
export function boundedBody(body: Readable): Readable {
  let seen = 0;
  const bound = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      seen += chunk.length;
      if (seen > maxAnswerBytes) done(new Error(`The answer is longer than ${maxAnswerBytes} bytes.`));
      else done(null, chunk);
    },
  });
  // Whoever reads `bound` gets the error; it needs no second reader.
  return pipeline(body, bound, () => undefined);
}

/**
 * The error for what a service answered. The library's own error is left behind: it holds the request, and with it tokens.
 *
 * @param said what the service or library said; shortened, in one line
 */
export function rootError(code: StartupErrorCode, name: string, said: string): StartupError {
  const text = `${name}: ${said}`.replace(/\p{Cc}+/gu, ' ');
  return new StartupError(code, text.length > 300 ? `${text.slice(0, 300)}…` : text);
}
