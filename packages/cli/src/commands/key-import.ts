import { createPrivateKey, createPublicKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { wrapRsaAes } from '@trialkeep/crypto';
import { importAlgorithms, keyPurposes, operations, wrappingAlgorithms } from '@trialkeep/sdk/client';
import type { Output, Operations } from '@trialkeep/sdk/client';
import { Option } from 'commander';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { readInput, writeResult } from '../input.ts';
import type { Io } from '../io.ts';
import { isoTime, list, print } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, parseTime, reasonOption } from '../verb.ts';

/** What an import is completed with, as it is kept in a file of its owner alone (docs/formats/key-transfer.md). */
type ParameterFile = Output<Operations['keys.import-parameters']> & {
  readonly format: typeof format;
  /** Whether a key gets a version; otherwise one is made. */
  readonly isVersion: boolean;
};

const format = 'trialkeep-import-parameters/1';
const maxParameterBytes = 8192;
const maxMaterialBytes = 16_384;

interface ParametersOptions extends SessionOptions {
  readonly system?: string;
  readonly key?: string;
  readonly algorithm?: (typeof importAlgorithms)[number];
  readonly purpose?: (typeof keyPurposes)[number];
  readonly description?: string;
  readonly expires?: number;
  readonly exportable?: true;
  readonly wrapping?: (typeof wrappingAlgorithms)[number];
  readonly out: string;
  readonly publicKey?: string;
  readonly overwrite?: true;
}

interface ImportOptions extends SessionOptions {
  readonly parameters: string;
  readonly wrapped?: true;
  readonly source: string;
  readonly statement: string;
  readonly reason: string;
}

/** Verbs that bring a key that was made elsewhere. */
export function registerImport(key: Command, io: Io): void {
  registerParameters(key, io);

  addServerVerb(key, 'import [material]', operations['keys.import'].summary)
    .requiredOption('--parameters <file>', 'what import-parameters wrote')
    .option('--wrapped', 'the material is wrapped already, under the public key of the parameters')
    .requiredOption('--source <text>', 'the module or process that made it')
    .requiredOption('--statement <text>', 'how it was made and kept, for the record')
    .addOption(reasonOption(true))
    .addHelpText(
      'after',
      '\nThe material is a file, or standard input: the bytes of a symmetric key, or a private key as PKCS #8 in DER or PEM. It is\nwrapped here before it is sent.',
    )
    .action(async (path: string | undefined, options: ImportOptions, command: Command) => {
      if (path === undefined && options.reason === '-')
        command.error('error: standard input is the material; name a file, or give the reason as text');
      const parameters = await readParameters(io, options.parameters);
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const wrapped = await wrappedMaterial(io, path, parameters, options.wrapped === true);
      const { source, statement } = options;
      const brought = { token: parameters.token, wrapped: wrapped.toString('base64') };
      const input = { ...brought, source, statement, reason };
      const made = parameters.isVersion
        ? await client.call('keys.import-version', { ...input, key: parameters.key })
        : await client.call('keys.import', input);
      await print(io, options, made, () => `Key ${made.id} protects with version ${made.version} now.`);
    });
}

