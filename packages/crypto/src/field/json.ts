import { CryptoError } from '../errors.ts';

/** What a column of JSON holds. */
export type JsonValue =
  string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue };

/** Deeper values are refused: reading one could exhaust the stack. */
const maximumLevels = 64;

/**
 * Canonical JSON (RFC 8785): members in the order of their names' UTF-16 code units, no white space, strings and
 * numbers as ECMAScript writes them. What JSON does not have is refused and never dropped: `undefined`, functions,
 * holes, dates and other classes, NaN, lone surrogates.
 *
 * @throws CryptoError `crypto.field_value_invalid`
 */
export function canonicalJson(value: unknown, levels = 1): string {
  switch (typeof value) {
    case 'string':
      return textOf(value);
    case 'number':
      if (!Number.isFinite(value)) throw invalid('a number that is not finite');
      return JSON.stringify(value);
    case 'boolean':
      return value ? 'true' : 'false';
    case 'object':
      break;
    default:
      throw invalid(typeof value);
  }
  if (value === null) return 'null';
  if (levels > maximumLevels) throw invalid(`more than ${maximumLevels} levels`);
  return Array.isArray(value) ? arrayText(value, levels) : objectText(value, levels);
}

function arrayText(items: readonly unknown[], levels: number): string {
  const texts: string[] = [];
  // By index, so that a hole is met as `undefined`.
  for (let i = 0; i < items.length; i += 1) texts.push(canonicalJson(items[i], levels + 1));
  return `[${texts.join(',')}]`;
}

function objectText(value: object, levels: number): string {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw invalid('neither object nor array');
  const members = value as Readonly<Record<string, unknown>>;
  const texts = Object.keys(members)
    .sort()
    .map((name) => `${textOf(name)}:${canonicalJson(members[name], levels + 1)}`);
  return `{${texts.join(',')}}`;
}

function textOf(text: string): string {
  if (!text.isWellFormed()) throw invalid('lone surrogate');
  return JSON.stringify(text);
}

function invalid(detail: string): CryptoError {
  return new CryptoError('crypto.field_value_invalid', `JSON: ${detail}`);
}
