import { constants } from 'node:fs';
import type { Stats } from 'node:fs';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { systemCode } from '@trialkeep/sdk/files';
import { CliError } from './errors.ts';

/** Where a server is, and the credential to use there. */
export interface Profile {
  readonly url: string;
  readonly credential: string;
  /** Where the credential is the session of a person: until when, ms since 1970. */
  readonly sessionUntil?: number;
}

/** The profile that is used where none is named. */
export const defaultProfile = 'default';

type Env = Readonly<Record<string, string | undefined>>;
type Profiles = Map<string, Profile>;

const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const maxFileBytes = 1024 * 1024;
/** How long a save waits for another one, ms, and how often it looks. */
const busy = { waitMs: 5000, lookMs: 50 };

/** `$XDG_CONFIG_HOME/trialkeep/profiles.json`, or the same below `~/.config`. */
export function profilePath(env: Env): string {
  const set = env['XDG_CONFIG_HOME'];
  const base = set !== undefined && isAbsolute(set) ? set : join(env['HOME'] ?? homedir(), '.config');
  return join(base, 'trialkeep', 'profiles.json');
}

/**
 * The profile that is named; where none is, that of TRIALKEEP_URL and TRIALKEEP_CREDENTIAL, or the one called `default`.
 *
 * @throws CliError `cli.no_credential`, `cli.profile_…`
 */
export async function findProfile(env: Env, name: string | undefined): Promise<Profile> {
  const { TRIALKEEP_URL: url, TRIALKEEP_CREDENTIAL: credential } = env;
  if (name === undefined && url !== undefined && credential !== undefined) return { url, credential };
  if (name === undefined && (url !== undefined || credential !== undefined)) {
    throw new CliError('cli.no_credential', {
      detail: 'one of TRIALKEEP_URL and TRIALKEEP_CREDENTIAL is missing',
    });
  }
  const path = profilePath(env);
  const profile = await storedProfile(env, name ?? defaultProfile);
  if (profile !== undefined) return profile;
  if (name === undefined) throw new CliError('cli.no_credential');
  throw new CliError('cli.profile_unknown', { path, detail: name });
}

/** The profile of that name in the file, if there is one. @throws CliError `cli.profile_…` */
export async function storedProfile(env: Env, name: string): Promise<Profile | undefined> {
  return (await readProfiles(profilePath(env)))?.get(name);
}

/** A place kept for a new profile, so that a secret is made only when it can be stored. */
export interface ReservedProfile {
  readonly name: string;
  readonly path: string;
  save(profile: Profile): Promise<void>;
  /** Gives the place up, unless it was saved. */
  release(): Promise<void>;
}

/**
 * Keeps the profile file to ourselves until `save` or `release`. A session takes the place of an earlier one; nothing else is replaced.
 *
 * @throws CliError `cli.profile_name`, `cli.profile_exists`, `cli.profile_busy`, `cli.profile_unwritable` and those of reading
 */
export async function reserveProfile(
  env: Env,
  name: string,
  { replaceSession = false } = {},
): Promise<ReservedProfile> {
  if (!namePattern.test(name)) throw new CliError('cli.profile_name', { detail: name });
  const file = await lockProfiles(env);
  const { path, profiles } = file;
  const old = profiles.get(name);
  if (old !== undefined && !(replaceSession && old.sessionUntil !== undefined)) {
    await file.release();
    throw new CliError('cli.profile_exists', { path, detail: name });
  }
  return {
    name,
    path,
    save: (profile) => file.write(profiles.set(name, profile)),
    release: file.release,
  };
}

/** Takes a session out of the profile file, if it is there. Another credential under that name stays. @throws CliError `cli.profile_…` */
export async function removeSession(env: Env, name: string): Promise<boolean> {
  const { profiles, write, release } = await lockProfiles(env);
  try {
    if (profiles.get(name)?.sessionUntil === undefined) return false;
    profiles.delete(name);
    await write(profiles);
    return true;
  } finally {
    await release();
  }
}

