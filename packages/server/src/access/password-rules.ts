import { CryptoError, normalizePassword } from '@trialkeep/crypto';
import { commonPasswords } from './common-passwords.ts';

/** Beside a second factor: NIST SP 800-63B-4 section 3.1.1.2. */
const minLength = 8;
const maxLength = 256;
const minDifferentCharacters = 3;
const product = 'trialkeep';

/**
 * Whether a password is too short, or among the first guesses (NIST SP 800-63B-4 section 3.1.1.2): one of the commonest, or the
 * person's or the product's name with nothing but digits and signs around it. Lengths are in code points after
 * normalisation; case does not count.
 */
export function isWeakPassword(password: string, person: { name: string; login: string }): boolean {
  const characters = charactersOf(password);
  if (characters === undefined) return true;
  if (characters.length < minLength || characters.length > maxLength) return true;
  if (new Set(characters).size < minDifferentCharacters) return true;
  const guessed = characters.join('');
  const withoutEnd = guessed.replace(/[^\p{L}]+$/u, '');
  if (commonPasswords.has(guessed) || commonPasswords.has(withoutEnd)) return true;
  const words = [product, ...`${person.name} ${person.login}`.toLowerCase().split(/[^\p{L}\p{N}]+/u)];
  const rest = words
    .filter((word) => word.length >= 3)
    .toSorted((one, other) => other.length - one.length)
    .reduce((left, word) => left.replaceAll(word, ''), guessed);
  return rest !== guessed && !/\p{L}/u.test(rest);
}

/** In lower case; undefined for what is no password at all. */
function charactersOf(password: string): string[] | undefined {
  try {
    return Array.from(normalizePassword(password).toLowerCase());
  } catch (error) {
    if (error instanceof CryptoError) return undefined;
    throw error;
  }
}
