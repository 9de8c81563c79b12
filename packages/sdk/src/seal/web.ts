import type { KeySource } from './keys.ts';
import { openStream, sealStream } from './stream.ts';
import type { OpenStreamOptions, SealOptions } from './stream.ts';

type Bytes = Uint8Array;

/** A step for `pipeThrough` that seals what passes; as `sealStream`. */
export function sealTransform(
  keys: KeySource,
  options: SealOptions = {},
): ReadableWritablePair<Bytes, Bytes> {
  return transformOf((source) => sealStream(keys, source, options));
}

/** A step for `pipeThrough` that opens what passes; as `openStream`: what comes out is the whole only once it has ended. */
export function openTransform(
  keys: KeySource,
  options: OpenStreamOptions = {},
): ReadableWritablePair<Bytes, Bytes> {
  return transformOf((source) => openStream(keys, source, options));
}

/** Back-pressure holds all the way: a chunk is taken when the one before it has been asked for. */
function transformOf(
  step: (source: AsyncIterable<Bytes>) => AsyncGenerator<Bytes>,
): ReadableWritablePair<Bytes, Bytes> {
  const { readable: source, writable } = new TransformStream<Bytes, Bytes>();
  const chunks = step(source);
  const output: AsyncIterable<Bytes> = {
    [Symbol.asyncIterator]: () => ({
      next: () => chunks.next(),
      return: async () => {
        await chunks.return(undefined);
        // A generator that was never started has not let go of its source.
        if (!source.locked) await source.cancel();
        return { done: true, value: undefined };
      },
    }),
  };
  return { readable: ReadableStream.from(output), writable };
}
