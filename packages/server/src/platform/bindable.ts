/** What a statement's parameter may be, whichever database is under it. */
export type Bindable = string | number | bigint | Uint8Array | null;

/**
 * Lets only these kinds pass, for databases silently change others: `node:sqlite` binds a Date or NaN as NULL and does not
 * read back an integer beyond 2⁵³ − 1, `pg` writes objects as JSON, and neither keeps U+0000 or half a surrogate pair.
 *
 * @throws RangeError, TypeError; neither names the value
 */
export function bindable(parameters: readonly unknown[]): Bindable[] {
  return parameters.map((value) => {
    if (value === null) return value;
    if (typeof value === 'number' || typeof value === 'bigint') {
      if (Number.isSafeInteger(Number(value))) return value;
      throw new RangeError('A number that is no integer, or beyond 2⁵³ − 1, cannot be bound to a statement.');
    }
    if (value instanceof Uint8Array) return value;
    if (typeof value === 'string' && value.isWellFormed() && !value.includes('\0')) return value;
    throw new TypeError(`A value of type ${typeof value} cannot be bound to a statement.`);
  });
}
