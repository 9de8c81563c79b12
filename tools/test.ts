/**
 * `npm test` runs all tests; `npm test -- PATTERN` those whose path contains PATTERN;
 * `npm test -- --requirements` lists each requirement with its tests and their last results.
 *
 * Unit tests share as many processes as there are processors. Integration and end-to-end tests have a process each.
 * With TRIALKEEP_TEST_REQUIRE_ALL=1 a skipped test is a failure.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Counts, ResultLine, TestResult } from './requirement-reporter.ts';
import { keepResults, requirementReport, resultsDirectory } from './requirements.ts';

interface Group {
  readonly name: string;
  readonly files: readonly string[];
  readonly options: readonly string[];
  /** How many processes share the files; each starts others of its own where the options say so. */
  readonly processes: number;
  /** A group that has not ended by then is ended, so that a test that leaves something open cannot hold up CI. */
  readonly limitMinutes: number;
}

const apart = ['e2e/**/*.test.ts', '{packages/*/src,tools}/**/*.integration.test.ts'];

function groups(): Group[] {
  const integration = globSync(apart);
  const unit = globSync('{packages/*/src,tools}/**/*.test.ts').filter((file) => !integration.includes(file));
  const processors = availableParallelism();
  const apartOptions = [`--test-concurrency=${Math.max(2, processors)}`];
  return [
    {
      name: 'unit',
      files: unit,
      options: ['--test-isolation=none'],
      processes: processors,
      limitMinutes: 30,
    },
    { name: 'integration', files: integration, options: apartOptions, processes: 1, limitMinutes: 60 },
  ];
}

/** One process and its files. */
interface Lot extends Omit<Group, 'processes'> {
  /** What its lines are kept under. */
  readonly label: string;
}

/** Fewer files are not worth a process of their own. */
const fewestFiles = 50;

function lotsOf({ processes, ...group }: Group): Lot[] {
  const count = Math.min(processes, Math.ceil(group.files.length / fewestFiles));
  return Array.from({ length: count }, (_, lot) => ({
    ...group,
    label: count === 1 ? group.name : `${group.name}-${lot + 1}`,
    // In turns, since neighbours in a folder are alike and take alike long.
    files: group.files.filter((_file, index) => index % count === lot),
  }));
}

interface Outcome {
  readonly ok: boolean;
  readonly results: readonly TestResult[];
  readonly counts: Counts;
}

async function run(group: Lot): Promise<Outcome> {
  const lines = join(resultsDirectory, `${group.label}.jsonl`);
  writeFileSync(lines, '');
  const reporter = (name: string, destination: string): string[] => [
    `--test-reporter=${new URL(name, import.meta.url).href}`,
    `--test-reporter-destination=${destination}`,
  ];
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const child = spawn(
    process.execPath,
    [
      '--test',
      ...group.options,
      ...reporter('./quiet-reporter.ts', 'stdout'),
      ...reporter('./requirement-reporter.ts', lines),
      ...group.files,
    ],
    { stdio: 'inherit', env },
  );
  const isLate = endAfter(child, group.limitMinutes);
  const [status] = (await once(child, 'exit')) as [number | null];
  const { results, counts } = readLines(lines);
  if (isLate()) {
    console.error(`The ${group.name} tests were ended after ${group.limitMinutes} minutes.`);
  } else if (counts === undefined) {
    console.error(`The ${group.name} tests ended before they were all done: something ended the process.`);
  }
  const ok = status === 0 && counts !== undefined;
  return { ok, results, counts: counts ?? { passed: 0, failed: 1, skipped: 0 } };
}

/** Asks a process to end when its time is over, so that it can say what it was at; then ends it. */
function endAfter(child: ChildProcess, minutes: number): () => boolean {
  let late = false;
  const ask = setTimeout(() => (late = child.kill('SIGTERM')), minutes * 60_000);
  const end = setTimeout(() => child.kill('SIGKILL'), minutes * 60_000 + 10_000);
  child.once('exit', () => [ask, end].forEach(clearTimeout));
  return () => late;
}

function readLines(path: string): { results: TestResult[]; counts: Counts | undefined } {
  const results: TestResult[] = [];
  let counts: Counts | undefined;
  // What follows the last line end is empty, or the torn line of a process that was ended.
  for (const text of readFileSync(path, 'utf8').split('\n').slice(0, -1)) {
    const line = JSON.parse(text) as ResultLine;
    if ('result' in line) results.push(line.result);
    else counts = line.counts;
  }
  return { results, counts };
}

/** Runs the groups that have files for the pattern, prints the closing line and says whether all is well. */
async function runAll(pattern: string | undefined): Promise<boolean> {
  const chosen = groups().map((group) => ({
    ...group,
    files: group.files.filter((file) => pattern === undefined || file.includes(pattern)),
  }));
  const empty = chosen.filter((group) => group.files.length === 0);
  if (pattern === undefined ? empty.length > 0 : empty.length === chosen.length) {
    console.error(`No ${empty.map((group) => group.name).join(' and no ')} test files are here.`);
    return false;
  }
  mkdirSync(resultsDirectory, { recursive: true });
  const outcomes: Outcome[] = [];
  for (const group of chosen) outcomes.push(...(await Promise.all(lotsOf(group).map(run))));
  const results = outcomes.flatMap((outcome) => outcome.results);
  keepResults(
    chosen.flatMap((group) => group.files),
    results,
  );

  const requireAll = process.env['TRIALKEEP_TEST_REQUIRE_ALL'] === '1';
  const refused = requireAll ? results.filter(wasSkipped) : [];
  for (const { file, title, reason } of refused) {
    console.error(`✖ skipped, but nothing may be: ${file}: ${title} (${reason ?? 'no reason given'})`);
  }
  const total = (key: keyof Counts): number =>
    outcomes.reduce((sum, outcome) => sum + outcome.counts[key], 0);
  const failed = total('failed') + refused.length;
  console.log(`\n${total('passed')} passed, ${failed} failed, ${requireAll ? 0 : total('skipped')} skipped`);
  return outcomes.every((outcome) => outcome.ok) && refused.length === 0;
}

function wasSkipped(result: TestResult): boolean {
  return result.status === 'skipped' || result.status === 'todo';
}

const { values, positionals } = parseArgs({
  options: { requirements: { type: 'boolean' } },
  allowPositionals: true,
});
if (values.requirements === true) console.log(await requirementReport());
else process.exitCode = (await runAll(positionals[0])) ? 0 : 1;
