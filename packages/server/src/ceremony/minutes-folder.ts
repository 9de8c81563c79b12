import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { formatMinutes, parseMinutes } from '@trialkeep/evidence';
import type { CeremonyMinutes } from '@trialkeep/evidence';
import { StartupError } from '../platform/errors.ts';
import { syncDirectory, writeFileDurably } from '../platform/files.ts';

/** Longest file of minutes that is read, bytes. */
const maxMinutesBytes = 65_536;

/**
 * Minutes of ceremonies in the data directory: `ceremonies/ID.json` until the ledger has taken them up, `ceremonies/recorded/` from then
 * on. A ceremony is held without a server, which takes them up when it runs.
 */
export class MinutesFolder {
  readonly #folder: string;
  readonly #recorded: string;

  constructor(dataDirectory: string) {
    this.#folder = join(dataDirectory, 'ceremonies');
    this.#recorded = join(this.#folder, 'recorded');
  }

  /** Writes minutes down. @returns the file */
  write(minutes: CeremonyMinutes): string {
    mkdirSync(this.#recorded, { recursive: true, mode: 0o700 });
    const file = join(this.#folder, `${minutes.id}.json`);
    writeFileDurably(file, formatMinutes(minutes));
    return file;
  }

  /** The minutes that the ledger has not taken up, as text, by the name of their file. @throws StartupError `data.unreadable` */
  waiting(): { readonly name: string; readonly text: string }[] {
    if (!existsSync(this.#folder)) return [];
    const names = readdirSync(this.#folder).filter((name) => /^[0-9a-f-]{36}\.json$/.test(name));
    return names.sort().map((name) => {
      const file = join(this.#folder, name);
      const text = statSync(file).size > maxMinutesBytes ? '' : readFileSync(file, 'utf8');
      if (parseMinutes(text) === undefined)
        throw new StartupError('data.unreadable', `${file}: no minutes of a ceremony.`);
      return { name, text };
    });
  }

  /** The ledger has them now. */
  settle(name: string): void {
    renameSync(join(this.#folder, name), join(this.#recorded, name));
    for (const folder of [this.#folder, this.#recorded]) syncDirectory(folder);
  }
}