/** The profile file while no other command writes it. */
interface LockedProfiles {
  readonly path: string;
  readonly profiles: Profiles;
  write(profiles: Profiles): Promise<void>;
  /** Lets other commands write, unless `write` has. */
  release(): Promise<void>;
}

/**
 * The new file is written beside the old one, mode 0600, and takes its name when it is on disk; while it is there, other commands
 * wait.
 */
async function lockProfiles(env: Env): Promise<LockedProfiles> {
  const path = profilePath(env);
  const next = `${path}.new`;
  const file = await openNext(path, next);
  let written = false;
  const release = async (): Promise<void> => {
    if (written) return;
    await file.close();
    await rm(next, { force: true });
  };
  try {
    const profiles: Profiles = (await readProfiles(path)) ?? new Map();
    const write = async (content: Profiles): Promise<void> => {
      try {
        await file.writeFile(`${JSON.stringify({ profiles: Object.fromEntries(content) }, null, 2)}\n`);
        await file.sync();
        await rename(next, path);
        written = true;
        await file.close();
      } catch (error) {
        throw unwritable(path, error);
      }
    };
    return { path, profiles, write, release };
  } catch (error) {
    await release();
    throw error;
  }
}

async function openNext(path: string, next: string): Promise<FileHandle> {
  for (let waitedMs = 0; ; waitedMs += busy.lookMs) {
    try {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      return await open(next, 'wx', 0o600);
    } catch (error) {
      if (systemCode(error) !== 'EEXIST') throw unwritable(path, error);
      if (waitedMs >= busy.waitMs) throw new CliError('cli.profile_busy', { path: next });
    }
    await pause(busy.lookMs);
  }
}

/** The profiles of the file, or undefined where there is no file. Nothing of a file that others can touch is used. */
async function readProfiles(path: string): Promise<Profiles | undefined> {
  let file: FileHandle;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw new CliError('cli.profile_unreadable', { path, detail: systemCode(error), cause: error });
  }
  try {
    checkPrivate(path, await file.stat());
    return parseProfiles(path, await file.readFile('utf8'));
  } catch (error) {
    if (error instanceof CliError) throw error;
    throw new CliError('cli.profile_unreadable', { path, detail: systemCode(error), cause: error });
  } finally {
    await file.close();
  }
}

function checkPrivate(path: string, status: Stats): void {
  if (!status.isFile() || status.uid !== process.getuid?.())
    throw new CliError('cli.profile_foreign', { path });
  if ((status.mode & 0o077) !== 0) {
    const detail = `mode ${(status.mode & 0o777).toString(8).padStart(4, '0')}`;
    throw new CliError('cli.profile_exposed', { path, detail });
  }
  if (status.size > maxFileBytes) throw new CliError('cli.profile_malformed', { path, detail: 'too long' });
}

function parseProfiles(path: string, text: string): Profiles {
  const malformed = (detail: string) => new CliError('cli.profile_malformed', { path, detail });
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch {
    // The parser's sentence quotes the text, which holds secrets.
    throw malformed('not JSON');
  }
  const record = (value: unknown, names?: readonly string[]): Record<string, unknown> => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw malformed('not an object');
    const unknown = names && Object.keys(value).find((name) => !names.includes(name));
    if (unknown !== undefined) throw malformed(`unknown field ${unknown}`);
    return value as Record<string, unknown>;
  };
  const profiles: Profiles = new Map();
  for (const [name, value] of Object.entries(record(record(content, ['profiles'])['profiles']))) {
    const { url, credential, sessionUntil } = record(value, ['url', 'credential', 'sessionUntil']);
    const isSession = typeof sessionUntil === 'number' && Number.isSafeInteger(sessionUntil);
    const fits = typeof url === 'string' && typeof credential === 'string';
    if (!namePattern.test(name) || !fits || !(isSession || sessionUntil === undefined)) {
      throw malformed(`profile ${name}`);
    }
    profiles.set(name, { url, credential, ...(isSession && { sessionUntil }) });
  }
  return profiles;
}

function unwritable(path: string, cause: unknown): CliError {
  return new CliError('cli.profile_unwritable', { path, detail: systemCode(cause), cause });
}
