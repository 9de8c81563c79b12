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

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Uint8Array;
  readonly signal?: AbortSignal;
}

/** Runs one command line in this process, with streams and an environment of its own. */
export async function runCommand(argv: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const io: Io = {
    stdin: Readable.from(options.stdin === undefined ? [] : [Buffer.from(options.stdin as string)]),
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
