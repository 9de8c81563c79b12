/**
 * What a page shows, before it is one: the PDF and the verifier's page are made of the same blocks, so that they say the same.
 * Texts are plain, of any script; `mono` marks ids and hashes.
 */
export type Block =
  | { readonly type: 'heading'; readonly text: string }
  | { readonly type: 'paragraph'; readonly text: string }
  | { readonly type: 'facts'; readonly facts: readonly Fact[] }
  | {
      readonly type: 'table';
      readonly columns: readonly Column[];
      readonly rows: readonly (readonly string[])[];
    };

/** One fact of a list: what it is, and what it says. */
export type Fact = { readonly name: string; readonly value: string; readonly mono?: true };

/** A column; `share` of the width in per cent, all of a table 100. */
export type Column = { readonly title: string; readonly share: number; readonly mono?: true };

/** A moment as people and machines read it: `2027-03-01 09:30:00.125 UTC`. */
export function utc(time: number): string {
  return `${new Date(time).toISOString().replace('T', ' ').replace('Z', '')} UTC`;
}

/** A name with its id, or the id where nobody gave it a name. */
export function named(names: Readonly<Record<string, string>>, id: string | undefined): string {
  if (id === undefined) return '–';
  const name = Object.hasOwn(names, id) ? names[id] : undefined;
  return name === undefined ? id : `${name} (${id})`;
}
