/** An object that JSON.parse gave. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Deepest value that is read; what Trialkeep writes has few levels, and a deeper text is meant to exhaust the stack. */
const maxDepth = 32;

/**
 * Canonical JSON (RFC 8785) of a value that JSON.parse gave: members in the order of their names (UTF-16 code units), no space;
 * strings and numbers as ECMAScript writes them. Undefined for values too deep, or of text that is not well-formed.
 */
export function canonicalText(value: unknown, depth = 0): string | undefined {
  if (depth > maxDepth) return undefined;
  if (typeof value === 'string') return value.isWellFormed() ? JSON.stringify(value) : undefined;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const isArray = Array.isArray(value);
  const members = isArray
    ? Object.entries(value)
    : Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  const texts: string[] = [];
  for (const [name, member] of members) {
    const text = canonicalText(member, depth + 1);
    if (text === undefined || !name.isWellFormed()) return undefined;
    texts.push(isArray ? text : `${JSON.stringify(name)}:${text}`);
  }
  return isArray ? `[${texts.join(',')}]` : `{${texts.join(',')}}`;
}

/**
 * An object from its canonical text. Undefined for every other text: one that says a member twice, in another order or with other
 * spaces would be a second text of the same object, with another hash.
 */
export function parseCanonicalObject(text: string): JsonObject | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isJsonObject(value) && canonicalText(value) === text ? value : undefined;
}
