/** What a text of JSON says and JavaScript would lose. The message says what, and no value. */
export class InexactJson extends Error {}

/** A reviver as ECMAScript 2026 calls it (proposal-json-parse-with-source): of a number it is given the text too. */
type SourceReviver = (name: string, value: unknown, context: { readonly source?: string }) => unknown;

/**
 * That reading a text of JSON (RFC 8259) loses nothing of it: each number is the one that a double gives back, and no name is twice in
 * an object. White space, escapes and the spelling of a number are not part of the value.
 *
 * @param stored as the database gives it; what is no text is none of ours
 * @throws InexactJson; SyntaxError for what is no JSON
 */
export function requireExactJson(stored: unknown): void {
  if (typeof stored !== 'string') return;
  let members = 0;
  const visit: SourceReviver = (_name, value, { source }) => {
    if (typeof value === 'number' && decimal(source ?? '') !== decimal(String(value))) {
      throw new InexactJson('a number within it has more digits than a double');
    }
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      members += Object.keys(value).length;
    }
    return value;
  };
  JSON.parse(stored, visit as (name: string, value: unknown) => unknown);
  // In valid JSON, what is between quotation marks and before a colon is a name; those of one object that are equal were read as one.
  const names = stored.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"(?<colon>\s*:)?/g);
  const written = [...names].filter(({ groups }) => groups?.['colon'] !== undefined).length;
  if (written !== members) throw new InexactJson('an object within it has a name twice');
}

/** One text for each number, however it is written. */
function decimal(source: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?$/.exec(source) ?? [];
  const digits = `${whole}${fraction}`.replace(/^0+/, '');
  const significant = digits.replace(/0+$/, '');
  if (significant === '') return source === '' ? 'none' : '0';
  return `${sign}${significant}e${BigInt(exponent) - BigInt(fraction.length) + BigInt(digits.length - significant.length)}`;
}
