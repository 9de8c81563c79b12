import type { CustomTypesConfig } from 'pg';

function integer(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value))
    throw new RangeError('The database returned a number that is no integer up to 2⁵³ − 1.');
  return value;
}

/** By type OID (pg_type.dat); everything else is text. As SQLite has it: one integer type, and 0 and 1 for booleans. */
const parsers: Record<number, (text: string) => unknown> = {
  16: (text) => (text === 't' ? 1 : 0),
  17: (text) => Buffer.from(text.slice(2), 'hex'),
  20: integer,
  21: integer,
  23: integer,
  // numeric, which sums of bigint are
  1700: integer,
};

/** How values of rows are read; per connection, for the driver's own table is the whole process's. */
export const typeParsers: CustomTypesConfig = {
  getTypeParser: (oid: number) => parsers[oid] ?? ((text: string) => text),
};
