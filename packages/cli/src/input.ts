import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { createTargetFile, systemCode } from '@trialkeep/sdk/files';
import { CliError } from './errors.ts';
import { Interruption, readStdin, textOf, writeOut } from './io.ts';
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

/** Longest secrets that are read, bytes: an invitation, a password and a code fit well. */
const maxSecretBytes = 8000;

/**
 * Secrets of a person, one each: asked for on a terminal without showing them, and otherwise the lines of standard input. Errors
 * name what is missing, never what was there.
 *
 * @param names what they are, in order
 * @throws CliError `cli.input_invalid` for other lines than these; `cli.input_…` of reading
 */
export async function readSecrets<const Names extends readonly string[]>(
  io: Io,
  names: Names,
): Promise<{ [Name in keyof Names]: string }> {
  const secrets: string[] = [];
  if (io.stdin.isTTY === true) {
    for (const name of names) secrets.push(await askHidden(io, `${capitalised(name)}: `));
  } else {
    secrets.push(...textOf(await readStdin(io, maxSecretBytes)).split(/\r?\n/));
  }
  if (secrets.length === names.length && secrets.every((secret) => secret !== '')) {
    return secrets as { [Name in keyof Names]: string };
  }
  throw new CliError('cli.input_invalid', {
    detail: `not ${names.length} lines`,
    fix: `Give on standard input, one a line: ${names.join(', ')}.`,
  });
}

function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** One line from the person at the terminal. */
export async function ask(io: Io, question: string): Promise<string> {
  return askOn(io, io.stderr, question);
}

/** The same, without showing what is typed. */
export async function askHidden(io: Io, question: string): Promise<string> {
  io.stderr.write(question);
  try {
    return await askOn(io, new Writable({ write: (_chunk, _encoding, done) => done() }), '');
  } finally {
    io.stderr.write('\n');
  }
}

/** @throws Interruption for the interrupt key, which a terminal under readline does not turn into a signal; CliError `cli.input_empty` */
async function askOn(io: Io, output: Writable, question: string): Promise<string> {
  const terminal = createInterface({ input: io.stdin, output, terminal: true, historySize: 0 });
  try {
    return await new Promise<string>((resolve, reject) => {
      terminal.once('SIGINT', () => reject(new Interruption('SIGINT')));
      terminal.once('close', () => reject(new CliError('cli.input_empty')));
      terminal.question(question, { signal: io.signal }).then(resolve, reject);
    });
  } finally {
    terminal.close();
  }
}
