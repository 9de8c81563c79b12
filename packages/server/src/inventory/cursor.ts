import { canonicalBytes, sha256Hex } from '../platform/canonical.ts';
import { OperationError } from '../platform/errors.ts';
import type { KeyPlace } from './store.ts';

/** What a cursor is good for: one tenant's answer to one question. */
export interface AskedKeys {
  readonly tenant: string;
  readonly question: object;
}

/** A cursor of the live inventory: the order's value in base 36, the id, and the beginning of the question's hash. */
export function formatKeyCursor(asked: AskedKeys, { value, id }: KeyPlace): string {
  return `${value.toString(36)}_${id}_${fingerprint(asked)}`;
}

/** @throws OperationError `request.invalid` for what is no cursor of this question of this tenant */
export function parseKeyCursor(asked: AskedKeys, cursor: string | undefined): KeyPlace {
  if (cursor === undefined) return { value: -1, id: '' };
  const [, text, id, hash] = /^([0-9a-z]{1,11})_([0-9a-f-]{36})_([0-9a-f]{16})$/.exec(cursor) ?? [];
  const value = integerOf(text);
  if (value === undefined || id === undefined || hash !== fingerprint(asked)) throw noCursor();
  return { value, id };
}

/** A cursor of a past inventory: the index of the last key's making that was looked at, and the bound that all pages have. */
export interface PlaceInPast {
  readonly after: number;
  /** Entries before this index are of the time that is asked for. */
  readonly end: number;
}

export function formatPastCursor(asked: AskedKeys, { after, end }: PlaceInPast): string {
  return `${after.toString(36)}_${end.toString(36)}_${fingerprint(asked)}`;
}

/** @throws OperationError `request.invalid` for what is no cursor of this question of this tenant */
export function parsePastCursor(asked: AskedKeys, cursor: string): PlaceInPast {
  const [, afterText, endText, hash] =
    /^([0-9a-z]{1,11})_([0-9a-z]{1,11})_([0-9a-f]{16})$/.exec(cursor) ?? [];
  const [after, end] = [integerOf(afterText), integerOf(endText)];
  if (after === undefined || end === undefined || after >= end || hash !== fingerprint(asked))
    throw noCursor();
  return { after, end };
}

function integerOf(text: string | undefined): number | undefined {
  const value = text === undefined ? NaN : parseInt(text, 36);
  return Number.isSafeInteger(value) && value.toString(36) === text ? value : undefined;
}

function noCursor(): OperationError {
  return new OperationError('request.invalid', { field: '/cursor' });
}

function fingerprint({ tenant, question }: AskedKeys): string {
  return sha256Hex(canonicalBytes({ tenant, ...question })).slice(0, 16);
}
