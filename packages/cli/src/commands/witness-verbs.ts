import { Option } from 'commander';
import type { Command } from 'commander';
import { Exit } from '../io.ts';
import type { Io } from '../io.ts';
import { list, print, printable } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { addVerb, parseInteger } from '../verb.ts';
import { runWitnessCommand, startWitness } from '../witness-process.ts';
import type { WitnessRole } from '../witness-process.ts';

/** The verbs that a witness and a mirror have in common. */

export interface DataOptions extends OutputOptions {
  readonly data: string;
}

/** What the process's `report` answers of itself. */
export interface Kept {
  readonly name: string;
  readonly verifierKeys: readonly string[];
  /** How many contradictions of logs are on record. */
  readonly conflicts: number;
}

interface InitOptions extends DataOptions {
  readonly name: string;
  readonly passphraseFile?: string;
  readonly tokenFile?: string;
}

/** What the process's `init` answers. */
interface Initialised {
  readonly dataDirectory: string;
  readonly name: string;
  readonly verifierKeys: readonly string[];
  readonly passphraseFile: string;
  readonly tokenFile?: string;
}

interface ServeOptions extends DataOptions {
  readonly host: string;
  readonly port: number;
  readonly passphraseFile?: string;
  readonly tokenFile?: string;
  readonly tlsCertificate?: string;
  readonly tlsKey?: string;
  readonly behindTlsProxy?: true;
  readonly requestsPerSecond: number;
}

interface LogOptions extends DataOptions {
  readonly origin?: string;
}

/** A log as the process's `log-add` and `log-remove` answer it, and as `report` lists it. */
interface ConfiguredLog {
  readonly origin: string;
  readonly keys: readonly string[];
}

const defaultPorts: Record<WitnessRole, number> = { witness: 7421, mirror: 7422 };

export const dataOption = (role: WitnessRole): Option =>
  new Option('--data <directory>', 'where it lies').default(`trialkeep-${role}`);

const passphraseOption = (): Option =>
  new Option(
    '--passphrase-file <file>',
    'the passphrase that the private keys are wrapped under, mode 0600; otherwise in --data',
  );

const tokenOption = (): Option =>
  new Option(
    '--token-file <file>',
    'tokens of those who may read the copies, one a line, mode 0600; otherwise in --data',
  );

/** The options of the process itself, as it takes them. */
function passed(options: Readonly<Record<string, string | number | true | undefined>>): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined) return [];
    const word = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? [word] : [`${word}=${value}`];
  });
}

function running(io: Io) {
  return { env: io.env, signal: io.signal, onLog: (line: string) => void io.stderr.write(`${line}\n`) };
}

export function registerInit(noun: Command, io: Io, role: WitnessRole): void {
  const verb = addVerb(noun, 'init', 'make its keys, Ed25519 and ML-DSA-44, and its data directory')
    .addOption(dataOption(role))
    .requiredOption(
      '--name <name>',
      'its name on signature lines: a URL without scheme, such as example.org/w1',
    )
    .addOption(passphraseOption());
  if (role === 'mirror') verb.addOption(tokenOption());
  verb.action(async (options: InitOptions) => {
    const { data, name, passphraseFile, tokenFile } = options;
    const args = ['init', ...passed({ data, name, passphraseFile, tokenFile })];
    const made = (await runWitnessCommand(role, args, running(io))) as Initialised;
    await print(io, options, made, () =>
      [
        `A new ${role} lies in ${made.dataDirectory}. Its verifier keys, for whoever trusts it:`,
        ...made.verifierKeys,
        `Its private keys are wrapped under the passphrase in ${made.passphraseFile}.`,
        ...(made.tokenFile === undefined
          ? []
          : [`Whoever reads its copies shows a token of ${made.tokenFile}.`]),
        'Never restore it from a backup: it would sign again what it has refused. Make a new one instead.',
      ].join('\n'),
    );
  });
}

export function registerServe(noun: Command, io: Io, role: WitnessRole): void {
  const verb = addVerb(
    noun,
    'serve',
    'run it until it is told to end (SIGTERM or SIGINT); its log goes to standard error',
  )
    .addOption(dataOption(role))
    .option('--host <address>', 'address to listen on; beyond this machine only with TLS', '127.0.0.1')
    .option(
      '--port <number>',
      'port to listen on; 0 takes a free one',
      parseInteger(0, 65_535),
      defaultPorts[role],
    )
    .addOption(passphraseOption());
  if (role === 'mirror') verb.addOption(tokenOption());
  verb
    .option('--tls-certificate <file>', 'certificate with its chain, PEM')
    .option('--tls-key <file>', 'private key of the certificate, PEM')
    .option('--behind-tls-proxy', 'one proxy before it terminates TLS, and names who asks in X-Forwarded-For')
    .option(
      '--requests-per-second <number>',
      'how many requests of one address it answers',
      parseInteger(1, 1_000_000),
      100,
    )
    .action(async ({ json, ...options }: ServeOptions) => {
      const process = await startWitness(role, passed({ ...options }), running(io));
      const { url, name, logs } = process;
      await print(io, json === undefined ? {} : { json }, { listening: url, name, logs }, () =>
        printable(`The ${role} ${name} listens on ${url}; ${logs} logs are configured.`),
      );
      const status = await process.ended;
      if (status !== 0) throw new Exit(status);
    });
}

export function registerLogs(noun: Command, io: Io, role: WitnessRole): void {
  const log = noun.command('log').description('the logs that it knows; a running process notices changes');
  const shown = ({ origin, keys }: ConfiguredLog): string =>
    `${list({ log: origin, keys: keys.length })}\n${keys.join('\n')}`;

  addVerb(
    log,
    'add <verifier-keys...>',
    'configure a log, or add keys to it: under rotation the old and the new one',
  )
    .addOption(dataOption(role))
    .option('--origin <origin>', "the log's name; otherwise the one on the first key")
    .action(async (keys: string[], options: LogOptions) => {
      const { data, origin } = options;
      const args = ['log-add', ...passed({ data, origin }), '--', ...keys];
      const added = (await runWitnessCommand(role, args, running(io))) as ConfiguredLog;
      await print(io, options, added, () => shown(added));
    });

  addVerb(
    log,
    'remove <origin> [verifier-key]',
    'forget a log, or one key of it; what was seen of it stays on record',
  )
    .addOption(dataOption(role))
    .action(async (origin: string, key: string | undefined, options: DataOptions) => {
      const args = [
        'log-remove',
        ...passed({ data: options.data, origin }),
        '--',
        ...(key === undefined ? [] : [key]),
      ];
      const left = (await runWitnessCommand(role, args, running(io))) as ConfiguredLog;
      await print(io, options, left, () => shown(left));
    });

  addVerb(log, 'list', 'the configured logs and their keys')
    .addOption(dataOption(role))
    .action(async (options: DataOptions) => {
      const args = ['report', '--data', options.data];
      const { logs } = (await runWitnessCommand(role, args, running(io))) as {
        logs: readonly ConfiguredLog[];
      };
      await print(io, options, { logs: logs.map(({ origin, keys }) => ({ origin, keys })) }, () =>
        logs.length === 0 ? 'No log is configured.' : logs.map(shown).join('\n'),
      );
    });
}
