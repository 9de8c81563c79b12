import { Command, CommanderError } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import { CliError } from './errors.ts';
import { Exit } from './io.ts';
import type { Io } from './io.ts';
import { exitStatusOf, printError } from './output.ts';
import { exitStatusHelp, printPending } from './pending.ts';

/** Adds a noun's or a verb's commands to the program. */
type Register = (program: Command, io: Io) => void;

/** The first words of the command line. What they stand for is loaded when it is named, so that every verb starts fast. */
const words: Record<string, { summary: string; load: () => Promise<{ register: Register }> }> = {
  start: {
    summary: 'start Trialkeep and run the main job once, on a sample study or a folder',
    load: () => import('./commands/start.ts'),
  },
  server: { summary: 'run the server', load: () => import('./commands/server.ts') },
  self: {
    summary: "make, back up and restore Trialkeep's own state",
    load: () => import('./commands/self.ts'),
  },
  ceremony: {
    summary: 'key ceremonies: a root of trust in shares, new shares for it, a test of shares',
    load: () => import('./commands/ceremony.ts'),
  },
  unseal: {
    summary: 'give a share of the root of trust to a server that is sealed',
    load: () => import('./commands/unseal.ts'),
  },
  'sign-in': {
    summary: 'sign in with password and one-time code',
    load: () => import('./commands/sign-in.ts'),
  },
  'sign-out': { summary: 'end the session', load: () => import('./commands/sign-out.ts') },
  whoami: { summary: 'say who is signed in, and until when', load: () => import('./commands/whoami.ts') },
  join: { summary: 'accept an invitation', load: () => import('./commands/join.ts') },
  person: {
    summary: 'people: invite, change their roles, let leave',
    load: () => import('./commands/person.ts'),
  },
  approval: {
    summary: 'what waits for people: show, approve, deny',
    load: () => import('./commands/approval.ts'),
  },
  signature: { summary: 'electronic signatures', load: () => import('./commands/signature.ts') },
  tenant: { summary: 'tenants of the installation; seal them', load: () => import('./commands/tenant.ts') },
  study: { summary: 'studies of the tenant', load: () => import('./commands/study.ts') },
  system: { summary: 'connected systems and their credentials', load: () => import('./commands/system.ts') },
  subject: {
    summary: 'subjects of a study, by alias; erase them',
    load: () => import('./commands/subject.ts'),
  },
  key: { summary: 'keys: create, rotate, suspend, revoke, destroy', load: () => import('./commands/key.ts') },
  destination: {
    summary: 'who keys can be exported to: register, retire, list',
    load: () => import('./commands/destination.ts'),
  },
  rewrap: {
    summary: 'wrap the registered data keys of a key anew: start, watch, pause, resume',
    load: () => import('./commands/rewrap.ts'),
  },
  'data-key': {
    summary: 'data keys that services have had registered: list, forget',
    load: () => import('./commands/data-key.ts'),
  },
  'root-permit': {
    summary: 'dual control over roots of trust: ask for a change to be permitted, list what was',
    load: () => import('./commands/root-permit.ts'),
  },
  hold: {
    summary: 'what must not be destroyed or erased: place, release, list',
    load: () => import('./commands/hold.ts'),
  },
  holder: {
    summary: 'places that have keys or copies of them: register, attest, list',
    load: () => import('./commands/holder.ts'),
  },
  'second-recipient': {
    summary: 'who besides the server can open data: register, remove, list',
    load: () => import('./commands/second-recipient.ts'),
  },
  'tenant-root': {
    summary: "the root of trust that holds the tenant's key: show, move, lease",
    load: () => import('./commands/tenant-root.ts'),
  },
  revoke: {
    summary: 'end everything that is bound to a vendor, system, study, person, credential or key',
    load: () => import('./commands/revoke.ts'),
  },
  drill: {
    summary: 'drills of emergency revocation: run, schedule, list',
    load: () => import('./commands/drill.ts'),
  },
  inventory: {
    summary: 'every key with owner, state, dates and last use; also as of a past day',
    load: () => import('./commands/inventory.ts'),
  },
  encrypt: { summary: 'encrypt up to 64 KiB on the server', load: () => import('./commands/encrypt.ts') },
  decrypt: { summary: 'decrypt what encrypt made', load: () => import('./commands/decrypt.ts') },
  seal: { summary: 'seal files of any size on this machine', load: () => import('./commands/seal.ts') },
  open: { summary: 'open sealed files', load: () => import('./commands/open.ts') },
  escrow: {
    summary: 'key pairs that are kept offline, and the lists of what was opened with them',
    load: () => import('./commands/escrow.ts'),
  },
  exit: {
    summary: 'leave: copy everything out, verify and open the copy, destroy the keys',
    load: () => import('./commands/exit.ts'),
  },
  ledger: { summary: 'ask and export the ledger', load: () => import('./commands/ledger.ts') },
  stream: {
    summary: 'hand the ledger, entry by entry, to a syslog receiver or an OpenTelemetry collector',
    load: () => import('./commands/stream.ts'),
  },
  payload: {
    summary: "redact what should never have been in the ledger's payloads",
    load: () => import('./commands/payload.ts'),
  },
  evidence: {
    summary: 'documents for an inspector: make, fetch, list',
    load: () => import('./commands/evidence.ts'),
  },
  witness: {
    summary: 'run a witness, which cosigns heads of logs',
    load: () => import('./commands/witness.ts'),
  },
  mirror: { summary: 'run a mirror, which keeps copies of logs', load: () => import('./commands/mirror.ts') },
  review: {
    summary: 'audit-trail reviews: plan, work through, comment, close with a signature',
    load: () => import('./commands/review.ts'),
  },
  verify: { summary: 'verify an exported ledger, offline', load: () => import('./commands/verify.ts') },
};

