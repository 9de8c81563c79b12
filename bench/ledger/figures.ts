/** Figures by name, a value for each round, and how they are shown. */
import { loadavg } from 'node:os';
import { machine, median, spread } from '../measure.ts';

export class Figures {
  readonly #rows = new Map<string, { unit: string; digits: number; values: number[] }>();
  readonly #notes: string[] = [];
  /** The one-minute load average whenever a part of a round began. */
  readonly #loads: number[] = [];

  /** @param values of one round: one, or the samples that it took */
  add(name: string, unit: string, values: number | readonly number[], digits = unit === 'ms' ? 1 : 0): void {
    const row = this.#rows.get(name) ?? { unit, digits, values: [] };
    this.#rows.set(name, row);
    row.values.push(...(typeof values === 'number' ? [values] : values));
  }

  note(text: string): void {
    this.#notes.push(text);
  }

  /** Says on standard error what is being measured. */
  begin(what: string): void {
    const [load = 0] = loadavg();
    this.#loads.push(load);
    console.error(`… ${what}, load ${load.toFixed(1)}`);
  }

  /** The median of what has been measured so far; undefined where nothing has. */
  medianOf(name: string): number | undefined {
    const values = this.#rows.get(name)?.values;
    return values && median(values);
  }

  show(asJson: boolean): void {
    const rows = [...this.#rows].map(([name, { unit, digits, values }]) => ({
      name,
      unit,
      digits,
      median: median(values),
      values,
    }));
    if (asJson) {
      const rounded = rows.map(({ digits: _digits, ...row }) => row);
      const found = { machine: machine(), loads: this.#loads, notes: this.#notes, rows: rounded };
      console.log(JSON.stringify(found, undefined, 2));
      return;
    }
    const width = Math.max(...rows.map(({ name }) => name.length));
    console.log(`${machine()}; load average while measuring ${spread(this.#loads, 1)}`);
    for (const { name, unit, digits, values } of rows) {
      console.log(`${name.padEnd(width)}  ${spread(values, digits)} ${unit}`);
    }
    for (const text of this.#notes) console.log(text);
  }
}
