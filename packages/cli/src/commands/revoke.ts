import { operations, revocationCauses, revocationScopes } from '@trialkeep/sdk/client';
import type { Input, Operations } from '@trialkeep/sdk/client';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, list, print } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, reasonOption } from '../verb.ts';

type Scope = Input<Operations['revocations.revoke']>['scope'];

interface RevokeOptions extends SessionOptions {
  readonly vendor?: string;
  readonly system?: string;
  readonly study?: string;
  readonly person?: string;
  readonly credential?: string;
  readonly key?: string;
  readonly cause?: (typeof revocationCauses)[number];
  readonly reason?: string;
  readonly preview?: true;
  readonly expect?: string;
}

export function register(program: Command, io: Io): void {
  addServerVerb(program, 'revoke', operations['revocations.revoke'].summary)
    .option('--vendor <name>', 'all systems of this vendor')
    .option('--system <id>', 'one system: its keys and credentials')
    .option('--study <id>', 'one study: no service uses keys in its context any more')
    .option('--person <id>', 'one person: their access and sessions')
    .option('--credential <id>', 'one credential')
    .option('--key <id>', 'one key')
    .addOption(new Option('--cause <cause>', 'what happened').choices(revocationCauses))
    .addOption(reasonOption(false))
    .option('--preview', 'only say what would end; nothing is changed')
    .option('--expect <hash>', 'revoke only if what would end is still that of the preview with this hash')
    .addHelpText(
      'after',
      '\nName exactly one of --vendor, --system, --study, --person, --credential and --key. --cause and --reason are needed but with --preview.\n' +
        'Doing it again is no error: it ends what is new. Data keys that clients have already stay usable for the bound that --preview states.',
    )
    .action(async (options: RevokeOptions, command: Command) => {
      const scope = scopeOf(options);
      if (scope === undefined) command.error('error: name exactly one thing to revoke');
      const { client } = await connect(io, options);
      const { cause, expect } = options;
      if (options.preview === true) {
        const shown = await client.call('revocations.preview', { scope, ...(cause && { cause }) });
        await print(io, options, shown, () => {
          const { keys, credentials, people, sessions, studies } = shown.counts;
          const counts = { keys, credentials, people, sessions, studies, hash: shown.hash };
          return [list(counts), ...shown.stops, 'Nothing was changed.'].join('\n');
        });
        return;
      }
      if (cause === undefined || options.reason === undefined)
        command.error('error: --cause and --reason are needed');
      const reason = await readReason(io, options.reason);
      const asked = { scope, cause, reason, ...(expect !== undefined && { preview: expect }) };
      const done = await client.call('revocations.revoke', asked);
      await print(io, options, done, () => {
        const { keys, credentials, people, sessions, studies } = done.ended;
        const ended = { keys, credentials, people, sessions, studies };
        return `Revoked at ${isoTime(done.revokedAt)}: no request made from now on succeeds.\n${list(ended)}`;
      });
    });
}

function scopeOf(options: RevokeOptions): Scope | undefined {
  const named = revocationScopes.flatMap((kind) => {
    const value = options[kind];
    return value === undefined ? [] : [[kind, value] as const];
  });
  if (named.some(([, value]) => value === '')) throw new InvalidArgumentError('It is empty.');
  return named.length === 1 ? (Object.fromEntries(named) as Scope) : undefined;
}
