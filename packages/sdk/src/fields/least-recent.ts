/** A map of bounded size: when it is full, what was used least recently gives way. */
export class LeastRecent<Value> {
  readonly #maximum: number;
  /** The one used last at the end. */
  readonly #entries = new Map<string, Value>();

  constructor(maximum: number) {
    this.#maximum = maximum;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(id: string): Value | undefined {
    const value = this.#entries.get(id);
    if (value !== undefined) {
      this.#entries.delete(id);
      this.#entries.set(id, value);
    }
    return value;
  }

  set(id: string, value: Value): void {
    this.#entries.delete(id);
    this.#entries.set(id, value);
    if (this.#entries.size > this.#maximum) {
      const [oldest = ''] = this.#entries.keys();
      this.#entries.delete(oldest);
    }
  }

  delete(id: string): void {
    this.#entries.delete(id);
  }
}