function registerParameters(key: Command, io: Io): void {
  addServerVerb(key, 'import-parameters', operations['keys.import-parameters'].summary)
    .option('--system <id>', 'the system that a new key is for')
    .option('--key <id>', 'the imported key that gets its next version')
    .addOption(new Option('--algorithm <name>', 'of a new key: what it is').choices(importAlgorithms))
    .addOption(new Option('--purpose <name>', 'of a new key: what it is for, for good').choices(keyPurposes))
    .option('--description <text>', 'of a new key: what it is for')
    .option('--expires <date>', 'of a new key: when it ends to protect', parseTime)
    .option('--exportable', 'of a new key, for good: it may leave again, where people approve it')
    .addOption(
      new Option('--wrapping <name>', 'what it is wrapped under; RSA_4096 otherwise').choices(
        wrappingAlgorithms,
      ),
    )
    .requiredOption('--out <file>', 'where the parameters go; whoever has them can import, so keep them')
    .option('--public-key <file>', 'where the public key goes too, PEM, for other tools that wrap')
    .option('--overwrite', 'replace files that exist')
    .action(async (options: ParametersOptions, command: Command) => {
      const { system, algorithm } = options;
      const isVersion = options.key !== undefined;
      if (isVersion === (system !== undefined) || isVersion === (algorithm !== undefined))
        command.error('error: give --system and --algorithm for a new key, or --key for a new version');
      const { client } = await connect(io, options);
      const wrapping = options.wrapping !== undefined && { wrappingAlgorithm: options.wrapping };
      const made =
        options.key === undefined
          ? await client.call('keys.import-parameters', newKey(options))
          : await client.call('keys.import-version-parameters', { key: options.key, ...wrapping });
      const kept = { format, isVersion, ...made } satisfies ParameterFile;
      const over = options.overwrite === true && { overwrite: true as const };
      await writeResult(io, { out: options.out, ...over }, Buffer.from(`${JSON.stringify(kept, null, 2)}\n`));
      if (options.publicKey !== undefined) {
        const pem = publicKeyOf(made.publicKey).export({ format: 'pem', type: 'spki' });
        await writeResult(io, { out: options.publicKey, ...over }, Buffer.from(pem));
      }
      // The token is in the file alone.
      const { token: _, ...shown } = made;
      await print(io, options, shown, () =>
        list({ key: made.key, algorithm: made.algorithm, until: isoTime(made.expiresAt), file: options.out }),
      );
    });
}

function newKey(options: ParametersOptions) {
  const { system = '', algorithm = 'AES_256', purpose, description, expires, exportable, wrapping } = options;
  return {
    system,
    algorithm,
    ...(purpose !== undefined && { purpose }),
    ...(description !== undefined && { description }),
    ...(expires !== undefined && { expiresAt: expires }),
    ...(exportable === true && { exportable }),
    ...(wrapping !== undefined && { wrappingAlgorithm: wrapping }),
  };
}

async function readParameters(io: Io, path: string): Promise<ParameterFile> {
  const text = (await readInput(io, path, maxParameterBytes)).toString('utf8');
  const invalid = (cause?: unknown): CliError =>
    new CliError('cli.input_invalid', {
      path,
      detail: 'not the parameters of an import',
      fix: 'Give the file that `trialkeep key import-parameters` wrote.',
      cause,
    });
  let read: Partial<ParameterFile>;
  try {
    read = JSON.parse(text) as Partial<ParameterFile>;
  } catch (error) {
    throw invalid(error);
  }
  const { isVersion } = read;
  const hasTexts = [read.key, read.token, read.publicKey].every((value) => typeof value === 'string');
  if (read.format !== format || typeof isVersion !== 'boolean' || !hasTexts) throw invalid();
  return read as ParameterFile;
}

async function wrappedMaterial(
  io: Io,
  path: string | undefined,
  { publicKey }: ParameterFile,
  isWrapped: boolean,
): Promise<Buffer> {
  const given = await readInput(io, path, maxMaterialBytes);
  if (isWrapped) return given;
  const material = materialOf(given);
  try {
    return wrapRsaAes(publicKeyOf(publicKey), material);
  } finally {
    material.fill(0);
    given.fill(0);
  }
}

/** PKCS #8 in DER where it is PEM; the bytes themselves otherwise. */
function materialOf(given: Buffer): Buffer {
  if (!given.subarray(0, 10).equals(Buffer.from('-----BEGIN'))) return given;
  try {
    return createPrivateKey(given).export({ format: 'der', type: 'pkcs8' });
  } catch {
    throw new CliError('cli.input_invalid', {
      detail: 'not an unencrypted private key in PEM',
      fix: 'Write it as PKCS #8 without a passphrase, in memory that is not kept: `openssl pkcs8 -topk8 -nocrypt`.',
    });
  }
}

function publicKeyOf(spki: string): KeyObject {
  return createPublicKey({ key: Buffer.from(spki, 'base64'), format: 'der', type: 'spki' });
}
