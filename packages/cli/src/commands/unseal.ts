import { parseShare } from '@trialkeep/crypto';
import type { Command } from 'commander';
import { askShare } from '../ceremony/shares-input.ts';
import { CliError } from '../errors.ts';
import { readInput } from '../input.ts';
import { textOf } from '../io.ts';
import type { Io } from '../io.ts';
import { print } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { ServerProcessError } from '../server-process.ts';
import { serverUrl } from '../session.ts';
import { addVerb } from '../verb.ts';

interface UnsealOptions extends OutputOptions {
  readonly url?: string;
  readonly file?: string;
}

interface Progress {
  readonly state: 'sealed' | 'opening' | 'not-sealed';
  readonly set?: string;
  readonly threshold?: number;
  readonly given?: number;
}

/** Longest input with shares that is read, bytes. */
const maxSharesBytes = 8000;
/** A server that is sealed has nothing else to do. */
const answerTimeoutMs = 30_000;
const maxAnswerCharacters = 10_000;

export function register(program: Command, io: Io): void {
  addVerb(program, 'unseal', 'give a share of the root of trust to a server that is sealed')
    .option('--url <url>', 'where the server is; otherwise TRIALKEEP_URL, or this machine')
    .option(
      '--file <file>',
      'shares, one a line; otherwise asked for on a terminal, or the lines of standard input',
    )
    .addHelpText(
      'after',
      '\nEach custodian runs it for their own share, on the machine of the server or over https. The share is kept in memory alone; with as many as\n' +
        'are needed the server starts. There is no opposite: stopping the server seals it.',
    )
    .action(async (options: UnsealOptions) => {
      const url = addressOf(await serverUrl(io, options.url, 'default'));
      let progress = await ask(io, url);
      if (progress.state === 'sealed') {
        for (const share of await readShares(io, options, progress)) progress = await ask(io, url, share);
      }
      await print(io, options, progress, () => said(progress));
    });
}

async function readShares(
  io: Io,
  { file }: UnsealOptions,
  { set, given, threshold }: Progress,
): Promise<string[]> {
  if (file === undefined && io.stdin.isTTY === true) {
    io.stderr.write(`${given} of ${threshold} shares of the set ${set} were given.\n`);
    const { text, share } = await askShare(io, 'Your share (not shown): ');
    share.value.fill(0);
    return [text];
  }
  const lines = textOf(await readInput(io, file, maxSharesBytes)).split(/\r?\n/);
  const shares = lines.filter((line) => line.trim() !== '');
  if (shares.length === 0) throw new CliError('cli.input_empty');
  for (const share of shares) parseShare(share).value.fill(0);
  return shares;
}

/** A share goes to this machine, or is protected on its way. */
function addressOf(text: string): URL {
  const url = URL.parse('/v1/unseal', text);
  const isLocal = url !== null && ['127.0.0.1', '[::1]', 'localhost'].includes(url.hostname);
  if (url === null || (url.protocol !== 'https:' && !(url.protocol === 'http:' && isLocal))) {
    throw new CliError('cli.unseal_address');
  }
  return url;
}

/** Asks how far it has come, or gives a share. */
async function ask(io: Io, url: URL, share?: string): Promise<Progress> {
  let response: Response;
  let text: string;
  try {
    response = await fetch(url, {
      signal: AbortSignal.any([io.signal, AbortSignal.timeout(answerTimeoutMs)]),
      redirect: 'error',
      ...(share !== undefined && {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ share }),
      }),
    });
    text = (await response.text()).slice(0, maxAnswerCharacters);
  } catch (cause) {
    io.signal.throwIfAborted();
    throw new CliError('cli.unseal_unreachable', { detail: url.origin, cause });
  }
  if (response.ok) return JSON.parse(text) as Progress;
  // A server that is open has no such thing.
  if (response.status === 404) return { state: 'not-sealed' };
  const { error } = JSON.parse(text) as { error: { code: string; message: string; fix: string } };
  throw new ServerProcessError(error);
}

function said({ state, set, given, threshold }: Progress): string {
  if (state === 'not-sealed') return 'The server is not sealed.';
  if (state === 'opening') return 'The root of trust is open; the server starts.';
  return `${given} of ${threshold} shares of the set ${set} were given.`;
}
