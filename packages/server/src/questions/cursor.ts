import { canonicalBytes, sha256Hex } from '../platform/canonical.ts';
import { OperationError } from '../platform/errors.ts';

/** Where a page begins, and what all pages of one answer have in common. */
export interface PlaceInAnswer {
  /** The last place that the page before looked at. */
  readonly after: number;
  /** The size of the log that the answer is complete up to. */
  readonly size: number;
  /** The time of the question, ms. */
  readonly at: number;
}

/** A cursor says which question it is of: three integers in base 36 and the beginning of the question's hash. */
export function formatCursor(question: object, { after, size, at }: PlaceInAnswer): string {
  return [after, size, at].map((value) => value.toString(36)).join('-') + `-${fingerprint(question)}`;
}

/** @throws OperationError `request.invalid` for what is no cursor of this question */
export function parseCursor(question: object, cursor: string): PlaceInAnswer {
  const parts = /^([0-9a-z]{1,11})-([0-9a-z]{1,11})-([0-9a-z]{1,11})-([0-9a-f]{16})$/.exec(cursor);
  const [after, size, at] = (parts?.slice(1, 4) ?? []).map((text) => {
    const value = parseInt(text, 36);
    return Number.isSafeInteger(value) && value.toString(36) === text ? value : undefined;
  });
  const isOfQuestion = parts?.[4] === fingerprint(question);
  if (!isOfQuestion || after === undefined || size === undefined || at === undefined || after >= size) {
    throw new OperationError('request.invalid', { field: '/cursor' });
  }
  return { after, size, at };
}

function fingerprint(question: object): string {
  return sha256Hex(canonicalBytes(question)).slice(0, 16);
}
