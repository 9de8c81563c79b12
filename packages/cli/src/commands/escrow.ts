import {
  escrowProfiles,
  makeEscrowPair,
  readEscrowFile,
  reportOpenings,
  verifyOpenings,
} from '@trialkeep/sdk/escrow';
import type { EscrowFile, EscrowProfile, EscrowRecipient, OpeningsSummary } from '@trialkeep/sdk/escrow';
import { openEscrowKey } from '@trialkeep/crypto';
import { Option } from 'commander';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { readInput, readSecrets } from '../input.ts';
import type { Io } from '../io.ts';
import { isoTime, list, print, printable } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { startProgress } from '../progress.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, addVerb } from '../verb.ts';

interface CreateOptions extends OutputOptions {
  readonly outDir: string;
  readonly profileSuite: EscrowProfile;
}

interface ShowOptions extends OutputOptions {
  readonly open?: true;
}

interface ListOptions {
  readonly recipient?: string;
  readonly acceptGaps?: true;
}

/** Longest file of a pair that is read, bytes: more than 16,384 characters of UTF-8. */
const maxFileBytes = 65_536;

const acceptGapsOption = (): Option =>
  new Option('--accept-gaps', 'take a list from which lines are missing, and say which');

export function register(program: Command, io: Io): void {
  const escrow = program
    .command('escrow')
    .description('key pairs that are kept offline, to open what is sealed when no server is left');
  registerPair(escrow, io);
  registerLists(escrow, io);
}

function registerPair(escrow: Command, io: Io): void {
  addVerb(
    escrow,
    'create <name>',
    'make a pair, without any server: a public file to seal to, a private file to open with',
  )
    .requiredOption('--out-dir <folder>', 'where both files go; on what goes into the safe')
    .addOption(
      new Option(
        '--profile-suite <profile>',
        'what it is made of; regulated: ML-KEM-768 with P-256, and PBKDF2, which FIPS approves',
      )
        .choices(Object.keys(escrowProfiles))
        .default('evaluation'),
    )
    .addHelpText(
      'after',
      '\nThe name is public, and says whose the pair is. The passphrase, at least 15 characters, is asked for twice on a terminal, and\n' +
        'otherwise is the one line of standard input. The private file is opened once with it before the public one is written.',
    )
    .action(async (name: string, options: CreateOptions) => {
      const { recipient, publicFile, privateFile } = await makeEscrowPair({
        folder: options.outDir,
        name,
        passphrase: () => newPassphrase(io),
        profile: options.profileSuite,
        timeMs: Date.now(),
        signal: io.signal,
      });
      const files = { publicFile, privateFile };
      await print(io, options, { ...described(recipient), ...files }, () =>
        [
          list({ ...lines(recipient), public: publicFile, private: privateFile }),
          'Whoever seals to the public file compares its id with this one, in person or by telephone.',
          'Without private file and passphrase nothing opens: keep two copies of each, apart from each other.',
        ].join('\n'),
      );
    });

  addVerb(escrow, 'show <file>', 'say what a file of a pair is: id, name, suite, time')
    .option('--open', 'ask for the passphrase of a private file, and see whether it opens')
    .action(async (file: string, options: ShowOptions) => {
      const text = await readText(io, file);
      const { kind, recipient } = await readEscrowFile(text);
      if (options.open === true) await checkOpens(io, { kind, recipient }, text);
      const opened = options.open === true && { opens: true };
      await print(io, options, { kind, ...described(recipient), ...opened }, () =>
        list({ ...lines(recipient), file: kind, ...(opened && { opens: 'yes' }) }),
      );
    });
}

