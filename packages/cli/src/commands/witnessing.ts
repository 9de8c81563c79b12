import { operations, witnessingModes } from '@trialkeep/sdk/client';
import type { Input, Operations, Output } from '@trialkeep/sdk/client';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { readInput } from '../input.ts';
import type { Io } from '../io.ts';
import { isoTime, print, printable, table } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, parseInteger, reasonOption } from '../verb.ts';

type Shown = Output<Operations['witnessing.show']>;
type Mirror = NonNullable<Input<Operations['witnessing.set-policy']>['mirrors']>[number];

interface SetOptions extends SessionOptions {
  readonly mode: Shown['mode'];
  readonly bound: number;
  readonly mirror?: readonly Mirror[];
  readonly reason: string;
}

/** Longest policy file that is sent, bytes. */
const maxPolicyBytes = 48_000;

/** Adds what concerns witnesses to the noun `ledger`. */
export function registerWitnessing(ledger: Command, io: Io): void {
  const policy = ledger
    .command('policy')
    .description('who cosigns the ledger, and whether results wait for that');
  registerPolicy(policy, io);

  addServerVerb(ledger, 'witnesses', operations['witnessing.show'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const shown = await client.call('witnessing.show', {});
      await print(io, options, shown, () => statusText(shown));
    },
  );
}

function registerPolicy(policy: Command, io: Io): void {
  addServerVerb(policy, 'show', 'print the policy (C2SP tlog-policy) as it was set').action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const shown = await client.call('witnessing.show', {});
      await print(io, options, shown, () => policyText(shown));
    },
  );

  addServerVerb(policy, 'set <file>', operations['witnessing.set-policy'].summary)
    .addOption(
      new Option('--mode <mode>', 'whether results of key use wait for the quorum')
        .choices(witnessingModes)
        .makeOptionMandatory(true),
    )
    .option(
      '--bound <seconds>',
      'how old an entry without the quorum may become before results are withheld',
      parseInteger(5, 86_400),
      60,
    )
    .option(
      '--mirror <name=url=vkey>',
      'a mirror, its submission prefix and verifier key; several are given one by one',
      gatherMirror,
    )
    .addOption(reasonOption(true))
    .addHelpText(
      'after',
      '\nThe file is a C2SP tlog-policy; - reads it from standard input. The mirrors are those that are named.',
    )
    .action(async (file: string, options: SetOptions) => {
      const { client } = await connect(io, options);
      const text = Buffer.from(await readInput(io, file, maxPolicyBytes)).toString('utf8');
      const { mode, bound: boundSeconds, mirror = [] } = options;
      const reason = await readReason(io, options.reason);
      const asked = { policy: text, mirrors: [...mirror], mode, boundSeconds, reason };
      const shown = await client.call('witnessing.set-policy', asked);
      await print(io, options, shown, () => statusText(shown));
    });
}

/** The name and the URL hold no equals sign that stands before the key. */
function gatherMirror(text: string, earlier: readonly Mirror[] = []): Mirror[] {
  const [, name, url, key] = /^([^=]+)=(https?:\/\/[^=\s]+)=(\S+)$/.exec(text) ?? [];
  if (name === undefined || url === undefined || key === undefined) {
    throw new InvalidArgumentError('Write it as name=https://mirror.example/prefix=verifier-key.');
  }
  return [...earlier, { name, url, key }];
}

function policyText({ policy, mode, boundSeconds, mirrors }: Shown): string {
  if (policy === null) return 'No policy was ever set.';
  const marks = mirrors.map(({ name, url }) => `# mirror ${name} ${url ?? ''}`);
  return printable([`# mode ${mode}, bound ${boundSeconds} s`, ...marks, policy.trimEnd()].join('\n'));
}

function statusText(shown: Shown): string {
  const { policy, mode, size, witnessedSize, withheld, withheldSince } = shown;
  if (policy === null) return 'No policy was ever set: nobody cosigns this ledger.';
  const held = withheldSince === null ? '' : ` since ${isoTime(withheldSince) ?? ''}`;
  const result = withheld ? `Results of key use are withheld${held}.` : 'Results of key use are released.';
  const rows = [
    ...shown.witnesses.map((row) => ['witness', ...cosignerRow(row)]),
    ...shown.mirrors.map((row) => ['mirror', ...cosignerRow(row)]),
  ];
  return [
    `${witnessedSize} of ${size} entries are under a checkpoint that meets the quorum (mode ${mode}). ${result}`,
    table(['kind', 'name', 'entries', 'cosigned', 'failing since', 'why'], rows),
  ].join('\n');
}

function cosignerRow({
  name,
  size,
  cosignedAt,
  failingSince,
  failure,
}: Shown['witnesses'][number]): string[] {
  return [name, String(size), isoTime(cosignedAt) ?? '', isoTime(failingSince) ?? '', failure ?? ''];
}
