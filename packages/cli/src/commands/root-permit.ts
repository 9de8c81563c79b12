import { operations, rootChanges } from '@trialkeep/sdk/client';
import type { Operations, Output, RootChange } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import { Argument } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, print, table } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, reasonOption } from '../verb.ts';

type Permit = Output<Operations['roots.permit-change']>;

interface AskOptions extends SessionOptions {
  readonly root?: string;
  readonly reason: string;
}

export function register(program: Command, io: Io): void {
  const permit = program
    .command('root-permit')
    .description('dual control over roots of trust: ask for a change to be permitted, list what was');

  addServerVerb(permit, 'ask', operations['roots.permit-change'].summary)
    .addArgument(new Argument('<change>', 'what trialkeep self root is to do').choices(rootChanges))
    .option('--root <id>', 'the root that is activated or retired')
    .addOption(reasonOption(true))
    .action(async (change: RootChange, options: AskOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const { root } = options;
      const input = { change, reason, ...(root !== undefined && { root }) };
      const made = await client.call('roots.permit-change', input);
      await print(io, options, made, () => lines([made]));
    });

  addServerVerb(permit, 'list', operations['roots.list-permits'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const found = await client.call('roots.list-permits', {});
      await print(io, options, found, () => lines(found.permits));
    },
  );
}

function lines(permits: readonly Permit[]): string {
  const rows = permits.map(({ id, change, root, expiresAt, usedAt }) => [
    id,
    change,
    root ?? '',
    usedAt === null ? `until ${isoTime(expiresAt)}` : `used ${isoTime(usedAt)}`,
  ]);
  return table(['PERMIT', 'CHANGE', 'ROOT', 'STATE'], rows);
}
