import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';

/** A verb of a noun, with the option that every verb has. */
export function addVerb(noun: Command, usage: string, summary: string): Command {
  return noun.command(usage).description(summary).option('--json', 'print one JSON object');
}

/** How a verb that asks a server can end (`pending.ts`). */
const pendingHelp =
  '\nExit status: 0 done, 1 failed, 2 usage; 3 approval needed, 4 signature needed, 5 sealed, 6 in recovery, 75 try again.';

/** A verb that asks a server under a profile. `summary` is the operation's own where the verb is that operation. */
export function addServerVerb(noun: Command, usage: string, summary: string): Command {
  return addVerb(noun, usage, summary)
    .option(
      '--profile <name>',
      'profile with server and credential; otherwise TRIALKEEP_URL and TRIALKEEP_CREDENTIAL, or the one called default',
    )
    .addHelpText('after', pendingHelp);
}

/** A verb that asks a server for somebody who has no credential there yet. */
export function addDoorVerb(noun: Command, usage: string, summary: string): Command {
  return addVerb(noun, usage, summary)
    .option(
      '--url <url>',
      'where the server is; otherwise TRIALKEEP_URL, that of the profile, or this machine',
    )
    .addHelpText('after', pendingHelp);
}

export const saveProfileOption = (): Option =>
  new Option('--save-profile <name>', 'keep the new credential in this profile instead of showing it');

export const reasonOption = (required: boolean): Option =>
  new Option('--reason <text>', 'why, for the record; - reads it from standard input').makeOptionMandatory(
    required,
  );

export const contextOption = (what: string, flags = '--context <name=value>'): Option =>
  new Option(flags, what).argParser(
    (text: string, pairs: Readonly<Record<string, string>> | undefined): Record<string, string> => {
      const at = text.indexOf('=');
      if (at < 1) throw new InvalidArgumentError('Write it as name=value.');
      const name = text.slice(0, at);
      if (pairs !== undefined && Object.hasOwn(pairs, name))
        throw new InvalidArgumentError(`The name ${name} stands there twice.`);
      return Object.assign(Object.create(null) as object, pairs, { [name]: text.slice(at + 1) });
    },
  );

/** A date or a time, ISO 8601, as the API takes it: ms since 1970. A date alone is its first moment, UTC. */
export function parseTime(text: string): number {
  const form = /^(\d{4}-\d{2}-\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/;
  const date = form.exec(text)?.[1];
  const time = date === undefined ? Number.NaN : Date.parse(text);
  // The platform reads the thirtieth of February as a day in March.
  const day = date === undefined ? null : new Date(`${date}T00:00Z`).toJSON();
  if (Number.isNaN(time) || date === undefined || day?.slice(0, date.length) !== date) {
    throw new InvalidArgumentError('Write it as 2027-01-31 or 2027-01-31T12:00Z.');
  }
  return time;
}

/** Gathers an option that may stand there several times. */
export function gather(text: string, earlier: readonly string[] = []): string[] {
  return [...earlier, text];
}

/** Gathers an option that may stand there several times, each time with one of these values. */
export function gatherFrom<Value extends string>(values: readonly Value[]) {
  return (text: string, earlier: readonly Value[] = []): Value[] => {
    const value = values.find((one) => one === text);
    if (value === undefined) throw new InvalidArgumentError(`Choose from ${values.join(', ')}.`);
    return [...earlier, value];
  };
}

/** A whole number between two bounds. */
export function parseInteger(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
  };
}
