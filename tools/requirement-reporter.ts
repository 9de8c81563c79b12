import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';

export type Status = 'passed' | 'failed' | 'skipped' | 'todo';

/** One finished test or suite. */
export interface TestResult {
  /** Relative to the folder that the run began in. */
  readonly file: string;
  readonly title: string;
  readonly status: Status;
  /** Why it was skipped, where it says so. */
  readonly reason?: string;
}

/** The runner's own counts; suites are not among them. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export type ResultLine = { result: TestResult } | { counts: Counts };

/** A reporter for `node --test`: one JSON line for each result, and at the very end one with the counts. */
export default async function* requirementReporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source) {
    if (event.type === 'test:pass' || event.type === 'test:fail') yield line({ result: resultOf(event) });
    if (event.type === 'test:summary' && event.data.file === undefined) {
      const { tests, passed, skipped, todo } = event.data.counts;
      const notRun = skipped + todo;
      yield line({ counts: { passed, failed: tests - passed - notRun, skipped: notRun } });
    }
  }
}

function resultOf({ type, data }: Extract<TestEvent, { type: 'test:pass' | 'test:fail' }>): TestResult {
  const file = relative(process.cwd(), data.file ?? '');
  if (data.skip !== undefined) {
    return {
      file,
      title: data.name,
      status: 'skipped',
      ...(typeof data.skip === 'string' && { reason: data.skip }),
    };
  }
  if (data.todo !== undefined) return { file, title: data.name, status: 'todo' };
  return { file, title: data.name, status: type === 'test:pass' ? 'passed' : 'failed' };
}

function line(value: ResultLine): string {
  return `${JSON.stringify(value)}\n`;
}
