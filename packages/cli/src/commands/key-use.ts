import { maxMessageBytes, maxSignatureBytes, operations, signatureAlgorithms } from '@trialkeep/sdk/client';
import { Option } from 'commander';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { readInput, writeResult } from '../input.ts';
import { textOf } from '../io.ts';
import type { Io } from '../io.ts';
import { print } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, contextOption, parseInteger, reasonOption } from '../verb.ts';

/** The longest ciphertext of the encrypt operation as a line of base64. */
const maxLineBytes = 96 * 1024;
const maxMacBytes = 64;

interface InputOptions extends SessionOptions {
  readonly in?: string;
}

interface OutputOptions extends InputOptions {
  readonly out?: string;
  readonly overwrite?: true;
}

interface SignedOptions {
  readonly algorithm?: (typeof signatureAlgorithms)[number];
  readonly encoding?: 'der' | 'p1363';
  readonly isDigest?: true;
}

interface CheckOptions extends InputOptions {
  readonly keyVersion?: number;
  readonly reason?: string;
}

const versionOption = (): Option =>
  new Option('--key-version <number>', 'the version that made it; the current one otherwise').argParser(
    parseInteger(1, 1_000_000),
  );

/** The verbs with which a service, or somebody on its behalf, uses a key. What is secret comes in files or on standard input. */
export function registerUses(key: Command, io: Io): void {
  registerSignatures(key, io);
  registerMacs(key, io);
  registerPublicKey(key, io);
  registerReEncrypt(key, io);
  registerIdentify(key, io);
}

function addOutput(verb: Command, what: string): Command {
  return verb
    .option('--out <file>', `where to write ${what}; otherwise it is printed as base64`)
    .option('--overwrite', 'replace an existing file');
}

function addSigned(verb: Command): Command {
  return verb
    .option('--in <file>', 'the message, of at most 4,096 bytes; standard input otherwise')
    .option('--is-digest', "what is read is the message's digest and not the message; for RSA keys")
    .addOption(new Option('--algorithm <name>', 'how it is signed').choices(signatureAlgorithms))
    .addOption(
      new Option('--encoding <name>', 'of an ECDSA signature; der otherwise').choices(['der', 'p1363']),
    );
}

async function readSigned(io: Io, options: InputOptions & SignedOptions) {
  const { algorithm, encoding, isDigest } = options;
  const bytes = (await readInput(io, options.in, maxMessageBytes)).toString('base64');
  return {
    ...(isDigest === true ? { digest: bytes } : { message: bytes }),
    ...(algorithm !== undefined && { algorithm }),
    ...(encoding !== undefined && { encoding }),
  };
}

/** Bytes into the file, or base64 for people and the answer for programs. */
async function give(io: Io, options: OutputOptions, value: string, answer: object): Promise<void> {
  const { out, json } = options;
  if (out === undefined && json !== true) return writeResult(io, {}, Buffer.from(`${value}\n`));
  if (out === undefined) return print(io, options, answer, () => '');
  await writeResult(io, options, Buffer.from(value, 'base64'));
  await print(io, options, { ...answer, out }, () => `Written to ${out}.`);
}

async function readChosen(io: Io, { keyVersion, reason: given, in: file }: CheckOptions) {
  if (given === '-' && file === undefined) {
    const detail = 'both the input and the reason are to come from standard input';
    throw new CliError('cli.usage', { detail, fix: 'Name the file of the input with --in.' });
  }
  const reason = await readReason(io, given);
  return {
    ...(keyVersion !== undefined && { version: keyVersion }),
    ...(reason !== undefined && { reason }),
  };
}

/** @throws CliError `cli.not_authentic` where it is not valid */
async function tell(
  io: Io,
  options: SessionOptions,
  answer: { valid: boolean; version: number },
): Promise<void> {
  if (!answer.valid)
    throw new CliError('cli.not_authentic', { detail: `version ${answer.version} of the key` });
  await print(io, options, answer, () => `It is valid, by version ${answer.version} of the key.`);
}

function registerSignatures(key: Command, io: Io): void {
  addOutput(
    addSigned(addServerVerb(key, 'sign <key>', operations['keys.sign'].summary)),
    'the signature',
  ).action(async (id: string, options: OutputOptions & SignedOptions) => {
    const { client } = await connect(io, options);
    const answer = await client.call('keys.sign', { key: id, ...(await readSigned(io, options)) });
    await give(io, options, answer.signature, answer);
  });

  addSigned(addServerVerb(key, 'verify <key>', operations['keys.verify'].summary))
    .requiredOption('--signature <file>', 'the signature')
    .addOption(versionOption())
    .addOption(reasonOption(false))
    .action(async (id: string, options: CheckOptions & SignedOptions & { readonly signature: string }) => {
      const { client } = await connect(io, options);
      const signature = (await readInput(io, options.signature, maxSignatureBytes)).toString('base64');
      const chosen = await readChosen(io, options);
      const signed = await readSigned(io, options);
      await tell(io, options, await client.call('keys.verify', { key: id, ...signed, signature, ...chosen }));
    });
}

