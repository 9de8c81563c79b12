import { randomBytes } from 'node:crypto';
import { hashPassword, verifyPassword } from '@trialkeep/crypto';
import type { PasswordHashing } from '@trialkeep/crypto';
import { OperationError } from '../platform/errors.ts';

/** Each takes 64 MiB and a thread of the pool that files use too. */
const maxAtOnce = 2;
/** With the time that each takes, more would wait longer than anybody does. */
const maxWaiting = 32;

/**
 * The slow work on passwords, off the main thread: a few at a time, and a bounded number in line, so that no flood of sign-ins
 * takes the memory away. Beyond that, `server.busy`.
 */
export class Passwords {
  readonly #hashing: PasswordHashing;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #decoy: Promise<string> | undefined;

  /** @param hashing how new hashes are made; as the registry says by default */
  constructor(hashing: PasswordHashing = {}) {
    this.#hashing = hashing;
  }

  /** The PHC string to store. */
  hash(password: string): Promise<string> {
    return this.#inTurn(() => hashPassword(password, this.#hashing));
  }

  /** Whether it is the password of the hash. Without one the answer is no, after the same work. */
  verify(password: string, hash: string | undefined): Promise<boolean> {
    return this.#inTurn(async () => {
      // Made at the first call, whoever it is about, so that its time tells nothing.
      this.#decoy ??= hashPassword(randomBytes(32).toString('base64'), this.#hashing);
      const decoy = await this.#decoy;
      const matches = await verifyPassword(password, hash ?? decoy);
      return hash !== undefined && matches;
    });
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running >= maxAtOnce) {
      if (this.#waiting.length >= maxWaiting) throw new OperationError('server.busy');
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#running += 1;
    }
    try {
      return await work();
    } finally {
      // Hands its place over, so that nobody who comes just now takes it.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running -= 1;
      else next();
    }
  }
}
