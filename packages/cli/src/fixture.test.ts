import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { Interruption } from './io.ts';
import type { Io } from './io.ts';
import { run } from './program.ts';

/** What a command said and how it ended. */
export interface Ran {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What the terminal of a person shows, and types there once a question is seen. */
export type Typed = readonly (readonly [question: string, answer: string])[];

export interface RunOptions {
  /** Standard input is a terminal at which a person answers these questions, in this order. */
  readonly typed?: Typed;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

/** Runs one command line in this process, with streams and an environment of its own. */
export async function runCommand(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const io: Io = {
    stdin:
      options.typed === undefined
        ? Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin as string)])
        : terminal(stderr, options.typed),
    stdout,
    stderr,
    env: options.env ?? {},
    signal: options.signal ?? new AbortController().signal,
  };
  const texts = Promise.all(
    [stdout, stderr].map(async (stream) => Buffer.concat(await stream.toArray()).toString()),
  );
  const status = await run(argv, io);
  stdout.end();
  stderr.end();
  const [out = '', err = ''] = await texts;
  return { status, stdout: out, stderr: err };
}

/** A terminal on which each answer is typed when its question stands on `screen`. */
function terminal(screen: PassThrough, typed: Typed): Io['stdin'] {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  const waiting = [...typed];
  let shown = '';
  screen.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
    const [question, answer] = waiting[0] ?? [];
    if (question === undefined || !shown.includes(question)) return;
    waiting.shift();
    shown = '';
    // The question is printed before the line is read.
    setImmediate(() => input.write(`${answer}\r`));
  });
  return input;
}

/** What a stand-in for the server was asked, and what it answers: a status and a body. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly authorization: string | undefined;
  readonly body: Readonly<Record<string, unknown>>;
}
type Answer = readonly [status: number, body: unknown, headers?: Readonly<Record<string, string>>];

/** Runs `work` against a small HTTP server of the test, which stands in for Trialkeep's. */
export async function serving(
  answer: (asked: Asked) => Answer,
  work: (url: string, asked: Asked[]) => Promise<void>,
): Promise<void> {
  const all: Asked[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { method = '', url: path = '', headers } = request;
      const body = JSON.parse(Buffer.concat(chunks).toString() || '{}') as Asked['body'];
      const asked = { method, path, authorization: headers.authorization, body };
      all.push(asked);
      const [status, content, more] = answer(asked);
      response
        .writeHead(status, { 'content-type': 'application/json', ...more })
        .end(JSON.stringify(content));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await work(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, all);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

/** The body of an error with this code. */
export function errorBody(code: string, more: object = {}): { error: object } {
  return { error: { code, message: 'It is so.', fix: 'Do that.', requestId: 'r1', ...more } };
}

/** A signal that is aborted as by SIGINT. */
export function interrupted(): AbortSignal {
  return AbortSignal.abort(new Interruption('SIGINT'));
}

/** Runs `work` in a folder of its own, which is removed afterwards. */
export async function inFolder(work: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'trialkeep-cli-'));
  try {
    await work(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
