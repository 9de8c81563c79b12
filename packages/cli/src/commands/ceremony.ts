import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseShare } from '@trialkeep/crypto';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { askName, handOut, isName } from '../ceremony/hand-out.ts';
import type { Confirmed } from '../ceremony/hand-out.ts';
import { readShareTexts } from '../ceremony/shares-input.ts';
import type { Io } from '../io.ts';
import { isoTime, list, print, table } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { defaultDataDirectory, defaultHost, defaultPort, runServerCommand } from '../server-process.ts';
import { makeWithSecret, secretLine } from '../session.ts';
import { addVerb, gather, parseInteger, saveProfileOption } from '../verb.ts';

/** Minutes name 50 people: the custodians of 16 shares, and these. */
const maxAttended = 34;

interface Attended {
  readonly name: string;
  readonly role: string;
}

interface CeremonyOptions extends OutputOptions {
  readonly data: string;
  readonly attended?: readonly Attended[];
}

interface SetOptions extends CeremonyOptions {
  readonly threshold: number;
  readonly shares: number;
  readonly custodian?: readonly string[];
  readonly sharesDir?: string;
  readonly recipient?: readonly string[];
}

interface NewOptions extends SetOptions {
  readonly instanceProfile: string;
  readonly region?: string;
  readonly url: string;
  readonly saveProfile?: string;
}

interface Minutes {
  readonly id: string;
  readonly action: string;
  readonly begun: number;
  readonly set: string;
  readonly replaced?: string;
  readonly threshold: number;
  readonly count: number;
  readonly fingerprints: readonly string[];
  readonly confirmed: readonly Confirmed[];
}

interface Held {
  readonly minutes: Minutes;
  readonly file: string;
  readonly made?: {
    readonly dataDirectory: string;
    readonly profile: string;
    readonly administrator: { readonly id: string; readonly secret: string };
  };
}

const help = `
At a terminal each custodian is shown one share, once, and types it back from what was written down. Without one the shares go into files of
--shares-dir, mode 0600, sealed to the escrow key of each custodian with --recipient. No share is an argument, a log line or part of the data.
The minutes lie in the data directory under ceremonies; the ledger takes them up when the server runs. See docs/how-to/key-ceremony.md.`;

export function register(program: Command, io: Io): void {
  const ceremony = program
    .command('ceremony')
    .description(
      'key ceremonies: a root of trust in shares, of which m of n people give theirs at each start',
    );
  registerNew(ceremony, io);
  registerRekey(ceremony, io);
  registerTest(ceremony, io);
}

function registerNew(ceremony: Command, io: Io): void {
  addSetOptions(addVerb(ceremony, 'new', 'make a new installation whose root of trust is held in shares'))
    .addOption(
      new Option('--instance-profile <name>', 'what the installation is for')
        .choices(['evaluation', 'regulated'])
        .default('evaluation'),
    )
    .option('--region <name>', 'region part of the names of keys')
    .option('--url <url>', 'where it will listen, for --save-profile', `http://${defaultHost}:${defaultPort}`)
    .addOption(saveProfileOption())
    .action(async (options: NewOptions) => {
      const region = options.region === undefined ? [] : ['--region', options.region];
      const args = ['--profile', options.instanceProfile, ...region];
      const { made, profile, failure } = await makeWithSecret(
        io,
        options.saveProfile,
        () => makeSet(io, options, { action: 'new', args }),
        (held) => ({ url: options.url, credential: held.made?.administrator.secret ?? '' }),
      );
      const { minutes, file } = made;
      const { administrator, ...installation } = made.made ?? {
        administrator: { id: '', secret: '' },
        dataDirectory: '',
      };
      const { id, secret } = administrator;
      const shown = profile === undefined ? { id, secret } : { id, credentialProfile: profile };
      await print(io, options, { ...installation, administrator: shown, minutes, file }, () =>
        [
          `A new installation lies in ${installation.dataDirectory}. Its root of trust is held in shares.`,
          minutesLines(minutes, file),
          'Administrator of the installation:',
          secretLine(secret, profile),
        ].join('\n'),
      );
      if (failure !== undefined) throw failure;
    });
}

function registerRekey(ceremony: Command, io: Io): void {
  addSetOptions(
    addVerb(
      ceremony,
      'rekey',
      'give the root of trust a new set of shares: other custodians, another m or n',
    ),
  )
    .addHelpText(
      'after',
      '\nAs many custodians of the present set as are needed give their shares first, on the terminal or as lines of standard input. The shares of\n' +
        'that set open nothing afterwards but backups from before.',
    )
    .action(async (options: SetOptions) => {
      const shares = await readShareTexts(io);
      const { minutes, file } = await makeSet(io, options, { action: 'rekey', shares });
      await print(io, options, { minutes, file }, () =>
        [
          `The root of trust has a new set of shares; those of the set ${minutes.replaced} are void.`,
          minutesLines(minutes, file),
          'Make a backup now: earlier ones open with the old shares. Copy root/root.json to every other node.',
        ].join('\n'),
      );
    });
}

