import { maxLeaseSeconds, operations } from '@trialkeep/sdk/client';
import type { Operations, Output } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { isoTime, print } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, parseInteger, reasonOption } from '../verb.ts';

type Shown = Output<Operations['tenant-root.show']>;

interface MoveOptions extends SessionOptions {
  readonly lease?: number;
  readonly reason: string;
}

/** `trialkeep tenant-root`: hold your own key. */
export function register(program: Command, io: Io): void {
  const noun = program
    .command('tenant-root')
    .description("the root of trust that holds the tenant's key: show it, move the key, set the lease");

  addServerVerb(noun, 'show', operations['tenant-root.show'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const shown = await client.call('tenant-root.show', {});
      await print(io, options, shown, () => text(shown));
    },
  );

  addServerVerb(noun, 'move <root>', operations['tenant-root.move'].summary)
    .option(
      '--lease <seconds>',
      'how long the key is used before the root is asked again; 0: for every operation',
      parseInteger(0, maxLeaseSeconds),
    )
    .addOption(reasonOption(true))
    .addHelpText('after', '\n<root> is the id of a root, or "instance".')
    .action(async (root: string, options: MoveOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const { lease } = options;
      const to = root === 'instance' ? null : root;
      const input = { root: to, ...(lease !== undefined && { leaseSeconds: lease }), reason };
      const moved = await client.call('tenant-root.move', input);
      await print(io, options, moved, () => text(moved));
    });

  addServerVerb(noun, 'set-lease <seconds>', operations['tenant-root.set-lease'].summary)
    .addOption(reasonOption(true))
    .action(async (seconds: string, options: MoveOptions) => {
      const leaseSeconds = parseInteger(0, maxLeaseSeconds)(seconds);
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const set = await client.call('tenant-root.set-lease', { leaseSeconds, reason });
      await print(io, options, set, () => text(set));
    });
}

function text(shown: Shown): string {
  const { root, kind, leaseSeconds, answer, askedAt, since, available } = shown;
  const places = available.map((id) => `Put in place: ${id}`);
  if (root === null) return ["The tenant's key is under the instance key.", ...places].join('\n');
  const bites = leaseSeconds === 0 ? 'at the next operation' : `within ${leaseSeconds} s`;
  return [
    `The tenant's key is under root ${root} (${kind ?? 'not on this node'}). A refusal bites ${bites}, on every node.`,
    askedAt === null || since === null
      ? 'This node has not asked it.'
      : `This node asked it at ${isoTime(askedAt)}: ${answer}, since ${isoTime(since)}.`,
    ...places,
  ].join('\n');
}
