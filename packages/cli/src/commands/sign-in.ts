import { operations } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import { ask, readSecrets } from '../input.ts';
import { CliError } from '../errors.ts';
import type { Io } from '../io.ts';
import { isoTime, print, printable } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { defaultProfile, reserveProfile } from '../profile.ts';
import { callerOf, serverUrl } from '../session.ts';
import { addDoorVerb } from '../verb.ts';

interface SignInOptions extends OutputOptions {
  readonly tenant?: string;
  readonly login?: string;
  readonly url?: string;
  readonly saveAs: string;
}

export function register(program: Command, io: Io): void {
  addDoorVerb(
    program,
    'sign-in',
    operations['sessions.create'].summary.replace('; the session is shown once', ''),
  )
    .option('--tenant <id>', 'the tenant to work in; none for the installation itself')
    .option('--login <name>', 'your sign-in name; asked for otherwise')
    .option(
      '--save-as <profile>',
      'profile that keeps the session, in place of an earlier session',
      defaultProfile,
    )
    .addHelpText(
      'after',
      '\nPassword and one-time code are asked for on a terminal, and otherwise read from standard input: the password in the\n' +
        'first line, the code in the second. The session lies in the profile file, for its owner only.',
    )
    .action(async (options: SignInOptions) => {
      const { tenant, saveAs } = options;
      const url = await serverUrl(io, options.url, saveAs);
      // A name that is taken is said before anything is typed.
      await (await reserveProfile(io.env, saveAs, { replaceSession: true })).release();
      const login = options.login ?? (await askLogin(io));
      const [password, code] = await readSecrets(io, ['password', 'one-time code']);
      const place = await reserveProfile(io.env, saveAs, { replaceSession: true });
      try {
        const input = { ...(tenant !== undefined && { tenant }), login, password, code };
        const { session, secret, person } = await callerOf(io, url).call('sessions.create', input);
        await place.save({ url, credential: secret, sessionUntil: session.expiresAt });
        await print(io, options, { session, person, credentialProfile: saveAs }, () =>
          printable(
            `Signed in as ${person.name} (${person.roles.join(', ')}) until ${isoTime(session.expiresAt)}.\n` +
              `The session is kept in the profile ${saveAs}.`,
          ),
        );
      } finally {
        await place.release();
      }
    });
}

async function askLogin(io: Io): Promise<string> {
  if (io.stdin.isTTY === true) return (await ask(io, 'Sign-in name: ')).trim();
  throw new CliError('cli.usage', { detail: '--login is missing', fix: 'Name yourself with --login.' });
}
