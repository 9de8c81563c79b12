import { maxPlaintextBytes, operations } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { readInput, writeResult } from '../input.ts';
import { textOf } from '../io.ts';
import type { Io } from '../io.ts';
import { print } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, contextOption, reasonOption } from '../verb.ts';

interface DecryptOptions extends SessionOptions {
  readonly key: string;
  readonly context?: Record<string, string>;
  readonly reason?: string;
  readonly in?: string;
  readonly out?: string;
  readonly overwrite?: true;
}

/** Longest ciphertext that is read, bytes of base64: more than any ciphertext has, for white space around it. */
const maxInputBytes = 2 * maxPlaintextBytes;

export function register(program: Command, io: Io): void {
  addServerVerb(program, 'decrypt', operations['keys.decrypt'].summary)
    .requiredOption('--key <id>', 'the key that it was encrypted under')
    .addOption(contextOption('a pair that was bound to the ciphertext; may be repeated'))
    .addOption(reasonOption(false))
    .option('--in <file>', 'the ciphertext, in base64; standard input otherwise')
    .option('--out <file>', 'where to write the plaintext (mode 0600); standard output otherwise')
    .option('--overwrite', 'replace an existing file')
    .action(async (options: DecryptOptions) => {
      if (options.reason === '-' && options.in === undefined) {
        const detail = 'both the ciphertext and the reason are to come from standard input';
        throw new CliError('cli.usage', { detail, fix: 'Name the file of the ciphertext with --in.' });
      }
      const { client } = await connect(io, options);
      const ciphertext = textOf(await readInput(io, options.in, maxInputBytes)).trim();
      const reason = await readReason(io, options.reason);
      const answer = await client.call('keys.decrypt', {
        key: options.key,
        ciphertext,
        context: options.context ?? {},
        ...(reason !== undefined && { reason }),
      });
      const plaintext = Buffer.from(answer.plaintext, 'base64');
      if (options.out === undefined && options.json !== true) return writeResult(io, {}, plaintext);
      if (options.out === undefined) return print(io, options, answer, () => '');
      await writeResult(io, options, plaintext);
      const { key, version } = answer;
      const result = { out: options.out, bytes: plaintext.length, key, version };
      await print(io, options, result, () => `Decrypted into ${options.out}.`);
    });
}