function registerLists(escrow: Command, io: Io): void {
  addVerb(
    escrow,
    'verify <list>',
    'verify a list of what was opened, offline: nothing but the list and the public file',
  )
    .requiredOption('--recipient <file>', 'the public file of the pair, from a trusted place')
    .addOption(acceptGapsOption())
    .action(async (path: string, options: OutputOptions & ListOptions) => {
      const recipient = await recipientIn(io, options);
      const summary = await verifyOpenings(path, { ...optionsOf(io, options), ...recipient });
      await print(io, options, shownList(summary), () => `verified\n${listLines(summary)}`);
    });

  addServerVerb(escrow, 'report <list>', 'bring a list of what was opened into the ledger, each opening once')
    .option('--recipient <file>', 'the public file of the pair that the list has to be of')
    .addOption(acceptGapsOption())
    .addHelpText(
      'after',
      '\nFor a custodian. The list is verified first. Where sending ends in between, the same list can be brought again.',
    )
    .action(async (path: string, options: SessionOptions & ListOptions) => {
      const recipient = await recipientIn(io, options);
      const { client } = await connect(io, options);
      const progress = await startProgress(io, options, 'reporting', 'entries');
      const reporting = reportOpenings(client, path, {
        ...optionsOf(io, options),
        ...recipient,
        onProgress: progress.update,
      });
      const reported = await reporting.finally(() => progress.stop());
      const { fresh, acknowledged } = reported;
      await print(io, options, { ...shownList(reported), fresh, acknowledged }, () =>
        [
          `${fresh} of ${reported.receipts} receipts were new. The ledger has those of this key up to ${acknowledged}, or shows what it lacks.`,
          listLines(reported),
        ].join('\n'),
      );
    });
}

/** The passphrase for a new pair: twice from a person, whose typing nobody sees; once from a program. */
async function newPassphrase(io: Io): Promise<string> {
  if (io.stdin.isTTY !== true) return (await readSecrets(io, ['passphrase']))[0];
  const [passphrase, again] = await readSecrets(io, ['passphrase', 'the passphrase again']);
  if (passphrase !== again) throw new CliError('cli.passphrases_differ');
  return passphrase;
}

async function checkOpens(io: Io, { kind }: EscrowFile, text: string): Promise<void> {
  if (kind === 'public') {
    throw new CliError('cli.usage', {
      detail: 'a public file opens nothing',
      fix: 'Name the private file.',
    });
  }
  const [passphrase] = await readSecrets(io, ['passphrase']);
  await openEscrowKey(text, passphrase);
}

async function recipientIn(
  io: Io,
  { recipient: path }: ListOptions,
): Promise<{ readonly recipient?: EscrowRecipient }> {
  if (path === undefined) return {};
  const { recipient } = await readEscrowFile(await readText(io, path));
  return { recipient };
}

function optionsOf(io: Io, { acceptGaps }: ListOptions) {
  return { signal: io.signal, acceptGaps: acceptGaps === true };
}

/** Bytes that are not UTF-8 become characters that no file of a pair has. */
async function readText(io: Io, path: string): Promise<string> {
  return (await readInput(io, path, maxFileBytes)).toString('utf8');
}

function described({ id, name, suite, createdAt }: EscrowRecipient) {
  return { id, name, suite, createdAt };
}

/** The id in groups, as it is read out to somebody. */
function lines({ id, name, suite, createdAt }: EscrowRecipient): Record<string, string> {
  return { name, suite, made: createdAt, id: id.match(/.{8}/g)?.join(' ') ?? id };
}

function shownList({
  isCutOff: cutOff,
  recipient,
  reporter,
  firstTime,
  lastTime,
  ...counts
}: OpeningsSummary) {
  const { openings, receipts, gaps } = counts;
  return {
    recipient: recipient ?? null,
    reporter: reporter ?? null,
    openings,
    receipts,
    firstTime: firstTime ?? null,
    lastTime: lastTime ?? null,
    gaps,
    cutOff,
  };
}

function listLines({ recipient, openings, receipts, gaps, isCutOff, ...times }: OpeningsSummary): string {
  const { firstTime = null, lastTime = null } = times;
  const missing = gaps.map(({ from, to }) => `missing: receipts ${from} to ${to}`);
  const cutOff =
    'The list ends within a line: an opening that was never released, or a copy that is cut off.';
  return printable(
    [
      list({
        'escrow key': recipient,
        openings,
        receipts,
        first: isoTime(firstTime),
        last: isoTime(lastTime),
      }),
      ...missing,
      ...(isCutOff ? [cutOff] : []),
    ].join('\n'),
  );
}
