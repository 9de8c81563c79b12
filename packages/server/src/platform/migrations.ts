import { readFileSync, readdirSync } from 'node:fs';

export type DialectName = 'sqlite' | 'postgres';
/** The main database, or the one of the keys whose loss is forgetting. */
export type StoreName = 'main' | 'shred';

export interface Migration {
  readonly version: number;
  readonly sql: string;
}

/** The migrations of one database, in order: `NNNN-name.<store>.<dialect>.sql`. */
export function migrations(store: StoreName, dialect: DialectName): Migration[] {
  const folder = new URL('../migrations/', import.meta.url);
  return readdirSync(folder)
    .filter((name) => name.endsWith(`.${store}.${dialect}.sql`))
    .sort()
    .map((name) => ({ version: Number(name.slice(0, 4)), sql: readFileSync(new URL(name, folder), 'utf8') }));
}