function registerTest(ceremony: Command, io: Io): void {
  addCommonOptions(
    addVerb(
      ceremony,
      'test',
      'have custodians prove that their shares open the root of trust, without starting anything',
    ),
  )
    .addOption(
      new Option('--custodian <name>', 'who gives a share, in the order in which they are given').argParser(
        gatherNames,
      ),
    )
    .action(async (options: CeremonyOptions & { custodian?: readonly string[] }) => {
      const begun = Date.now();
      const custodians = [...(options.custodian ?? [])];
      const shares = await readShareTexts(io);
      const confirmed: Confirmed[] = [];
      const how = io.stdin.isTTY === true ? 'typed' : 'file';
      for (const [i, text] of shares.entries()) {
        const { index, value } = parseShare(text);
        value.fill(0);
        const by = custodians[i] ?? (await nameOf(io, index));
        confirmed.push({ index, by, how });
      }
      const held = await end(io, options, { action: 'test', begun, shares, confirmed }, []);
      const { minutes, file } = held;
      await print(io, options, { minutes, file }, () =>
        [
          `The shares open the root of trust. Nothing was started or changed.`,
          minutesLines(minutes, file),
        ].join('\n'),
      );
    });
}

/** Who gave a share: from the terminal where there is one. */
async function nameOf(io: Io, index: number): Promise<string> {
  if (io.stdin.isTTY !== true) return `custodian of share ${index}`;
  return askName(io, `Name of the custodian of share ${index}: `);
}

function addCommonOptions(verb: Command): Command {
  return verb
    .option('--data <directory>', 'where the installation lies', defaultDataDirectory)
    .addOption(
      new Option('--attended <name=role>', 'somebody who attended, beside the custodians').argParser(
        parseAttended,
      ),
    )
    .addHelpText('after', help);
}

function addSetOptions(verb: Command): Command {
  return addCommonOptions(verb)
    .requiredOption('--threshold <m>', 'how many shares open the root of trust, 2 to 16', parseInteger(2, 16))
    .requiredOption('--shares <n>', 'how many shares there are, m to 16', parseInteger(2, 16))
    .addOption(
      new Option(
        '--custodian <name>',
        'a custodian, in the order of the shares; otherwise asked for',
      ).argParser(gatherNames),
    )
    .option('--shares-dir <folder>', 'write the shares to files here instead of showing them')
    .addOption(
      new Option(
        '--recipient <file>',
        'with --shares-dir: public file of the escrow pair of a custodian, in the order of the shares',
      ).argParser(gather),
    );
}

function parseAttended(text: string, earlier: readonly Attended[] = []): Attended[] {
  const at = text.indexOf('=');
  const [name, role] = [text.slice(0, at).trim(), text.slice(at + 1).trim()];
  if (at < 1 || !isName(name) || !isName(role))
    throw new InvalidArgumentError('Write it as name=role, each one line of at most 200 characters.');
  if (earlier.length === maxAttended)
    throw new InvalidArgumentError(`At most ${maxAttended} beside the custodians.`);
  return [...earlier, { name, role }];
}

/** The minutes take it, or nobody is shown a share. */
function gatherNames(text: string, earlier: readonly string[] = []): string[] {
  const name = text.trim();
  if (!isName(name)) throw new InvalidArgumentError('A name is one line of at most 200 characters.');
  return [...earlier, name];
}

/** Hands a new set out, and has the server's part of the ceremony put it in place. */
async function makeSet(
  io: Io,
  options: SetOptions,
  {
    action,
    args = [],
    shares,
  }: { action: 'new' | 'rekey'; args?: readonly string[]; shares?: readonly string[] },
): Promise<Held> {
  const begun = Date.now();
  const { threshold, shares: count, sharesDir } = options;
  if (threshold > count)
    throw new InvalidArgumentError('--shares takes a number that is not below --threshold.');
  const handed = await handOut(io, {
    threshold,
    count,
    custodians: options.custodian ?? [],
    sharesDir,
    recipients: options.recipient ?? [],
  });
  const set = { shares: handed.shares, commitment: handed.commitment };
  const request = { action, begun, set, confirmed: handed.confirmed, ...(shares && { shares }) };
  return end(io, options, request, args);
}

async function end(
  io: Io,
  options: CeremonyOptions,
  request: { readonly confirmed: readonly Confirmed[]; readonly [part: string]: unknown },
  args: readonly string[],
): Promise<Held> {
  const names = new Set(request.confirmed.map(({ by }) => by));
  const custodians = [...names].map((name) => ({ name, role: 'custodian' }));
  const attended = [...(options.attended ?? []), ...custodians];
  const programs = { '@trialkeep/cli': dirname(dirname(fileURLToPath(import.meta.url))) };
  const held = await runServerCommand(['ceremony', '--data', options.data, ...args], {
    env: io.env,
    signal: io.signal,
    onLog: (line) => void io.stderr.write(`${line}\n`),
    input: JSON.stringify({ ...request, attended, programs }),
  });
  return held as Held;
}

function minutesLines(
  { begun, set, threshold, count, fingerprints, confirmed }: Minutes,
  file: string,
): string {
  const whose = (index: number): string => confirmed.find((each) => each.index === index)?.by ?? '-';
  return [
    list({ begun: isoTime(begun), set, needed: `${threshold} of ${count}`, minutes: file }),
    table(
      ['share', 'custodian', 'fingerprint'],
      fingerprints.map((fingerprint, i) => [i + 1, whose(i + 1), fingerprint]),
    ),
  ].join('\n');
}
