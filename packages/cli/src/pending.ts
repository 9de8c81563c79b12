import { pendingOf } from '@trialkeep/sdk/client';
import type { Pending, PendingState } from '@trialkeep/sdk/client';
import { Exit, writeOut } from './io.ts';
import type { Io } from './io.ts';
import { print, printable } from './output.ts';
import type { OutputOptions } from './output.ts';

/**
 * The statuses that a command ends with where it met a state that is no fault. They are stable: scripts tell by them what to do next.
 * 75 is EX_TEMPFAIL of sysexits.h.
 */
export const pendingExitStatuses = {
  'approval-needed': 3,
  'signature-needed': 4,
  sealed: 5,
  'in-recovery': 6,
  'try-again': 75,
} as const satisfies Record<PendingState, number>;

export const exitStatusHelp = `Exit status:
  0    done
  1    failed: the error says why, and what to do
  2    not a command line of this program
  3    approval needed: the request is kept, and runs once other people have approved it
  4    signature needed: nothing was done; repeat it with password and one-time code
  5    sealed: nothing was done; no key of the tenant can be used until people lift the seal
  6    in recovery: nothing was done; the server has to be restored first
  75   try again: nothing was done; the same command can be run again
  128+ interrupted by a signal
With --json, the states 3 to 75 are {"pending":{"state":…,"next":…,"run":[…]}} on standard output.`;

/** A state as it is shown. `run` holds the command lines of the next step, ready to be run. */
export type ShownPending = Pending & { readonly run: readonly string[] };

/**
 * The state with a next step that an error stands for, and the status to end with; undefined where it is a fault.
 *
 * @param profileWords those that name the profile of the command, to be repeated in the next one
 */
export function shownPending(
  error: unknown,
  profileWords: readonly string[],
): { readonly shown: ShownPending; readonly exitStatus: number } | undefined {
  const pending = pendingOf(error);
  if (pending === undefined) return undefined;
  const run = nextCommands(pending).map((words) =>
    ['trialkeep', ...words, ...profileWords].map(quoted).join(' '),
  );
  return { shown: { ...pending, run }, exitStatus: pendingExitStatuses[pending.state] };
}

function nextCommands(pending: Pending): readonly (readonly string[])[] {
  switch (pending.state) {
    case 'approval-needed':
      return [
        ['approval', 'show', pending.approval],
        ['approval', 'wait', pending.approval],
      ];
    case 'sealed':
      return [['tenant', 'seal-state']];
    // The operator's part is on another machine; what is signed or tried again is the same command.
    case 'in-recovery':
    case 'signature-needed':
    case 'try-again':
      return [];
  }
}

/** A word as a shell takes it. */
function quoted(word: string): string {
  return /^[A-Za-z0-9._/:@=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

/** Prints the state that an error stands for, and gives the status to end with; does nothing where it is a fault. */
export async function printPending(
  io: Io,
  options: OutputOptions,
  error: unknown,
  profileWords: readonly string[],
): Promise<number | undefined> {
  const pending = shownPending(error, profileWords);
  if (pending === undefined) return undefined;
  const { shown, exitStatus } = pending;
  if (options.json === true) {
    await writeOut(io, `${JSON.stringify({ pending: shown })}\n`);
    return exitStatus;
  }
  const lines = [
    `${shown.state.replaceAll('-', ' ')}: ${(error as Error).message}`,
    ...(shown.state === 'approval-needed' ? [`request: ${shown.approval}`] : []),
    ...(shown.state === 'try-again'
      ? [`wait: ${Math.ceil(shown.afterMs / 1000)} s, then run the same command`]
      : []),
    `next: ${shown.next}`,
    ...shown.run.map((line) => `run: ${line}`),
  ];
  io.stderr.write(`${printable(lines.join('\n'))}\n`);
  return exitStatus;
}

/**
 * Prints a result that is not all that was asked for, and ends the command as `cause` says. Where that is a state with a next step,
 * it stands in the same JSON object.
 */
export async function printPartial(
  io: Io,
  options: OutputOptions,
  result: object,
  text: () => string,
  cause: unknown,
): Promise<never> {
  const pending = options.json === true ? shownPending(cause, []) : undefined;
  await print(io, options, { ...result, ...(pending && { pending: pending.shown }) }, text);
  throw pending === undefined ? cause : new Exit(pending.exitStatus);
}
