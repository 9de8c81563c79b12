import { approvalStates, awaitApproval, checkedDocument, operations, pagesOf } from '@trialkeep/sdk/client';
import type { Approval, Caller } from '@trialkeep/sdk/client';
import { Option } from 'commander';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { ask, readSecrets } from '../input.ts';
import { Exit } from '../io.ts';
import type { Io } from '../io.ts';
import { isoTime, print, printable, table } from '../output.ts';
import { namesOfPeople, requestText } from '../request-text.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, parseInteger, reasonOption } from '../verb.ts';

interface ListOptions extends SessionOptions {
  readonly state?: Approval['state'];
}

interface DecideOptions extends SessionOptions {
  readonly yes?: true;
}

interface DenyOptions extends DecideOptions {
  readonly reason: string;
}

interface CancelOptions extends SessionOptions {
  readonly reason: string;
}

interface WaitOptions extends SessionOptions {
  readonly every: number;
}

export function register(program: Command, io: Io): void {
  const approval = program
    .command('approval')
    .description('what waits for people: show, approve, deny, cancel, wait');
  registerLooking(approval, io);
  registerDeciding(approval, io);

  addServerVerb(approval, 'cancel <approval>', operations['approvals.cancel'].summary)
    .addOption(reasonOption(true))
    .action(async (id: string, options: CancelOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const cancelled = await client.call('approvals.cancel', { approval: id, reason });
      await print(io, options, cancelled, () => stateText(cancelled));
    });
}

function registerLooking(approval: Command, io: Io): void {
  addServerVerb(approval, 'list', operations['approvals.list'].summary)
    .addOption(new Option('--state <state>', 'only those in this state').choices(approvalStates))
    .action(async (options: ListOptions) => {
      const { client } = await connect(io, options);
      const approvals: Approval[] = [];
      const asked = options.state === undefined ? {} : { state: options.state };
      for await (const page of pagesOf((at) => client.call('approvals.list', { ...asked, ...at }))) {
        approvals.push(...page.approvals);
      }
      await print(io, options, { approvals }, () =>
        table(
          ['id', 'state', 'operation', 'approvals', 'asked', 'until', 'asked by'],
          approvals.map((row) => [
            row.id,
            row.state,
            row.operation,
            `${approvalsOf(row)} of ${row.needed}`,
            isoTime(row.requestedAt),
            isoTime(row.expiresAt),
            row.requester,
          ]),
        ),
      );
    });

  addServerVerb(approval, 'show <approval>', operations['approvals.show'].summary).action(
    async (id: string, options: SessionOptions) => {
      const { client } = await connect(io, options);
      const shown = await client.call('approvals.show', { approval: id });
      const document = await checkedDocument(shown);
      const names = options.json === true ? new Map<string, string>() : await namesOfPeople(client);
      await print(io, options, { approval: shown.approval, document }, () =>
        requestText(shown.approval, document, names),
      );
    },
  );

  addServerVerb(approval, 'wait <approval>', 'wait until a request is executed, denied, cancelled or over')
    .option('--every <seconds>', 'how often to look; each look is on the record', parseInteger(1, 3600), 10)
    .addHelpText('after', '\nStatus 1 also for a request that ended in any other way than executed.')
    .action(async (id: string, options: WaitOptions) => {
      const { client } = await connect(io, options);
      const settled = await awaitApproval(client, id, { signal: io.signal, pollMs: options.every * 1000 });
      await print(io, options, settled, () => stateText(settled));
      if (settled.state !== 'executed') throw new Exit(1);
    });
}

const signingHelp =
  '\nThe request is shown first, with its hash computed here. On a terminal the decision is confirmed, and password and one-time\n' +
  'code are asked for as your electronic signature; otherwise --yes is needed, and they are read from standard input: the\n' +
  'password in the first line, the code in the second.';

function registerDeciding(approval: Command, io: Io): void {
  addServerVerb(approval, 'approve <approval>', operations['approvals.approve'].summary)
    .option('--yes', 'decide without being asked once more')
    .addHelpText('after', signingHelp)
    .action(async (id: string, options: DecideOptions) => {
      const { client } = await connect(io, options);
      const { hash, signature } = await look(io, client, options, id, 'approve');
      const decided = await client.call('approvals.approve', { approval: id, hash, signature });
      await print(io, options, decided, () => `Approved and signed. ${stateText(decided)}`);
    });

  addServerVerb(approval, 'deny <approval>', operations['approvals.deny'].summary)
    .requiredOption('--reason <text>', 'why, for the record')
    .option('--yes', 'decide without being asked once more')
    .addHelpText('after', signingHelp)
    .action(async (id: string, options: DenyOptions) => {
      const { client } = await connect(io, options);
      const { hash, signature } = await look(io, client, options, id, 'deny');
      const { reason } = options;
      const decided = await client.call('approvals.deny', { approval: id, hash, reason, signature });
      await print(io, options, decided, () => `Denied and signed. ${stateText(decided)}`);
    });
}

/**
 * Shows the request to whoever decides, and gives what binds the decision to what was shown.
 *
 * @throws CliError `cli.confirmation_needed`, `cli.not_confirmed`, `cli.input_…`; TrialkeepError `client.document_altered`
 */
async function look(io: Io, client: Caller, options: DecideOptions, id: string, verb: 'approve' | 'deny') {
  const isAsked = options.yes !== true;
  if (isAsked && io.stdin.isTTY !== true) throw new CliError('cli.confirmation_needed');
  const shown = await client.call('approvals.show', { approval: id });
  const document = await checkedDocument(shown);
  if (isAsked || options.json !== true) {
    io.stderr.write(`${requestText(shown.approval, document, await namesOfPeople(client))}\n\n`);
  }
  if (isAsked && (await ask(io, `Type yes to ${verb} exactly this: `)).trim() !== 'yes') {
    throw new CliError('cli.not_confirmed');
  }
  const [password, code] = await readSecrets(io, ['password', 'one-time code']);
  return { hash: shown.approval.hash, signature: { password, code } };
}

function approvalsOf({ votes }: Approval): number {
  return votes.filter(({ decision }) => decision === 'approve').length;
}

function stateText(approval: Approval): string {
  const { id, state, needed, failure } = approval;
  const ends: Record<Approval['state'], string> = {
    pending: `waits, with ${approvalsOf(approval)} of ${needed} approvals.`,
    approved: 'has all its approvals, and is about to be executed.',
    executed: 'is executed.',
    denied: 'is denied.',
    cancelled: 'is taken back.',
    expired: 'is over: it was not approved in time.',
    failed: `was approved, and could not be done: ${failure ?? 'the reason is not known'}`,
  };
  return printable(`Request ${id} ${ends[state]}`);
}
