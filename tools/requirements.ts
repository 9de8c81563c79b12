import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Status, TestResult } from './requirement-reporter.ts';

/** Where the last results are kept; relative to the repository, and not part of it. */
export const resultsDirectory = '.test-results';
const resultsFile = join(resultsDirectory, 'results.json');

type Kept = Record<string, Pick<TestResult, 'title' | 'status'>[]>;

/** The requirement ids that a title carries in brackets, as in `a flipped bit never opens [URS-047]`. */
export function idsIn(text: string): string[] {
  return [...text.matchAll(/\[(URS-\d{3}(?:, URS-\d{3})*)\]/g)].flatMap(
    (match) => match[1]?.split(', ') ?? [],
  );
}

/** Replaces what is known of the files that just ran and leaves the others' last results alone. */
export function keepResults(files: readonly string[], results: readonly TestResult[]): void {
  const kept = readKept();
  for (const file of files) kept[file] = [];
  for (const { file, title, status } of results) (kept[file] ??= []).push({ title, status });
  writeFileSync(resultsFile, JSON.stringify(kept));
}

function readKept(): Kept {
  return existsSync(resultsFile) ? (JSON.parse(readFileSync(resultsFile, 'utf8')) as Kept) : {};
}

/** The report of `npm test -- --requirements`, of the tests that are here and their last results. */
export async function requirementReport(): Promise<string> {
  const kept = readKept();
  const rows = globSync('{packages/*/src,tools,e2e}/**/*.test.ts')
    .toSorted()
    .flatMap((file) => rowsOf(file, readFileSync(file, 'utf8'), kept[file] ?? []));
  const { operations } = await import('@trialkeep/contract');
  return report(
    rows,
    Object.values(operations).flatMap((operation) => operation.requirements),
  );
}

/** One test that names a requirement. */
export interface Row {
  readonly requirement: string;
  readonly file: string;
  readonly title: string;
  readonly status: Status | 'not run';
}

/** The rows of one test file; an id in its text that no kept result carries has not run since it was written. */
export function rowsOf(file: string, text: string, kept: Kept[string]): Row[] {
  const ran = kept.flatMap(({ title, status }) =>
    idsIn(title).map((requirement) => ({ requirement, file, title, status })),
  );
  const known = new Set(ran.map((row) => row.requirement));
  const missing = new Set(idsIn(text).filter((requirement) => !known.has(requirement)));
  return [
    ...ran,
    ...[...missing].map((requirement) => ({ requirement, file, title: '', status: 'not run' as const })),
  ];
}

/**
 * @param rows what tests name
 * @param served the requirements that the contract's operations say they serve
 */
export function report(rows: readonly Row[], served: readonly string[]): string {
  const byRequirement = Map.groupBy(rows, (row) => row.requirement);
  const lines: string[] = [];
  for (const requirement of [...byRequirement.keys()].toSorted()) {
    lines.push(requirement);
    for (const { status, file, title } of byRequirement.get(requirement) ?? []) {
      lines.push(`  ${status.padEnd(8)}${file}${title === '' ? '' : `: ${title}`}`);
    }
  }
  const untested = [...new Set(served)].filter((requirement) => !byRequirement.has(requirement)).toSorted();
  lines.push(
    '',
    'Served by an operation of the contract, named by no test:',
    `  ${untested.join(', ') || 'none'}`,
  );
  return lines.join('\n');
}
