import { randomBytes } from 'node:crypto';
import { open, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { targetError } from './target.ts';

/**
 * A sealed manifest as it was when it was read first. Whoever can write to the tree can exchange its manifest at any moment, and a fellow
 * recipient even for another that opens; what was checked is what is acted on. The file has mode 0600 and no name, and goes with its handle.
 */
export class ManifestCopy {
  readonly #file: FileHandle;
  readonly #folder: string;

  constructor(file: FileHandle, folder: string) {
    this.#file = file;
    this.#folder = folder;
  }

  /** @throws SealError `seal.target_unwritable`, `seal.no_space`, about the folder for temporary files */
  static async create(): Promise<ManifestCopy> {
    const folder = tmpdir();
    const path = join(folder, `.trialkeep-${randomBytes(8).toString('hex')}.part`);
    try {
      const file = await open(path, 'wx+', 0o600);
      await rm(path);
      return new ManifestCopy(file, folder);
    } catch (error) {
      throw targetError(folder, error);
    }
  }

  /** Where it can be opened for reading while it is open. */
  get path(): string {
    return `/proc/self/fd/${this.#file.fd}`;
  }

  /** Adds bytes. @throws as `create` */
  async write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#file.writeFile(bytes);
    } catch (error) {
      throw targetError(this.#folder, error);
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
