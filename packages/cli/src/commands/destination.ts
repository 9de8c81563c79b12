import { createPublicKey } from 'node:crypto';
import { operations } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { readInput } from '../input.ts';
import type { Io } from '../io.ts';
import { isoTime, print, table } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, reasonOption } from '../verb.ts';

const maxKeyBytes = 16_384;

interface RegisterOptions extends SessionOptions {
  readonly name: string;
  readonly contact: string;
  readonly publicKey: string;
}

interface RetireOptions extends SessionOptions {
  readonly reason: string;
}

export function register(program: Command, io: Io): void {
  const destination = program
    .command('destination')
    .description('who keys can be exported to: register, retire, list');

  addServerVerb(destination, 'register', operations['destinations.register'].summary)
    .requiredOption('--name <text>', 'who it is')
    .requiredOption('--contact <text>', 'who answers for it')
    .requiredOption('--public-key <file>', 'its RSA public key of 3,072 or 4,096 bits, PEM or DER')
    .action(async (options: RegisterOptions) => {
      const { client } = await connect(io, options);
      const publicKey = readPublicKey(await readInput(io, options.publicKey, maxKeyBytes));
      const { name, contact } = options;
      const made = await client.call('destinations.register', { name, contact, publicKey });
      await print(
        io,
        options,
        made,
        () =>
          `Destination ${made.id} is registered. Compare the SHA-256 of its key with what it told you:\n${made.fingerprint}`,
      );
    });

  addServerVerb(destination, 'retire <destination>', operations['destinations.retire'].summary)
    .addOption(reasonOption(true))
    .action(async (id: string, options: RetireOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const retired = await client.call('destinations.retire', { destination: id, reason });
      await print(io, options, retired, () => `Nothing is exported to ${retired.name} any more.`);
    });

  addServerVerb(destination, 'list', operations['destinations.list'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const answer = await client.call('destinations.list', {});
      await print(io, options, answer, () =>
        table(
          ['id', 'name', 'state', 'key', 'SHA-256 of its key', 'registered', 'contact'],
          answer.destinations.map((row) => [
            row.id,
            row.name,
            row.state,
            row.algorithm,
            row.fingerprint,
            isoTime(row.registeredAt),
            row.contact,
          ]),
        ),
      );
    },
  );
}

/** SubjectPublicKeyInfo, DER, base64; a private key in the file is refused, not read. */
function readPublicKey(file: Buffer): string {
  const isPem = file.includes('-----BEGIN');
  try {
    if (file.includes('PRIVATE KEY')) throw new Error('private');
    const key = isPem ? createPublicKey(file) : createPublicKey({ key: file, format: 'der', type: 'spki' });
    return key.export({ format: 'der', type: 'spki' }).toString('base64');
  } catch {
    throw new CliError('cli.input_invalid', {
      detail: 'not a public key',
      fix: 'Give the public key as PEM or DER: `openssl pkey -in private.pem -pubout -out public.pem`.',
    });
  }
}
