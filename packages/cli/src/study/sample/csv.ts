import type { Cell } from './tables.ts';

/** RFC 4180: CRLF after each record; a field with a comma, a quote or a line break is quoted. Null is an empty field. */
export function csv(records: readonly (readonly Cell[])[]): Buffer {
  return Buffer.from(records.map((record) => `${record.map(field).join(',')}\r\n`).join(''));
}

function field(cell: Cell): string {
  const text = String(cell ?? '');
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
