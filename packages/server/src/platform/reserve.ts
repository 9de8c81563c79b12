import { existsSync, mkdirSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { writeFileDurably } from './files.ts';

/** Enough for some hundred changes with their entries, tiles and checkpoints. */
const reserveBytes = 4 * 1024 * 1024;

/**
 * Space on the data disk that is given back only to operations that take rights away, so that they work on a full disk
 * (design section 4).
 */
export class SpaceReserve {
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  /** Lays the reserve in if it is missing; false where the disk has no room for it now. */
  fill(): boolean {
    if (existsSync(this.#file)) return true;
    try {
      mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
      writeFileDurably(this.#file, Buffer.alloc(reserveBytes, 0x2e));
      return true;
    } catch {
      return false;
    }
  }

  /** Gives the space back to the disk; false when it was used up already. */
  release(): boolean {
    if (!existsSync(this.#file)) return false;
    unlinkSync(this.#file);
    return true;
  }
}
