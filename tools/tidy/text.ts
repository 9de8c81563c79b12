import type { Finding, Source } from './source.ts';
import { lineAt } from './source.ts';

interface Rule {
  readonly pattern: RegExp;
  readonly message: string;
}

const rules: readonly Rule[] = [
  { pattern: /\b(TO[D]O|FIXM[E]|XX[X])\b/g, message: 'do it now, or file an issue and leave no mark' },
  {
    // Format characters (soft hyphen, zero width, bidirectional control), separators, variation selectors.
    pattern: /[\p{Cf}\p{Variation_Selector}\u00a0\u2028\u2029]/gu,
    message: 'an invisible character: write it as an escape, or a plain space',
  },
  {
    pattern: /(?<![\w.~-])\/(?:work|root|tmp|home|Users)\//g,
    message: 'a path of one machine: take it from the environment or the working directory',
  },
  {
    pattern:
      /\b(?:registry\.(?:npmjs|yarnpkg|npmmirror)|npm\.pkg\.github|pypi|files\.pythonhosted|(?:index|static)\.crates|proxy\.golang|deb\.debian|repo1?\.maven(?:\.apache)?)\.(?:com|org|io)\b/g,
    message: 'a package registry by host: name the package alone',
  },
];

/** Vectors and the lock file are data of outside formats. */
const isData = (path: string): boolean => path.startsWith('vectors/') || path === 'package-lock.json';

/** What no text of the repository may hold, code or not. */
export function checkText({ path, text }: Source): Finding[] {
  if (isData(path)) return [];
  return rules.flatMap(({ pattern, message }) =>
    [...text.matchAll(pattern)].map((match) => ({
      path,
      line: lineAt(text, match.index),
      message: `${JSON.stringify(match[0])}: ${message}`,
    })),
  );
}
