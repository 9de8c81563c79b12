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
