import type { Finding, Source } from './source.ts';
import { isTest, lineAt } from './source.ts';

/** What cannot be anything but a key, wherever it stands. */
const certain: readonly RegExp[] = [
  /-----BEGIN [A-Z ]*PRIVATE KEY-----\s*[A-Za-z0-9+/=]/g,
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
];

/** 32 bytes or more, in hexadecimal or base64; not a digest that says so, as in `sha256:…` and `sha512-…`. */
const encoded: readonly RegExp[] = [
  /(?<!sha(?:256|384|512)[:-])(?<![0-9a-f])[0-9a-f]{64,}/gi,
  /(?<!sha(?:256|384|512):)(?<![A-Za-z0-9+/_-])(?!sha(?:256|384|512)-)[A-Za-z0-9+/_-]{43,}/g,
];

/**
 * Finds what looks like a key in code, configuration or a container file: keys come from the root of trust alone (URS-011).
 * Tests and vectors have example keys, documents have examples of formats, and the lock file has digests.
 */
export function checkKeyLiterals({ path, text }: Source): Finding[] {
  if (isTest(path) || path.startsWith('vectors/') || path === 'package-lock.json') return [];
  const all = (patterns: readonly RegExp[]): RegExpExecArray[] =>
    patterns.flatMap((pattern) => [...text.matchAll(pattern)]);
  const likely = path.endsWith('.md') ? [] : all(encoded).filter(([run]) => looksRandom(run));
  const lines = new Set([...all(certain), ...likely].map(({ index }) => lineAt(text, index)));
  const message = 'looks like a key: no key is ever kept in code or configuration; replace it if it was real';
  return [...lines].map((line) => ({ path, line, message }));
}

/** Whether a run of digits has the look of key material rather than of a name, an alphabet or a blank. */
function looksRandom(run: string): boolean {
  if (longestAscent(run) >= 10) return false;
  if (/^[0-9a-f]+$/i.test(run)) return bitsPerCharacter(run) >= 3;
  if (!/[a-z]/.test(run) || !/[A-Z]/.test(run)) return false;
  // A long name in camel case is almost all letters; of 43 random base64 digits about eight are none.
  const isName = run.replaceAll(/[A-Za-z]/g, '').length < 3;
  return bitsPerCharacter(run) >= (isName ? 4.4 : 4.1);
}

/** Shannon entropy of the characters: 4 at most for hexadecimal digits, 6 for base64; 4.2 to 5.3 for 43 random ones. */
function bitsPerCharacter(text: string): number {
  const counts = Map.groupBy(text, (character) => character);
  return [...counts.values()].reduce((bits, { length }) => {
    const share = length / text.length;
    return bits - share * Math.log2(share);
  }, 0);
}

/** The longest run of successive code points, as in `abcdef`. */
function longestAscent(text: string): number {
  let longest = 1;
  let current = 1;
  for (let i = 1; i < text.length; i++) {
    current = text.charCodeAt(i) === text.charCodeAt(i - 1) + 1 ? current + 1 : 1;
    longest = Math.max(longest, current);
  }
  return longest;
}
