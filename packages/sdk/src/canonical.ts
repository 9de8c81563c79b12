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
export function parseCanonicalObject(text: string): Readonly<Record<string, unknown>> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  return canonicalText(value) === text ? (value as Record<string, unknown>) : undefined;
}

/** What the members of an object have to be, each tested by its own check; others than those may not be there. */
export type Shape = Readonly<Record<string, (value: unknown) => boolean>>;

export function hasShape(value: Readonly<Record<string, unknown>>, shape: Shape): boolean {
  const names = Object.keys(shape);
  return (
    Object.keys(value).length === names.length &&
    names.every((name) => Object.hasOwn(value, name) && shape[name]?.(value[name]) === true)
  );
}

const matches = (pattern: RegExp) => (value: unknown) => typeof value === 'string' && pattern.test(value);

export const isUuid = matches(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
export const isSha256Hex = matches(/^[0-9a-f]{64}$/);
export const isOperationId = matches(/^[a-z][a-z-]{0,63}\.[a-z][a-z-]{0,63}$/);
/** An origin of a log, or a name: one line. */
export const isLine = matches(/^[^\u0000-\u001f\u007f]{1,1000}$/u);
/** Milliseconds since 1970 that a `Date` can hold. */
export const isTime = (value: unknown): boolean =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 8_640_000_000_000_000;
