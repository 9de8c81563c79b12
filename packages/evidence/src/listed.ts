import {
  canonicalText,
  isJsonObject,
  type JsonObject,
  hasShape,
  isIndex,
  type Shape,
} from '@trialkeep/ledger';

/** Most entries of the ledger that one document quotes. */
export const maxListedEntries = 10_000;
const maxEntryLength = 65_535;

/** The members of an entry that a document goes by (docs/formats/ledger-entry.md); all others are passed over. */
export type EntryMembers = JsonObject & {
  readonly operation: string;
  readonly outcome: string;
  readonly time: number;
};

/** An entry of the log as the body quotes it, whose canonical text is what was hashed, and its place. */
export type ListedEntry = { readonly entry: EntryMembers; readonly index: number };

/**
 * Whether it is a list of entries below `size`, each once, in the order of the log, each with the form of an entry.
 *
 * @param more what else each item has
 */
export function isListing(value: unknown, size: number, more: Shape = {}): value is readonly ListedEntry[] {
  if (!Array.isArray(value) || value.length > maxListedEntries) return false;
  let next = 0;
  return value.every((listed: unknown) => {
    if (!hasShape(listed, { ...more, entry: isEntry, index: isIndex })) return false;
    const index = listed.index as number;
    const isNext = index >= next && index < size;
    next = index + 1;
    return isNext;
  });
}

/** Whether it has what every entry has. */
export function isEntry(value: unknown): value is EntryMembers {
  return (
    isJsonObject(value) &&
    typeof value.operation === 'string' &&
    typeof value.outcome === 'string' &&
    isIndex(value.time)
  );
}

/** The entry as it was hashed; undefined where it is longer than an entry can be. */
export function entryBytes(entry: EntryMembers): Uint8Array | undefined {
  const bytes = new TextEncoder().encode(canonicalText(entry));
  return bytes.length <= maxEntryLength ? bytes : undefined;
}

/** A member that is a text, as most are. */
export function textOf(entry: EntryMembers, member: string): string | undefined {
  const value = entry[member];
  return typeof value === 'string' ? value : undefined;
}