/**
 * Runs one command line.
 *
 * @param argv the words behind the program's name
 * @returns the exit status: 0 done, 1 failed, 2 not a command line of this program, those of `pending.ts` for states with a next step,
 * 128 and more interrupted
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  const json = argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined).includes('--json');
  // The words that name the profile, for the command lines that are suggested.
  let profileWords: readonly string[] = [];
  try {
    const program = await build(argv, io);
    program.hook('preAction', (_program, verb) => {
      const { profile } = verb.opts<{ profile?: string }>();
      profileWords = profile === undefined ? [] : ['--profile', profile];
    });
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof Exit) return error.status;
    if (error instanceof CommanderError && error.exitCode === 0) return 0;
    // The help has been shown in place of an error.
    if (error instanceof CommanderError && error.code === 'commander.help') return 2;
    const failure: unknown =
      error instanceof CommanderError ? usageError(error, argv) : (interruption(io) ?? error);
    const options = json ? ({ json } as const) : {};
    const pendingStatus = await printPending(io, options, failure, profileWords);
    if (pendingStatus !== undefined) return pendingStatus;
    printError(io, options, failure);
    return exitStatusOf(failure);
  }
}

/** Why the command was interrupted, if it was; what its parts make of that is no news. */
function interruption(io: Io): unknown {
  return io.signal.aborted ? io.signal.reason : undefined;
}

async function build(argv: readonly string[], io: Io): Promise<Command> {
  const program = new Command('trialkeep')
    .description('Keeps the data of clinical trials: keys, encryption, ledger and backup.')
    .version(manifest.version)
    .addHelpText('after', `\n${exitStatusHelp}`)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text),
      writeErr: (text) => void io.stderr.write(text),
      // Errors are said once, in the form of all others.
      outputError: () => undefined,
    });
  for (const [word, { summary, load }] of Object.entries(words)) {
    // `trialkeep help key` names the word second.
    if (argv.slice(0, 2).includes(word)) (await load()).register(program, io);
    else program.command(word).description(summary);
  }
  return program;
}

/** What commander says about a command line, as an error of ours. Values are not repeated: one may be a secret, or a name. */
function usageError(error: CommanderError, [word = '']: readonly string[]): CliError {
  const detail = error.message
    .replace(/^error: /, '')
    .replace(/('-[^'=]*=)[^']*'/, "$1…'")
    .replace(/(too many arguments.* but got \d+): .*$/s, '$1');
  const command = Object.hasOwn(words, word) ? `trialkeep ${word}` : 'trialkeep';
  return new CliError('cli.usage', { detail, fix: `See the form with ${command} --help.` });
}
