import { join } from 'node:path';
import { parseCheckpoint, parseNote } from '@trialkeep/ledger';
import { originHash } from '../primitives.ts';
import type { State } from '../state.ts';
import { Turns } from '../turns.ts';
import { LogCopy, type CopyPlace } from './copy.ts';

export const copiesFolder = (folder: string): string => join(folder, 'logs');

/** The copies of a mirror, each opened when it is first asked for. */
export class Copies {
  /** By origin: whatever changes a copy. */
  readonly turns = new Turns();
  readonly #folder: string;
  readonly #state: State;
  readonly #open = new Map<string, Promise<LogCopy>>();

  constructor(folder: string, state: State) {
    this.#folder = folder;
    this.#state = state;
  }

  place(origin: string): CopyPlace {
    const hash = originHash(origin);
    return { folder: join(copiesFolder(this.#folder), hash), staging: join(this.#folder, 'staging', hash) };
  }

  /** @throws WitnessError `witness.copy_damaged`; it is opened anew when it is asked for again */
  async of(origin: string): Promise<LogCopy> {
    const known = this.#open.get(origin);
    if (known !== undefined) return known;
    const opening = this.#openCopy(origin);
    this.#open.set(origin, opening);
    try {
      return await opening;
    } catch (error) {
      this.#open.delete(origin);
      throw error;
    }
  }

  async #openCopy(origin: string): Promise<LogCopy> {
    const { nextEntry, size, note } = this.#state.copy(origin);
    const copy = await LogCopy.open(this.place(origin), nextEntry);
    if (note !== null) {
      await copy.complete(size, parseCheckpoint(parseNote(note).text).root);
      // A crash may have come between the state and the file.
      await copy.publish(note);
    }
    return copy;
  }
}
