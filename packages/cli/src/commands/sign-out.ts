import { operations, TrialkeepError } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { print } from '../output.ts';
import { defaultProfile, removeSession } from '../profile.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb } from '../verb.ts';

/** What the server says of a session that is over already. */
const overCodes = ['auth.required', 'auth.revoked', 'auth.expired'];

export function register(program: Command, io: Io): void {
  addServerVerb(
    program,
    'sign-out',
    `${operations['sessions.end'].summary}: end the session, and forget it`,
  ).action(async (options: SessionOptions) => {
    const { client } = await connect(io, options);
    const ended = await client.call('sessions.end', {}).then(
      () => true,
      (error: unknown) => {
        if (error instanceof TrialkeepError && overCodes.includes(error.code)) return false;
        throw error;
      },
    );
    const isFromFile = options.profile !== undefined || io.env['TRIALKEEP_CREDENTIAL'] === undefined;
    const forgotten = isFromFile && (await removeSession(io.env, options.profile ?? defaultProfile));
    await print(io, options, { ended, forgotten }, () =>
      [
        ended ? 'Signed out.' : 'The session was over already.',
        ...(forgotten ? [`It is no longer in the profile ${options.profile ?? defaultProfile}.`] : []),
      ].join(' '),
    );
  });
}
