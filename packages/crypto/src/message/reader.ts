import { CryptoError } from '../errors.ts';

/**
 * Bytes in chunks of any size. A chunk is read before the next one is asked for, so a source may use its
 * buffer again.
 */
export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/**
 * Hands a source out in pieces of chosen size. Where a piece lies within one chunk it is a view of that
 * chunk, not a copy.
 */
export class ByteReader {
  readonly #iterator: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  #chunk: Buffer = Buffer.alloc(0);
  #position = 0;
  // Bytes that had to be gathered from several chunks: #held[#heldStart, #heldEnd) precede what is left of
  // the chunk.
  #held: Buffer = Buffer.alloc(0);
  #heldStart = 0;
  #heldEnd = 0;
  #ended = false;

  constructor(source: ByteSource) {
    this.#iterator =
      Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
  }

  /**
   * The next `length` bytes, or fewer at the end of the source; they are consumed by `consume` only. Valid
   * until the next call.
   */
  async peek(length: number): Promise<Buffer> {
    for (;;) {
      const heldBytes = this.#heldEnd - this.#heldStart;
      const chunkBytes = this.#chunk.length - this.#position;
      if (heldBytes === 0 && chunkBytes >= length) {
        return this.#chunk.subarray(this.#position, this.#position + length);
      }
      if (heldBytes >= length) return this.#held.subarray(this.#heldStart, this.#heldStart + length);
      if (chunkBytes > 0) this.#hold(Math.min(length - heldBytes, chunkBytes), length);
      else if (this.#ended) return this.#held.subarray(this.#heldStart, this.#heldEnd);
      else await this.#pull();
    }
  }

  /** Consumes bytes that were peeked at. */
  consume(length: number): void {
    if (this.#heldEnd === this.#heldStart) {
      this.#position += length;
      return;
    }
    this.#heldStart += length;
    // What remains held came last from the chunk; where all of it did, the chunk itself serves from here
    // without copies.
    const remaining = this.#heldEnd - this.#heldStart;
    if (remaining <= this.#position) {
      this.#position -= remaining;
      this.#heldStart = 0;
      this.#heldEnd = 0;
    }
  }

  /** Tells the source that no more is wanted, and zeroes what was gathered. */
  async close(): Promise<void> {
    this.#held.fill(0);
    if (this.#ended) return;
    this.#ended = true;
    await this.#iterator.return?.();
  }

  /**
   * Moves bytes from the chunk to what is held. `wantedBytes` bounds the memory; it is taken only as bytes
   * arrive.
   */
  #hold(length: number, wantedBytes: number): void {
    const heldBytes = this.#heldEnd - this.#heldStart;
    if (this.#heldEnd + length > this.#held.length) {
      const fits = heldBytes + length <= this.#held.length;
      const capacity = Math.max(heldBytes + length, Math.min(wantedBytes, 2 * this.#held.length));
      const room = fits ? this.#held : Buffer.alloc(capacity);
      this.#held.copy(room, 0, this.#heldStart, this.#heldEnd);
      if (!fits) this.#held.fill(0);
      this.#held = room;
      this.#heldStart = 0;
      this.#heldEnd = heldBytes;
    }
    this.#chunk.copy(this.#held, this.#heldEnd, this.#position, this.#position + length);
    this.#heldEnd += length;
    this.#position += length;
  }

  async #pull(): Promise<void> {
    let next: IteratorResult<Uint8Array>;
    try {
      next = await this.#iterator.next();
    } catch (error) {
      this.#ended = true;
      throw error;
    }
    if (next.done === true) {
      this.#ended = true;
      return;
    }
    if (!(next.value instanceof Uint8Array)) {
      throw new CryptoError('crypto.argument_invalid', 'the source must yield bytes');
    }
    this.#chunk = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length);
    this.#position = 0;
  }
}

/** All parts in one buffer of its own: `Buffer.concat` would put a short plaintext into a pool that others share. */
export function joined(parts: readonly Uint8Array[]): Buffer {
  let bytes = 0;
  for (const part of parts) bytes += part.length;
  const whole = Buffer.allocUnsafeSlow(bytes);
  let position = 0;
  for (const part of parts) {
    whole.set(part, position);
    position += part.length;
  }
  return whole;
}
