import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Clock } from './clock.ts';
import { writeFileDurably } from './files.ts';

/** Enough for some hundred changes with their entries, tiles and checkpoints. */
const reserveBytes = 4 * 1024 * 1024;
/** How often filling it again is tried while the disk is full. */
const retryMs = 5000;

/** What is set aside for operations that take rights away. */
export interface Reserve {
  /** Whether it is set aside, and nothing else need be refused. */
  held(): boolean;
  /** Gives it up; false when there is nothing to give. */
  release(): boolean;
}

/** For a database on a server: this machine's disk says nothing about that one's, and nothing is set aside on it. */
export const noReserve: Reserve = { held: () => true, release: () => false };

/**
 * Space on the data disk that is given back only to operations that take rights away, so that they work on a full disk
 * (design section 4). While it is given back nothing else may use the disk.
 */
export class SpaceReserve implements Reserve {
  readonly #file: string;
  readonly #clock: Clock;
  #held = false;
  #triedAt = Number.NEGATIVE_INFINITY;

  constructor(file: string, clock: Clock) {
    this.#file = file;
    this.#clock = clock;
  }

  /** Whether the space is set aside; tries to set it aside again where it is not, every few seconds. */
  held(): boolean {
    const now = this.#clock.now();
    if (this.#held || Math.abs(now - this.#triedAt) < retryMs) return this.#held;
    this.#triedAt = now;
    this.#held = existsSync(this.#file) || this.#fill();
    return this.#held;
  }

  /** Gives the space back to the disk; false when it was used up already. */
  release(): boolean {
    if (!existsSync(this.#file)) return false;
    unlinkSync(this.#file);
    this.#held = false;
    this.#triedAt = this.#clock.now();
    return true;
  }

  #fill(): boolean {
    try {
      mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
      // Random, so that a compressing file system sets all of it aside.
      writeFileDurably(this.#file, randomBytes(reserveBytes));
      return true;
    } catch {
      return false;
    }
  }
}
