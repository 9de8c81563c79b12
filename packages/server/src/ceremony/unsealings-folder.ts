import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { Type } from 'typebox';
import { Value } from 'typebox/value';
import { StartupError } from '../platform/errors.ts';
import { syncDirectory, writeFileDurably } from '../platform/files.ts';
import { newId } from '../platform/ids.ts';
import type { UnsealRecord } from '../roots/shares/index.ts';

const closed = { additionalProperties: false };
const share = Type.Object(
  {
    index: Type.Integer({ minimum: 1, maximum: 16 }),
    source: Type.String({ maxLength: 200 }),
    time: Type.Integer({ minimum: 0 }),
  },
  closed,
);
const unsealing = Type.Object(
  {
    root: Type.String({ maxLength: 36 }),
    set: Type.String({ maxLength: 8 }),
    shares: Type.Array(share, { maxItems: 16 }),
    wrong: Type.Integer({ minimum: 0 }),
  },
  closed,
);
/** Longest file that is read, bytes. */
const maxBytes = 16_384;

/**
 * Who has opened the root with shares: `unsealings/ID.json` in the data directory until the ledger has it. A server that starts in recovery
 * records nothing, and the one after it still does.
 */
export class UnsealingsFolder {
  readonly #folder: string;

  constructor(dataDirectory: string) {
    this.#folder = join(dataDirectory, 'unsealings');
  }

  write({ root, set, shares, wrong }: UnsealRecord): void {
    mkdirSync(this.#folder, { recursive: true, mode: 0o700 });
    const record = {
      root,
      set,
      shares: shares.map(({ index, source, time }) => ({ index, source, time })),
      wrong,
    };
    writeFileDurably(join(this.#folder, `${newId()}.json`), JSON.stringify(record));
  }

  /** What the ledger has not taken up. @throws StartupError `data.unreadable` */
  waiting(): { readonly name: string; readonly text: string; readonly record: UnsealRecord }[] {
    if (!existsSync(this.#folder)) return [];
    const names = readdirSync(this.#folder).filter((name) => /^[0-9a-f-]{36}\.json$/.test(name));
    return names.sort().map((name) => {
      const file = join(this.#folder, name);
      try {
        const text = statSync(file).size > maxBytes ? '' : readFileSync(file, 'utf8');
        const record: unknown = JSON.parse(text);
        if (Value.Check(unsealing, record)) return { name, text, record };
      } catch (error) {
        throw new StartupError('data.unreadable', file, error);
      }
      throw new StartupError('data.unreadable', `${file}: no record of an unsealing.`);
    });
  }

  /** The ledger has it now. */
  settle(name: string): void {
    rmSync(join(this.#folder, name));
    syncDirectory(this.#folder);
  }
}
