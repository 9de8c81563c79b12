/** Bytes that arrive in pieces of any length, such as the body of a request. */
export type ByteChunks = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

/** Takes a stream of bytes apart. Holds no more than what is taken at once and one piece. */
export class ByteReader {
  readonly #chunks: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);

  constructor(chunks: ByteChunks) {
    this.#chunks =
      Symbol.asyncIterator in chunks ? chunks[Symbol.asyncIterator]() : chunks[Symbol.iterator]();
  }

  /** Whether nothing is left; waits for the next byte or the end. */
  async atEnd(): Promise<boolean> {
    while (this.#chunk.length === 0) {
      const next = await this.#chunks.next();
      if (next.done === true) return true;
      this.#chunk = next.value;
    }
    return false;
  }

  /** The next bytes, as a view where they arrived in one piece; undefined where fewer are left. */
  async take(bytes: number): Promise<Uint8Array | undefined> {
    if (this.#chunk.length >= bytes) return this.#cut(bytes);
    const taken = new Uint8Array(bytes);
    for (let length = 0; length < bytes;) {
      if (await this.atEnd()) return undefined;
      const part = this.#cut(Math.min(bytes - length, this.#chunk.length));
      taken.set(part, length);
      length += part.length;
    }
    return taken;
  }

  #cut(bytes: number): Uint8Array {
    const part = this.#chunk.subarray(0, bytes);
    this.#chunk = this.#chunk.subarray(bytes);
    return part;
  }
}
