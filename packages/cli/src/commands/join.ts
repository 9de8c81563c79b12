import { operations, TrialkeepError } from '@trialkeep/sdk/client';
import type { Operations, Output } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { readSecrets } from '../input.ts';
import type { Io } from '../io.ts';
import { errorLines, list, print, printable, reportable } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { defaultProfile } from '../profile.ts';
import { callerOf, serverUrl } from '../session.ts';
import { addDoorVerb } from '../verb.ts';

interface JoinOptions extends OutputOptions {
  readonly url?: string;
}

type Begun = Output<Operations['enrolment.begin']>;
type Person = Output<Operations['enrolment.finish']>;

/** How often somebody at a terminal may mistype. */
const maxTries = 3;

export function register(program: Command, io: Io): void {
  const join = addDoorVerb(program, 'join', 'accept an invitation: set up one-time codes and a password')
    .addHelpText(
      'after',
      '\nFor somebody at a terminal, all in one. Scripts begin, hand the generator over, and finish.',
    )
    .action(async (options: JoinOptions) => joinAtTerminal(io, options));

  addDoorVerb(join, 'begin', operations['enrolment.begin'].summary)
    .addHelpText('after', '\nThe invitation is the one line of standard input.')
    .action(async (_: JoinOptions, verb: Command) => {
      const options = verb.optsWithGlobals<JoinOptions>();
      const [invitation] = await readSecrets(io, ['invitation']);
      const begun = await callerOf(io, await urlOf(io, options), invitation).call('enrolment.begin', {});
      await print(io, options, begun, () => generatorText(begun));
    });

  addDoorVerb(join, 'finish', operations['enrolment.finish'].summary)
    .addHelpText(
      'after',
      '\nInvitation, password and one-time code are the three lines of standard input, in this order.',
    )
    .action(async (_: JoinOptions, verb: Command) => {
      const options = verb.optsWithGlobals<JoinOptions>();
      const [invitation, password, code] = await readSecrets(io, ['invitation', 'password', 'one-time code']);
      const client = callerOf(io, await urlOf(io, options), invitation);
      const person = await client.call('enrolment.finish', { password, code });
      await print(io, options, person, () => doneText(person));
    });
}

function urlOf(io: Io, { url }: JoinOptions): Promise<string> {
  return serverUrl(io, url, defaultProfile);
}

async function joinAtTerminal(io: Io, options: JoinOptions): Promise<void> {
  if (io.stdin.isTTY !== true) {
    const fix = 'Use trialkeep join begin, and trialkeep join finish with a code of the generator.';
    throw new CliError('cli.usage', { detail: 'joining in one needs a terminal', fix });
  }
  const [invitation] = await readSecrets(io, ['invitation']);
  const client = callerOf(io, await urlOf(io, options), invitation);
  const begun = await client.call('enrolment.begin', {});
  io.stderr.write(`${generatorText(begun)}\n`);
  for (let tries = 1; ; tries++) {
    const [password, again, code] = await readSecrets(io, [
      'password',
      'the password again',
      'one-time code',
    ]);
    try {
      if (password !== again) throw new CliError('cli.passwords_differ');
      const person = await client.call('enrolment.finish', { password, code });
      return await print(io, options, person, () => doneText(person));
    } catch (error) {
      if (tries === maxTries || !isMistyped(error)) throw error;
      io.stderr.write(errorLines(reportable(error)));
    }
  }
}

function isMistyped(error: unknown): boolean {
  if (error instanceof CliError) return error.code === 'cli.passwords_differ';
  return error instanceof TrialkeepError && ['password.weak', 'enrolment.code_wrong'].includes(error.code);
}

function generatorText({ person, totp }: Begun): string {
  return [
    printable(`${person.name}, enter this in your authenticator app. It is shown this once:`),
    list({ address: totp.uri, secret: totp.secret }),
  ].join('\n');
}

function doneText(person: Person): string {
  return printable(
    `${person.name} can sign in now: trialkeep sign-in --login ${person.login}, with the password and a new one-time code.`,
  );
}
