import { CliError, cliErrors } from './errors.ts';
import { writeOut } from './io.ts';
import type { Io } from './io.ts';

/** Options of every verb. */
export interface OutputOptions {
  readonly json?: true;
}

/** Prints the result of a command: one JSON object with `--json`, otherwise the text for people. */
export async function print(
  io: Io,
  options: OutputOptions,
  result: object,
  text: () => string,
): Promise<void> {
  await writeOut(io, options.json === true ? `${JSON.stringify(result)}\n` : `${text()}\n`);
}

/** Says something beside the result, on standard error; not with `--json`, where standard error is for errors. */
export function say(io: Io, options: OutputOptions, sentence: string): void {
  if (options.json !== true) io.stderr.write(`${printable(sentence)}\n`);
}

/** A value of a table; undefined and null show as a dash. */
export type Cell = string | number | null | undefined;

/** Columns under their headings, padded with spaces; or a sentence where there is no row. */
export function table(
  headings: readonly string[],
  rows: readonly (readonly Cell[])[],
  none = 'None.',
): string {
  if (rows.length === 0) return none;
  const lines = [headings, ...rows].map((row) => row.map((cell) => printable(String(cell ?? '-'))));
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

/** Names and values, one below the other; the dash of `Cell` for what is missing. */
export function list(values: Readonly<Record<string, Cell>>): string {
  const width = Math.max(...Object.keys(values).map((name) => name.length));
  return Object.entries(values)
    .map(([name, value]) => `${name.padEnd(width)}  ${printable(String(value ?? '-'))}`)
    .join('\n');
}

/** A time of the API (ms since 1970) as ISO 8601, UTC. */
export function isoTime(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}

/** Bytes with a decimal prefix, three digits. */
export function humanBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(bytes) / 3)));
  const value = bytes / 1000 ** power;
  const decimals = power === 0 || value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(decimals)} ${units[power]}`;
}

/** Text from elsewhere without what could steer a terminal or reorder a line: control, format and bidirectional characters. */
export function printable(text: string): string {
  return text.replaceAll(/[^\P{C}\n\t]|\p{Zl}|\p{Zp}/gu, '\uFFFD');
}

/** A name or path from elsewhere as `printable`, and on one line: it cannot pass for a line of ours. */
export function printableName(name: string): string {
  return printable(name).replaceAll(/[\n\t]/g, '\uFFFD');
}

/** What every error that a user sees has: the package's own ones, the SDK's, the ledger's, the server process's. */
export interface Reportable {
  readonly code: string;
  readonly message: string;
  readonly fix: string;
  readonly path?: string | undefined;
  readonly field?: string | undefined;
  readonly requestId?: string | undefined;
}

/** The error as a user sees it. An error without a code of ours is `cli.unexpected`. */
export function reportable(error: unknown): Reportable {
  if (error instanceof Error && 'code' in error && 'fix' in error && typeof error.fix === 'string') {
    const { code, message, fix, path, field, requestId } = error as Error & Reportable;
    return {
      code,
      message,
      fix,
      ...(path !== undefined && { path }),
      ...(field !== undefined && { field }),
      ...(requestId !== undefined && { requestId }),
    };
  }
  const { message, fix } = cliErrors['cli.unexpected'];
  const detail = error instanceof Error ? error.message : String(error);
  return { code: 'cli.unexpected', message: `${message} (${detail})`, fix };
}

/** The two lines that an error is for a person. */
export function errorLines({ code, message, fix, path, field, requestId }: Reportable): string {
  const place = path === undefined ? '' : `${printableName(path)}: `;
  const about = [field, requestId === undefined ? undefined : `request ${requestId}`].filter(
    (part) => part !== undefined,
  );
  const more = about.length === 0 ? '' : ` (${about.join(', ')})`;
  return `${printable(`error: ${place}${message}${more} [${code}]\nfix: ${fix}`)}\n`;
}

/** Says on standard error what went wrong. */
export function printError(io: Io, options: OutputOptions, error: unknown): void {
  const shown = reportable(error);
  io.stderr.write(options.json === true ? `${JSON.stringify({ error: shown })}\n` : errorLines(shown));
}

/** The status that the process ends with for an error. */
export function exitStatusOf(error: unknown): number {
  return error instanceof CliError ? error.exitStatus : 1;
}
