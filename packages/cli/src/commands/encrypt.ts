import { maxPlaintextBytes, operations } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import { readInput, writeResult } from '../input.ts';
import type { Io } from '../io.ts';
import { print } from '../output.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, contextOption } from '../verb.ts';

interface EncryptOptions extends SessionOptions {
  readonly key: string;
  readonly context?: Record<string, string>;
  readonly in?: string;
  readonly out?: string;
  readonly overwrite?: true;
}

export function register(program: Command, io: Io): void {
  addServerVerb(program, 'encrypt', operations['keys.encrypt'].summary)
    .requiredOption('--key <id>', 'the key')
    .addOption(contextOption('a pair to bind to the ciphertext; may be repeated; recorded, so aliases only'))
    .option('--in <file>', 'what to encrypt; standard input otherwise')
    .option('--out <file>', 'where to write the ciphertext; standard output otherwise')
    .option('--overwrite', 'replace an existing file')
    .addHelpText('after', '\nThe ciphertext is a line of base64, as the API carries it.')
    .action(async (options: EncryptOptions) => {
      const { client } = await connect(io, options);
      const plaintext = await readInput(io, options.in, maxPlaintextBytes);
      const answer = await client.call('keys.encrypt', {
        key: options.key,
        plaintext: plaintext.toString('base64'),
        context: options.context ?? {},
      });
      plaintext.fill(0);
      const line = Buffer.from(`${answer.ciphertext}\n`);
      if (options.out === undefined && options.json !== true) return writeResult(io, {}, line);
      if (options.out === undefined) return print(io, options, answer, () => '');
      await writeResult(io, options, line);
      const { key, version } = answer;
      await print(io, options, { out: options.out, key, version }, () => `Encrypted into ${options.out}.`);
    });
}
