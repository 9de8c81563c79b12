import { readFileSync, readdirSync } from 'node:fs';

export type DialectName = 'sqlite' | 'postgres';
/** The main database, or the one of the keys whose loss is forgetting. */
export type StoreName = 'main' | 'shred';

export interface Migration {
  readonly version: number;
  readonly sql: string;
  /** Whether programs that do not know the step go on working beside those that do: its file begins with `-- expands`. */
  readonly expands: boolean;
}

/** What a step says of itself in its first line; one that does not say it is none that older programs go on with. */
const expands = /^-- expands\b/;

/** The migrations of one database, in order: `NNNN-name.<store>.<dialect>.sql`. */
export function migrations(store: StoreName, dialect: DialectName): Migration[] {
  const folder = new URL('../migrations/', import.meta.url);
  return readdirSync(folder)
    .filter((name) => name.endsWith(`.${store}.${dialect}.sql`))
    .sort()
    .map((name) => {
      const sql = readFileSync(new URL(name, folder), 'utf8');
      return { version: Number(name.slice(0, 4)), sql, expands: expands.test(sql) };
    });
}

/** The oldest step that a program has to know to work with a database that has been through all of `steps`. */
export function neededStep(steps: readonly Migration[]): number {
  return steps.findLast((step) => !step.expands)?.version ?? 0;
}
