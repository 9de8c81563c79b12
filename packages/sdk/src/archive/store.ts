/**
 * Where an archive lies: a folder, or a bucket. What is in it was put there by somebody: it is read within bounds and believed only as
 * far as a checkpoint proves it.
 */
export interface ArchiveStore {
  /** For people. */
  readonly place: string;
  /**
   * The file of that path; undefined where there is none.
   *
   * @throws TrialkeepError `archive.unreadable`, also where the file is longer than `maxBytes`
   */
  read(path: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /**
   * Stores, durably when it returns, a file that stays as it is for good.
   *
   * @returns false where another content has that path
   * @throws TrialkeepError `archive.unwritable`
   */
  add(path: string, content: Uint8Array): Promise<boolean>;
  /**
   * Puts a file in the place of what was read before, or where there was none.
   *
   * @returns false where it is not what was read any more: somebody else writes here
   * @throws TrialkeepError `archive.unwritable`
   */
  replace(path: string, content: Uint8Array, before: Uint8Array | undefined): Promise<boolean>;
}

export function sameBytes(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return Buffer.compare(one, other) === 0;
}
