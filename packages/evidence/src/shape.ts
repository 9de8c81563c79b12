import { matches, type Check } from '@trialkeep/ledger';

export const isAlias = matches(/^[0-9a-f]{32}$/);
export const isWord = matches(/^[a-z0-9][a-z0-9-]{0,63}$/);
export const isOrigin = matches(/^[^\u0000-\u0020\u007f]{1,1000}$/u);
/** A name or a title: one line. */
export const isLine = (value: unknown): boolean =>
  typeof value === 'string' &&
  value.isWellFormed() &&
  /^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]{1,200}$/u.test(value);
export const isOneOf =
  (...words: readonly string[]): Check =>
  (value) =>
    words.some((word) => word === value);
