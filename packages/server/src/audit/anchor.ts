import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileDurably } from '../platform/files.ts';

/** A checkpoint that is kept outside the database; nothing of it is verified yet. */
export interface AnchoredCheckpoint {
  readonly file: string;
  readonly note: Uint8Array;
}

/**
 * The newest checkpoint of each log, in a folder outside the database: what a restored or rolled-back database is compared
 * with (URS-080). One file a log, named by the hash of its origin.
 */
export class AnchorFolder {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  }

  read(): AnchoredCheckpoint[] {
    if (!existsSync(this.#folder)) return [];
    return readdirSync(this.#folder)
      .filter((name) => name.endsWith('.checkpoint'))
      .sort()
      .map((name) => ({ file: join(this.#folder, name), note: readFileSync(join(this.#folder, name)) }));
  }

  /** Durable when it returns. Called only with checkpoints whose entries are committed already. */
  write(origin: string, note: Uint8Array): void {
    const name = createHash('sha256').update(origin).digest('hex').slice(0, 32);
    writeFileDurably(join(this.#folder, `${name}.checkpoint`), note);
  }
}

/** The newest checkpoint of one log in this node's anchor. */
export class LogAnchor {
  readonly #folder: AnchorFolder;
  readonly #origin: string;
  readonly #before: () => Promise<void>;
  #size = 0;

  /** @param before runs before a newer checkpoint is kept */
  constructor(folder: AnchorFolder, origin: string, before: () => Promise<void> = async () => undefined) {
    this.#folder = folder;
    this.#origin = origin;
    this.#before = before;
  }

  /** Entries under the checkpoint that is kept; 0 where none is. */
  get size(): number {
    return this.#size;
  }

  /** Takes note of a checkpoint that the folder has already. */
  found(size: number): void {
    this.#size = Math.max(this.#size, size);
  }

  /** Durable when it returns; an older checkpoint than the one that is kept changes nothing. */
  async keep(size: number, note: Uint8Array): Promise<void> {
    if (size <= this.#size) return;
    await this.#before();
    this.#folder.write(this.#origin, note);
    this.#size = size;
  }
}
