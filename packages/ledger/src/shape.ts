import { isJsonObject, type JsonObject } from './canonical.ts';

/** What one value has to be. */
export type Check = (value: unknown) => boolean;

/** What the members of an object have to be; others than those may not be there. */
export type Shape = Readonly<Record<string, Check>>;

/** Whether the object has every member of `required`, and beside them none but those of `optional`. */
export function hasShape(value: unknown, required: Shape, optional: Shape = {}): value is JsonObject {
  if (!isJsonObject(value)) return false;
  const isRight = ([name, member]: [string, unknown]): boolean => {
    const check = Object.hasOwn(required, name) ? required[name] : undefined;
    const other = Object.hasOwn(optional, name) ? optional[name] : undefined;
    return (check ?? other)?.(member) === true;
  };
  return (
    Object.entries(value).every(isRight) && Object.keys(required).every((name) => Object.hasOwn(value, name))
  );
}

/** A check for text that is wholly of a pattern, which says where it begins and ends. */
export const matches =
  (pattern: RegExp): Check =>
  (value) =>
    typeof value === 'string' && pattern.test(value);

export const isUuid = matches(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
export const isSha256Hex = matches(/^[0-9a-f]{64}$/);
export const isOperationId = matches(/^[a-z][a-z-]{0,63}\.[a-z][a-z-]{0,63}$/);
export const isIndex: Check = (value) => Number.isSafeInteger(value) && (value as number) >= 0;
/** Milliseconds since 1970 that a `Date` can hold. */
export const isTime: Check = (value) => isIndex(value) && (value as number) <= 8_640_000_000_000_000;
