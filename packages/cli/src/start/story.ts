import type { Io } from '../io.ts';
import { say } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { startProgress } from '../progress.ts';
import type { Progress, Unit } from '../progress.ts';

/** Tells the run as it happens, on standard error: what is done, what it proves, where the evidence lies. */
export class Story {
  readonly #io: Io;
  readonly #options: OutputOptions;
  #chapter = 0;

  constructor(io: Io, json: boolean) {
    this.#io = io;
    this.#options = json ? { json: true } : {};
  }

  /** Begins a numbered part. */
  chapter(title: string): void {
    this.#chapter += 1;
    this.line('');
    this.line(`${this.#chapter}. ${title}`);
  }

  line(sentence: string): void {
    say(this.#io, this.#options, sentence === '' ? '' : `   ${sentence}`);
  }

  /** What the part has shown, or that it has not. */
  proof(held: boolean, sentence: string): void {
    this.line(`${held ? '✓' : '✗ NOT SHOWN:'} ${sentence}`);
  }

  progress(label: string, unit: Unit): Promise<Progress> {
    return startProgress(this.#io, this.#options, `   ${label}`, unit);
  }
}

/** Amounts with thin separators: 12 345. */
export function amount(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ' ');
}