function registerMacs(key: Command, io: Io): void {
  const message = ['--in <file>', 'the message, of at most 4,096 bytes; standard input otherwise'] as const;
  addOutput(
    addServerVerb(key, 'mac <key>', operations['keys.generate-mac'].summary).option(...message),
    'the HMAC',
  ).action(async (id: string, options: OutputOptions) => {
    const { client } = await connect(io, options);
    const bytes = (await readInput(io, options.in, maxMessageBytes)).toString('base64');
    const answer = await client.call('keys.generate-mac', { key: id, message: bytes });
    await give(io, options, answer.mac, answer);
  });

  addServerVerb(key, 'verify-mac <key>', operations['keys.verify-mac'].summary)
    .option(...message)
    .requiredOption('--mac <file>', 'the HMAC')
    .addOption(versionOption())
    .addOption(reasonOption(false))
    .action(async (id: string, options: CheckOptions & { readonly mac: string }) => {
      const { client } = await connect(io, options);
      const mac = (await readInput(io, options.mac, maxMacBytes)).toString('base64');
      const chosen = await readChosen(io, options);
      const bytes = (await readInput(io, options.in, maxMessageBytes)).toString('base64');
      await tell(
        io,
        options,
        await client.call('keys.verify-mac', { key: id, message: bytes, mac, ...chosen }),
      );
    });
}

function registerPublicKey(key: Command, io: Io): void {
  addServerVerb(key, 'public-key <key>', operations['keys.public-key'].summary)
    .option('--key-version <number>', 'the current one otherwise', parseInteger(1, 1_000_000))
    .option('--out <file>', 'where to write it; standard output otherwise')
    .option('--overwrite', 'replace an existing file')
    .addHelpText('after', '\nIt is written in PEM, as OpenSSL reads it.')
    .action(async (id: string, options: OutputOptions & { readonly keyVersion?: number }) => {
      const { client } = await connect(io, options);
      const { keyVersion, out, json } = options;
      const chosen = keyVersion === undefined ? {} : { version: keyVersion };
      const answer = await client.call('keys.public-key', { key: id, ...chosen });
      const lines = answer.publicKey.match(/.{1,64}/g) ?? [];
      const pem = ['-----BEGIN PUBLIC KEY-----', ...lines, '-----END PUBLIC KEY-----', ''].join('\n');
      if (out === undefined && json === true) return print(io, options, answer, () => '');
      await writeResult(io, options, Buffer.from(pem));
      if (out !== undefined) await print(io, options, { ...answer, out }, () => `Written to ${out}.`);
    });
}

function registerIdentify(key: Command, io: Io): void {
  addServerVerb(key, 'identify', operations['keys.identify'].summary)
    .option('--in <file>', 'the ciphertext, a line of base64; standard input otherwise')
    .action(async (options: InputOptions) => {
      const { client } = await connect(io, options);
      const ciphertext = textOf(await readInput(io, options.in, maxLineBytes)).trim();
      const answer = await client.call('keys.identify', { ciphertext });
      await print(
        io,
        options,
        answer,
        () => `Version ${answer.version} of key ${answer.key} (${answer.arn}).`,
      );
    });
}

interface ReEncryptOptions extends OutputOptions, CheckOptions {
  readonly target: string;
  readonly context?: Record<string, string>;
  readonly targetContext?: Record<string, string>;
}

function registerReEncrypt(key: Command, io: Io): void {
  const targetContext = contextOption(
    'a pair to bind to the new ciphertext, in place of all of --context; may be repeated',
    '--target-context <name=value>',
  );
  addServerVerb(key, 're-encrypt <key>', operations['keys.re-encrypt'].summary)
    .requiredOption('--target <id>', 'the key to encrypt under')
    .addOption(contextOption('a pair that is bound to the ciphertext; may be repeated'))
    .addOption(targetContext)
    .option('--in <file>', 'the ciphertext, a line of base64; standard input otherwise')
    .option('--out <file>', 'where to write the new one; standard output otherwise')
    .option('--overwrite', 'replace an existing file')
    .addOption(versionOption())
    .addOption(reasonOption(false))
    .action(async (id: string, options: ReEncryptOptions) => {
      const { client } = await connect(io, options);
      const { target, context = {}, out, json } = options;
      const chosen = await readChosen(io, options);
      const ciphertext = textOf(await readInput(io, options.in, maxLineBytes)).trim();
      const answer = await client.call('keys.re-encrypt', {
        key: id,
        ciphertext,
        context,
        target,
        targetContext: options.targetContext ?? context,
        ...chosen,
      });
      if (out === undefined && json === true) return print(io, options, answer, () => '');
      await writeResult(io, options, Buffer.from(`${answer.ciphertext}\n`));
      const { version, targetVersion } = answer;
      const said = { out, key: id, version, target, targetVersion };
      if (out !== undefined) await print(io, options, said, () => `Encrypted into ${out}.`);
    });
}
