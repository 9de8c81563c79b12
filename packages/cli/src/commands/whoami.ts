import { operations } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, list, print } from '../output.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb } from '../verb.ts';

export function register(program: Command, io: Io): void {
  addServerVerb(program, 'whoami', operations['sessions.current'].summary).action(
    async (options: SessionOptions) => {
      const { client, url } = await connect(io, options);
      const answer = await client.call('sessions.current', {});
      const { person, session } = answer;
      await print(io, options, answer, () =>
        list({
          name: person.name,
          'sign-in name': person.login,
          id: person.id,
          roles: person.roles.join(', '),
          'assurance level': session.level,
          until: isoTime(session.expiresAt),
          server: url,
        }),
      );
    },
  );
}
