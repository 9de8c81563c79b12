import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Refusal } from '../answer.ts';
import { systemClock, type Clock } from '../clock.ts';
import { idleMs, minBytesPerSecond, wholeUploadMs } from './limits.ts';

/** What a mirror reads, told to clients with every answer (C2SP tlog-mirror, request body). */
export const acceptedEncodings = 'gzip';

/** The body of an upload while it comes in. */
export interface UploadBody {
  /**
   * The bytes, unzipped where they are zipped. They end where the client sends no more, breaks off, stands still, is too slow or takes too
   * long: what was received until then counts.
   */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Says that nothing more is read. What is left of the stream is whoever's who answers. */
  release(): void;
}

interface UploadLimits {
  readonly idleMs: number;
  readonly wholeUploadMs: number;
  readonly minBytesPerSecond: number;
}

/** @throws Refusal 415 for another encoding */
export function readUpload(
  stream: Readable,
  encoding: string | undefined,
  limits: UploadLimits = { idleMs, wholeUploadMs, minBytesPerSecond },
  clock = systemClock,
): UploadBody {
  if (encoding === undefined || encoding === 'identity') return bounded(stream, limits, clock);
  if (encoding !== 'gzip') throw new Refusal(415, 'The content encoding is neither gzip nor identity.');
  const unzipped = createGunzip();
  stream.once('error', (error: Error) => unzipped.destroy(error));
  stream.once('close', () => {
    if (!stream.readableEnded) unzipped.destroy();
  });
  stream.pipe(unzipped);
  return bounded(unzipped, limits, clock);
}

function bounded(stream: Readable, limits: UploadLimits, clock: Clock): UploadBody {
  const whole = setTimeout(() => stream.destroy(), limits.wholeUploadMs);
  let idle: NodeJS.Timeout | undefined;
  async function* chunks(): AsyncGenerator<Uint8Array, void> {
    // For how long the client may keep the mirror waiting: every byte earns it more, up to the time that it may stand still.
    let leftMs = limits.idleMs;
    const iterator = stream[Symbol.asyncIterator]() as AsyncIterator<Uint8Array>;
    try {
      for (;;) {
        // Only the client's time counts, not what is spent on storing.
        idle = setTimeout(() => stream.destroy(), leftMs);
        const sinceMs = clock.now();
        const next = await iterator.next();
        clearTimeout(idle);
        if (next.done === true) return;
        leftMs -= Math.max(0, clock.now() - sinceMs);
        if (leftMs < 0) return void stream.destroy();
        leftMs = Math.min(limits.idleMs, leftMs + (next.value.length / limits.minBytesPerSecond) * 1000);
        yield next.value;
      }
    } catch {
      // Broken off, or not gzip behind this point.
    } finally {
      clearTimeout(idle);
    }
  }
  const release = (): void => {
    clearTimeout(whole);
    clearTimeout(idle);
  };
  return { chunks: chunks(), release };
}
