import type { PlacedEntry } from './entry.ts';

/** RFC 4180: lines end in CRLF, fields with a comma, a quote or a line end stand in quotes. */
const lineEnd = '\r\n';

const columns: readonly (readonly [
  name: string,
  of: (placed: PlacedEntry) => string | number | undefined,
])[] = [
  ['index', ({ index }) => index],
  ['time', ({ entry }) => new Date(entry.time).toISOString()],
  ['kind', ({ kind }) => kind],
  ['operation', ({ entry }) => entry.operation],
  ['outcome', ({ entry }) => entry.outcome],
  ['code', ({ entry }) => entry.code],
  ['actor', ({ entry }) => entry.actor],
  ['role', ({ entry }) => entry.role],
  ['purpose', ({ entry }) => entry.purpose],
  ['study', ({ entry }) => entry.study],
  ['subject', ({ entry }) => entry.subject],
  ['class', ({ entry }) => entry.class],
  ['system', ({ entry }) => entry.system],
  ['key', ({ entry }) => entry.key],
  ['version', ({ entry }) => entry.version],
  ['dataKey', ({ entry }) => entry.dataKey],
  ['state', ({ entry }) => entry.state],
  ['reason', ({ entry }) => entry.reason],
  ['approval', ({ entry }) => entry.approval],
  ['person', ({ entry }) => entry.person],
  ['credential', ({ entry }) => entry.credential],
  ['attestedUse', ({ entry }) => entry.attested?.use],
  ['attestedCount', ({ entry }) => entry.attested?.count],
  ['attestedTime', ({ entry }) => entry.attested && new Date(entry.attested.time).toISOString()],
  ['reporter', ({ entry }) => entry.reporter],
  ['id', ({ entry }) => entry.entry],
  // Everything, as it is hashed: what has no column is here.
  ['entry', ({ text }) => text],
];

/**
 * One field. What a spreadsheet would run as a formula gets an apostrophe in front (OWASP, CSV injection), and control characters are
 * replaced: a line of the file is a line of the table.
 */
export function csvField(value: string | number | undefined): string {
  if (value === undefined) return '';
  const plain = String(value).replaceAll(/[^\P{C}]|\p{Zl}|\p{Zp}/gu, '\uFFFD');
  const safe =
    typeof value === 'string' && /^[=+\-@\uFF0B\uFF0D\uFF1D\uFF20]/.test(plain) ? `'${plain}` : plain;
  return /[",]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

export function csvHead(): string {
  return columns.map(([name]) => name).join(',') + lineEnd;
}

export function csvLine(placed: PlacedEntry): string {
  return columns.map(([, of]) => csvField(of(placed))).join(',') + lineEnd;
}
