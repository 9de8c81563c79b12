import { randomBytes } from 'node:crypto';
import { hashPassword, verifyPassword } from '@trialkeep/crypto';
import type { PasswordHashing } from '@trialkeep/crypto';
import { Limiter } from '../platform/limiter.ts';
import type { Asker } from '../platform/limiter.ts';

/** Each takes 64 MiB and a thread of the pool that files use too. */
const maxAtOnce = 2;
/** Of each kind. With the time that each takes, more would wait longer than anybody does. */
const maxWaiting = 32;

/**
 * The slow work on passwords, off the main thread: a few at a time, and a bounded number in line, so that no flood of sign-ins
 * takes the memory away. Beyond that, `server.busy`. Those who are known go first, in a line of their own.
 */
export class Passwords {
  readonly #hashing: PasswordHashing;
  readonly #limiter = new Limiter(maxAtOnce, maxWaiting);
  #decoy: Promise<string> | undefined;

  /** @param hashing how new hashes are made; as the registry says by default */
  constructor(hashing: PasswordHashing = {}) {
    this.#hashing = hashing;
  }

  /** The PHC string to store. */
  hash(password: string): Promise<string> {
    return this.#limiter.run('known', () => hashPassword(password, this.#hashing));
  }

  /** Whether it is the password of the hash. Without one the answer is no, after the same work. */
  verify(asker: Asker, password: string, hash: string | undefined): Promise<boolean> {
    return this.#limiter.run(asker, async () => {
      // Made at the first call, whoever it is about, so that its time tells nothing.
      const decoy = await this.#decoyHash();
      const matches = await verifyPassword(password, hash ?? decoy);
      return hash !== undefined && matches;
    });
  }

  #decoyHash(): Promise<string> {
    const decoy = this.#decoy ?? hashPassword(randomBytes(32).toString('base64'), this.#hashing);
    this.#decoy = decoy;
    decoy.catch(() => (this.#decoy = undefined));
    return decoy;
  }
}
