/** A bounded map that forgets what was used longest ago. */
export class LruMap<K, V> {
  readonly #capacity: number;
  readonly #onOut: (value: V) => void;
  readonly #entries = new Map<K, V>();

  /** @param onOut told what falls out because there is no room; not what is deleted or replaced */
  constructor(capacity: number, onOut: (value: V) => void = () => undefined) {
    this.#capacity = capacity;
    this.#onOut = onOut;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value !== undefined) {
      this.#entries.delete(key);
      this.#entries.set(key, value);
    }
    return value;
  }

  set(key: K, value: V): void {
    this.#entries.delete(key);
    this.#entries.set(key, value);
    if (this.#entries.size > this.#capacity) {
      const [oldest] = this.#entries;
      if (oldest === undefined) return;
      this.#entries.delete(oldest[0]);
      this.#onOut(oldest[1]);
    }
  }

  deleteWhere(condition: (key: K) => boolean): void {
    for (const key of this.#entries.keys()) if (condition(key)) this.#entries.delete(key);
  }

  delete(key: K): void {
    this.#entries.delete(key);
  }
}
