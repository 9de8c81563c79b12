import type { Share } from '@trialkeep/crypto';
import { CryptoError, parseShare } from '@trialkeep/crypto';
import type { Clock } from '../../platform/clock.ts';
import { OperationError } from '../../platform/errors.ts';
import { holdRootKey } from './held.ts';
import { isShareOf, readRootFile, rootKeyFrom } from './root-file.ts';
import type { RootFile } from './root-file.ts';

/** A share that was given, without the share: who gave it, nobody can know. */
export interface GivenShare {
  readonly index: number;
  /** The address that it came from. */
  readonly source: string;
  /** ms since 1970, by the clock of this machine */
  readonly time: number;
}

/** How far it has come. */
export interface UnsealProgress {
  readonly set: string;
  readonly threshold: number;
  readonly count: number;
  /** How many different right shares were given. */
  readonly given: number;
  /** How many texts were given that are no share of the set. */
  readonly wrong: number;
}

/** What the ledger is told once the root is open. */
export interface UnsealRecord {
  readonly root: string;
  readonly set: string;
  readonly shares: readonly GivenShare[];
  readonly wrong: number;
}

/** Collects the shares of a sealed root, in memory alone, until they are enough. */
export class Unsealing {
  readonly #file: RootFile;
  readonly #clock: Clock;
  readonly #shares = new Map<number, Share>();
  readonly #given: GivenShare[] = [];
  #wrong = 0;
  #isOpen = false;

  /** @throws StartupError as `readRootFile` */
  constructor(folder: string, clock: Clock) {
    this.#file = readRootFile(folder);
    this.#clock = clock;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get progress(): UnsealProgress {
    const { set, threshold, count } = this.#file;
    return { set, threshold, count, given: this.#given.length, wrong: this.#wrong };
  }

  get record(): UnsealRecord {
    return { root: this.#file.id, set: this.#file.set, shares: this.#given, wrong: this.#wrong };
  }

  /**
   * Takes one share. The same one again changes nothing. With the last one that is needed the root key is opened, held for this process,
   * and the shares are forgotten.
   *
   * @throws OperationError `unseal.share_malformed`, `unseal.share_mistyped`, `unseal.share_foreign`, `unseal.share_wrong`;
   *   StartupError `root.wrong` where right shares do not open the file
   */
  give(text: string, source: string): UnsealProgress {
    if (this.#isOpen) return this.progress;
    const share = this.#read(text);
    if (this.#shares.has(share.index)) share.value.fill(0);
    else this.#take(share, source);
    return this.progress;
  }

  /** Whether the text is a share of the set; changes nothing. */
  isRight(text: string): boolean {
    let share: Share;
    try {
      share = parseShare(text);
    } catch (error) {
      if (error instanceof CryptoError) return false;
      throw error;
    }
    const isRight = isShareOf(this.#file, share);
    share.value.fill(0);
    return isRight;
  }

  #read(text: string): Share {
    let share: Share;
    try {
      share = parseShare(text);
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      this.#wrong += 1;
      const code =
        error.code === 'crypto.share_mistyped' ? 'unseal.share_mistyped' : 'unseal.share_malformed';
      // The sentence of the package says what is wrong without saying what was typed.
      const detail = /\((.*)\)$/.exec(error.message)?.[1];
      throw new OperationError(code, {
        field: '/share',
        ...(detail !== undefined && { detail: `${detail}.` }),
      });
    }
    if (isShareOf(this.#file, share)) return share;
    this.#wrong += 1;
    share.value.fill(0);
    const isForeign = share.set !== this.#file.set;
    throw new OperationError(isForeign ? 'unseal.share_foreign' : 'unseal.share_wrong', {
      field: '/share',
      detail: isForeign
        ? `It is of the set ${share.set}; needed is ${this.#file.set}.`
        : `Share ${share.index}.`,
    });
  }

  #take(share: Share, source: string): void {
    this.#shares.set(share.index, share);
    this.#given.push({ index: share.index, source, time: this.#clock.now() });
    if (this.#shares.size < this.#file.threshold) return;
    try {
      holdRootKey(this.#file.id, rootKeyFrom(this.#file, [...this.#shares.values()]));
      this.#isOpen = true;
    } finally {
      for (const { value } of this.#shares.values()) value.fill(0);
      this.#shares.clear();
    }
  }
}
