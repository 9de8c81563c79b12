import type { Caller } from '@trialkeep/sdk/client';
import { createClient } from '@trialkeep/sdk/client';
import { CliError } from './errors.ts';
import { readStdin, textOf } from './io.ts';
import type { Io } from './io.ts';
import type { OutputOptions } from './output.ts';
import { findProfile, reserveProfile, storedProfile } from './profile.ts';
import { defaultHost, defaultPort } from './server-process.ts';

/** Options of every verb that asks a server. */
export interface SessionOptions extends OutputOptions {
  readonly profile?: string;
}

/** A client that ends its calls when the command is interrupted, and where its server is. */
export interface Session {
  readonly client: Caller;
  readonly url: string;
}

/** @throws CliError `cli.no_credential`, `cli.profile_…`; TrialkeepError `client.…` for a URL or credential of no use */
export async function connect(io: Io, options: SessionOptions): Promise<Session> {
  const { url, credential } = await findProfile(io.env, options.profile);
  return { url, client: callerOf(io, url, credential) };
}

/** @param credential of whatever kind: of a service, a session, or an invitation; none for signing in */
export function callerOf(io: Io, url: string, credential?: string): Caller {
  const client = createClient({ url, ...(credential !== undefined && { credential }) });
  return { call: (id, input, more) => client.call(id, input, { signal: io.signal, ...more }) };
}

/**
 * Where the server is for somebody who has no credential yet: the URL that is given, TRIALKEEP_URL, that of a profile, or a server on
 * this machine.
 */
export async function serverUrl(io: Io, given: string | undefined, profile: string): Promise<string> {
  const known = given ?? io.env['TRIALKEEP_URL'];
  if (known !== undefined) return known;
  return (await storedProfile(io.env, profile))?.url ?? `http://${defaultHost}:${defaultPort}`;
}

/** Longest reason that is read, bytes: 2,000 characters of UTF-8. */
const maxReasonBytes = 8000;

/** A reason as it was given, or standard input for `-`. @throws CliError `cli.input_…` */
export async function readReason<Given extends string | undefined>(
  io: Io,
  given: Given,
): Promise<Given | string> {
  if (given !== '-') return given;
  const reason = textOf(await readStdin(io, maxReasonBytes));
  if (reason === '') throw new CliError('cli.input_empty');
  return reason;
}

/** What was made together with a secret, and what became of the secret. */
export interface Kept<Made> {
  readonly made: Made;
  /** The profile that holds the secret now; undefined where it has to be shown, this once. */
  readonly profile: string | undefined;
  /** Why the secret is in no profile although one was named. */
  readonly failure: Error | undefined;
}

/**
 * Makes something that comes with a secret, and stores the secret in a profile where one is named. The profile's place is kept
 * before anything is made, so that a name that is taken, or a file that cannot be written, costs nothing.
 */
export async function makeWithSecret<Made>(
  io: Io,
  profile: string | undefined,
  make: () => Promise<Made>,
  secretOf: (made: Made) => { url: string; credential: string },
): Promise<Kept<Made>> {
  if (profile === undefined) return { made: await make(), profile, failure: undefined };
  const reserved = await reserveProfile(io.env, profile);
  try {
    const made = await make();
    try {
      await reserved.save(secretOf(made));
      return { made, profile, failure: undefined };
    } catch (error) {
      // The secret exists nowhere else: it is shown rather than lost.
      return { made, profile: undefined, failure: error as Error };
    }
  } finally {
    await reserved.release();
  }
}

/** The line that says where a new credential is. */
export function secretLine(secret: string, profile: string | undefined): string {
  return profile === undefined
    ? `Credential: ${secret}\nIt is shown this once. Keep it where only its owner can read it.`
    : `The credential is kept in the profile ${profile}.`;
}
