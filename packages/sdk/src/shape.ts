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
