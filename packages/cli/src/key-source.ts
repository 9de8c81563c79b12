import { dirname, join } from 'node:path';
import { escrowFileNames, escrowKeys, parseEscrowRecipient } from '@trialkeep/sdk/escrow';
import type { EscrowRecipient } from '@trialkeep/sdk/escrow';
import { recipientKeys, serverKeys } from '@trialkeep/sdk/seal';
import type { KeySource } from '@trialkeep/sdk/seal';
import { CliError } from './errors.ts';
import { readInput, readSecrets } from './input.ts';
import type { Io } from './io.ts';
import { connect, readReason } from './session.ts';
import type { SessionOptions } from './session.ts';

/** Where the data keys of sealing and opening come from, as the command line says. */

/** Longest file of an escrow pair that is read, bytes: more than 16,384 characters of UTF-8. */
const maxEscrowFileBytes = 65_536;

export interface SealingKeyOptions extends SessionOptions {
  /** The server's key. */
  readonly key?: string;
  /** Public files of escrow pairs. */
  readonly recipient?: readonly string[];
}

/** Data keys to seal under, and what tells them from others: what was sealed under some is not continued under others. */
export interface GivenKeys {
  readonly keys: KeySource;
  readonly name: string;
}

/** @throws CliError `cli.usage` where neither a key nor a recipient is named; `cli.input_…`, `cli.no_credential`; the SDK's errors */
export async function sealingKeys(io: Io, options: SealingKeyOptions): Promise<GivenKeys> {
  const escrow = await Promise.all((options.recipient ?? []).map((path) => readRecipient(io, path)));
  const recipients = escrow.map(({ recipient }) => recipient);
  const ids = escrow.map(({ id }) => id);
  const { key } = options;
  if (key !== undefined) {
    const { client, url } = await connect(io, options);
    return { keys: serverKeys(client, { key, recipients }), name: JSON.stringify([url, key, ...ids]) };
  }
  if (recipients.length === 0) {
    throw new CliError('cli.usage', {
      detail: 'nobody is named who shall be able to open what is sealed',
      fix: "Name the server's key with --key, the public file of an escrow pair with --recipient, or both.",
    });
  }
  return { keys: recipientKeys({ recipients }), name: JSON.stringify(ids) };
}

export interface OpeningKeyOptions extends SessionOptions {
  /** The server's keys that may be used. */
  readonly key?: readonly string[];
  readonly reason?: string;
  /** The private file of an escrow pair. */
  readonly identity?: string;
  /** The list of what is opened with it. */
  readonly openings?: string;
}

/**
 * Runs `work` with the data keys of a server, or, where an identity is named, without any server: then what is opened goes on the
 * signed list beside the private file first.
 *
 * @throws CliError `cli.usage` for options that do not go together; `cli.input_…`, `cli.no_credential`; the SDK's errors
 */
export async function withOpeningKeys<Result>(
  io: Io,
  options: OpeningKeyOptions,
  work: (keys: KeySource) => Promise<Result>,
): Promise<Result> {
  if (options.identity === undefined) {
    if (options.openings !== undefined) throw usage('--openings goes with --identity');
    return work(await serverKeysGiven(io, options));
  }
  if (options.key !== undefined || options.reason !== undefined)
    throw usage('--key and --reason are for a server, and --identity opens without one');
  const privateFile = (await readInput(io, options.identity, maxEscrowFileBytes)).toString('utf8');
  const [passphrase] = await readSecrets(io, ['passphrase']);
  const openings = options.openings ?? join(dirname(options.identity), escrowFileNames.openings);
  const keys = await escrowKeys({ privateFile, passphrase, openings });
  try {
    return await work(keys);
  } finally {
    await keys.close();
  }
}

async function serverKeysGiven(io: Io, options: OpeningKeyOptions): Promise<KeySource> {
  const { client } = await connect(io, options);
  const reason = await readReason(io, options.reason);
  const { key: keys } = options;
  return serverKeys(client, { ...(keys !== undefined && { keys }), ...(reason !== undefined && { reason }) });
}

function usage(detail: string): CliError {
  return new CliError('cli.usage', { detail });
}

async function readRecipient(io: Io, path: string): Promise<EscrowRecipient> {
  return parseEscrowRecipient((await readInput(io, path, maxEscrowFileBytes)).toString('utf8'));
}
