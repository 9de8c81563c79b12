import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { createTargetFile, systemCode } from '@trialkeep/sdk/files';
import { CliError } from './errors.ts';
import { readStdin, writeOut } from './io.ts';
import type { Io } from './io.ts';

/**
 * All of a file, or of standard input where none is named.
 *
 * @throws CliError `cli.input_too_large` for more than `maxBytes`, `cli.input_unreadable`
 */
export async function readInput(io: Io, path: string | undefined, maxBytes: number): Promise<Buffer> {
  if (path === undefined) return readStdin(io, maxBytes);
  try {
    const file = await open(path);
    try {
      const bytes = Buffer.alloc(maxBytes + 1);
      let length = 0;
      for (let read = -1; read !== 0 && length < bytes.length; length += read) {
        read = (await file.read(bytes, length, bytes.length - length)).bytesRead;
      }
      if (length > maxBytes)
        throw new CliError('cli.input_too_large', { path, detail: `more than ${maxBytes} bytes` });
      return bytes.subarray(0, length);
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (cause instanceof CliError) throw cause;
    throw new CliError('cli.input_unreadable', { path, detail: systemCode(cause), cause });
  }
}

/** Writes the result to a file, whole or not at all, or to standard output where none is named. */
export async function writeResult(
  io: Io,
  options: { readonly out?: string; readonly overwrite?: true },
  content: Uint8Array,
): Promise<void> {
  if (options.out === undefined) return writeOut(io, content);
  const target = await createTargetFile(options.out, { overwrite: options.overwrite === true });
  try {
    await target.write(content);
    await target.commit();
  } finally {
    await target.abandon();
  }
}

/** One line from the person at the terminal. */
export async function ask(io: Io, question: string): Promise<string> {
  const terminal = createInterface({ input: io.stdin, output: io.stderr, historySize: 0 });
  try {
    return await terminal.question(question, { signal: io.signal });
  } finally {
    terminal.close();
  }
}
