import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

/** A page of docs/ that is generated from the code. */
export interface Page {
  readonly path: string;
  /** Markdown, not formatted yet. @throws Error that names what is missing of the code it describes */
  readonly render: () => Promise<string>;
}

/** One export of one source file, wherever its package's `exports` lead. */
export async function load<T>(file: string, name: string): Promise<T> {
  if (!existsSync(file)) throw new Error(`${file} is missing, and the generated documents need its ${name}.`);
  const module = (await import(pathToFileURL(resolve(file)).href)) as Record<string, T | undefined>;
  const value = module[name];
  if (value === undefined)
    throw new Error(`${file} does not export ${name}, which the generated documents need.`);
  return value;
}

/** A Markdown table; the first row is the head. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

export const code = (text: string): string => `\`${text}\``;

/** The first lines of every generated page. */
export function heading(title: string, source: string): string {
  return `# ${title}\n\n<!-- Generated from ${source} by npm run docs. -->\n`;
}
