import { relative } from 'node:path';
import { Readable } from 'node:stream';
import { spec } from 'node:test/reporters';
import type { TestEvent } from 'node:test/reporters';

/**
 * Node's spec reporter without the tests that passed: failures, skips with their reason, what tests print, and
 * the closing counts. Where each file is a process, one line a file shows that the run goes on.
 */
export default async function* quietReporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  yield* Readable.from(worthReading(source)).pipe(new spec());
}

async function* worthReading(source: AsyncIterable<TestEvent>): AsyncGenerator<TestEvent> {
  for await (const event of source) {
    if (event.type === 'test:start') continue;
    if (event.type === 'test:pass' && event.data.skip === undefined) continue;
    if (event.type === 'test:summary' && event.data.file !== undefined) yield fileLine(event.data);
    else yield event;
  }
}

function fileLine({ file, success, counts, duration_ms }: FileSummary): TestEvent {
  const seconds = (duration_ms / 1000).toFixed(1);
  const message = `${success ? '✔' : '✖'} ${relative(process.cwd(), file ?? '')}: ${counts.tests} tests, ${seconds} s\n`;
  return { type: 'test:stdout', data: { file: file ?? '', message } };
}

type FileSummary = Extract<TestEvent, { type: 'test:summary' }>['data'];
