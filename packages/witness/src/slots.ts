/** Bounds what goes on at the same time: in all, and for each holder, so that none of them can hold all of it. */
export class Slots {
  readonly #limits: { readonly all: number; readonly each: number };
  readonly #held = new Map<string, number>();
  #all = 0;

  constructor(limits: { readonly all: number; readonly each: number }) {
    this.#limits = limits;
  }

  /** @returns what gives the slot back, to be called once; undefined where none is free for this holder */
  take(holder: string): (() => void) | undefined {
    const held = this.#held.get(holder) ?? 0;
    if (this.#all >= this.#limits.all || held >= this.#limits.each) return undefined;
    this.#all += 1;
    this.#held.set(holder, held + 1);
    return () => this.#giveBack(holder);
  }

  #giveBack(holder: string): void {
    const left = (this.#held.get(holder) ?? 0) - 1;
    this.#all -= 1;
    if (left > 0) this.#held.set(holder, left);
    else this.#held.delete(holder);
  }
}
