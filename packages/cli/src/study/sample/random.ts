/**
 * sfc32, a small fast chaotic generator with 128 bits of state (Chris Doty-Humphrey, PractRand). The sample study must come out the
 * same everywhere, so all of its variety comes from here, through integer arithmetic and the exactly rounded `+ - * /` only: `Math.sin`,
 * `Math.exp` and their like may differ in the last bit from one engine to the next. Never for keys.
 */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param label what is being generated; each label has its own sequence, so files do not depend on each other's order */
  constructor(label: string) {
    this.#a = fnv1a(label, 0x811c9dc5);
    this.#b = fnv1a(label, this.#a);
    this.#c = fnv1a(label, this.#b);
    // The rounds after which every bit of the seed has reached every bit of the state.
    for (let round = 0; round < 15; round++) this.uint32();
  }

  /** 0 to 2³² − 1. */
  uint32(): number {
    const result = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** An integer, `from` to `to` with both ends; at most 2³² values. */
  integer(from: number, to: number): number {
    return from + Math.floor((this.uint32() / 0x1_0000_0000) * (to - from + 1));
  }

  /** True once in `times` on average. */
  once(times: number): boolean {
    return this.integer(1, times) === 1;
  }

  pick<T>(choices: readonly T[]): T {
    const choice = choices[this.integer(0, choices.length - 1)];
    if (choice === undefined) throw new RangeError('nothing to pick from');
    return choice;
  }

  /** −1 to 1, triangular: what scatters about a mean. */
  scatter(): number {
    return (this.uint32() - (this.uint32() - 0.5)) / 0x1_0000_0000;
  }

  /** Fills with incompressible bytes, least significant byte of each number first. */
  fill(bytes: Buffer): Buffer {
    let word = 0;
    for (let at = 0; at < bytes.length; at++) {
      word = at % 4 === 0 ? this.uint32() | 0 : word >>> 8;
      bytes[at] = word & 0xff;
    }
    return bytes;
  }
}

/** FNV-1a, 32 bits, over UTF-16 units. */
function fnv1a(text: string, basis: number): number {
  let hash = basis;
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash;
}
