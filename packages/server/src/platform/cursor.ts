/** The last row of a page: a time in base 36, and an id; undefined for what is no such cursor. */
export function placeOfCursor(cursor: string): { time: number; id: string } | undefined {
  const [, text, id] = /^([0-9a-z]{1,11})_([0-9a-f-]{36})$/.exec(cursor) ?? [];
  const time = text === undefined ? NaN : parseInt(text, 36);
  if (id === undefined || !Number.isSafeInteger(time) || time.toString(36) !== text) return undefined;
  return { time, id };
}

/** The cursor that goes on behind a row. */
export function cursorBehind(time: number, id: string): string {
  return `${time.toString(36)}_${id}`;
}
