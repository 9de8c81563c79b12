import { OperationError } from '../platform/errors.ts';

/**
 * Holds the sizes of logs that this process has seen committed. A log never shrinks: where one does, the database was put back
 * underneath (a restore, a fail-over to a standby that lagged behind), and what was revoked since is not revoked in it. From then
 * on nothing may be released here until the process has started again and compared the database with its anchor (URS-080).
 */
export class RollbackWatch {
  readonly #sizes = new Map<number, number>();
  readonly #onRolledBack: (reason: string) => void;
  #error: OperationError | undefined;

  /** @param onRolledBack told once; the process must end */
  constructor(onRolledBack: (reason: string) => void = () => undefined) {
    this.#onRolledBack = onRolledBack;
  }

  /** Entries of the log that are known to be committed: whatever is read from now on has at least these. */
  known(log: number): number {
    return this.#sizes.get(log) ?? 0;
  }

  /** Takes note of committed entries. */
  saw(log: number, size: number): void {
    if (size > this.known(log)) this.#sizes.set(log, size);
  }

  /**
   * Holds the size that was read, or that an append got, against what was known before that began.
   *
   * @throws OperationError server.in_recovery
   */
  compare(log: number, size: number, known: number): void {
    if (size < known) throw this.report(`Log ${log} had ${known} entries, and has ${size} now.`);
    this.assertSound();
  }

  /** Throws once a roll-back was noticed. */
  assertSound(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  /** Gives what callers are told from now on. */
  report(reason: string): OperationError {
    if (this.#error === undefined) {
      this.#error = new OperationError('server.in_recovery', { cause: new Error(reason) });
      this.#onRolledBack(reason);
    }
    return this.#error;
  }
}
