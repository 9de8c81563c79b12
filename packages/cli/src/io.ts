import { constants } from 'node:os';
import type { Readable, Writable } from 'node:stream';
import { systemCode } from '@trialkeep/sdk/files';
import { CliError } from './errors.ts';

/** What a command has of the world around it; a test hands in its own. */
export interface Io {
  readonly stdin: Readable & { readonly isTTY?: boolean };
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted with an `Interruption` when the process is asked to end. */
  readonly signal: AbortSignal;
}

/** Why a command ends early: the process was sent this signal. */
export class Interruption extends CliError {
  readonly processSignal: NodeJS.Signals;

  constructor(processSignal: NodeJS.Signals) {
    super('cli.interrupted', { exitStatus: 128 + constants.signals[processSignal] });
    this.processSignal = processSignal;
  }
}

/** Ends a command with a status of its own, without a further word. */
export class Exit extends Error {
  readonly status: number;

  constructor(status: number) {
    super(`exit ${status}`);
    this.status = status;
  }
}

/** Writes text or bytes, and waits until they are out. @throws CliError `cli.output_failed`; Exit where nobody reads any more */
export async function writeOut(io: Io, content: string | Uint8Array): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      io.stdout.write(content, (error) => (error ? reject(error) : resolve()));
    });
  } catch (cause) {
    const detail = systemCode(cause) || 'closed';
    // As a process that SIGPIPE ends: the reader, such as `head`, has had enough.
    if (detail === 'EPIPE') throw new Exit(128 + constants.signals.SIGPIPE);
    throw new CliError('cli.output_failed', { detail, cause });
  }
}

/**
 * All of standard input.
 *
 * @throws CliError `cli.input_too_large` for more than `maxBytes`, `cli.input_unreadable`
 */
export async function readStdin(io: Io, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of io.stdin as AsyncIterable<Buffer | string>) {
      const buffer = Buffer.from(chunk);
      bytes += buffer.length;
      if (bytes > maxBytes)
        throw new CliError('cli.input_too_large', { detail: `more than ${maxBytes} bytes` });
      chunks.push(buffer);
    }
  } catch (cause) {
    io.signal.throwIfAborted();
    if (cause instanceof CliError) throw cause;
    throw new CliError('cli.input_unreadable', { cause });
  }
  io.signal.throwIfAborted();
  return Buffer.concat(chunks);
}

/** Text without the line end that an editor or `echo` leaves. @throws CliError `cli.input_invalid` where it is not UTF-8 */
export function textOf(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes).replace(/\r?\n$/, '');
  } catch (cause) {
    throw new CliError('cli.input_invalid', { detail: 'not UTF-8', cause });
  }
}
