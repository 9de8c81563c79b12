import { Option } from 'commander';
import type { Command } from 'commander';
import type { Io } from '../io.ts';
import { humanBytes, isoTime, print } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { defaultDataDirectory, defaultHost, defaultPort, runServerCommand } from '../server-process.ts';
import type { ServerProcessOptions } from '../server-process.ts';
import { makeWithSecret, secretLine } from '../session.ts';
import { readShareTexts } from '../ceremony/shares-input.ts';
import { addVerb, saveProfileOption } from '../verb.ts';
import { registerCatchUp } from './catch-up.ts';
import { registerRoot } from './root.ts';

interface DataOptions extends OutputOptions {
  readonly data: string;
}

interface InitOptions extends DataOptions {
  readonly instanceProfile: string;
  readonly region?: string;
  readonly rootConfig?: string;
  readonly url: string;
  readonly saveProfile?: string;
}

/** What the server's `init` answers. */
interface Initialised {
  readonly dataDirectory: string;
  readonly profile: string;
  readonly rootOfTrust: string;
  readonly passphraseFile?: string;
  readonly administrator: { readonly id: string; readonly secret: string };
}

/** What the server's `backup` answers. */
interface BackedUp {
  readonly folder: string;
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
}

/** What the server's `restore` answers: the files that came from the backup, and those that were there and stayed. */
interface Restored {
  readonly dataDirectory: string;
  /** When the backup was made, ms since 1970. */
  readonly createdAt: number;
  readonly restored: readonly string[];
  readonly kept: readonly string[];
  readonly anchor: 'kept' | 'missing' | 'accepted';
  /** The logs that the anchor lacks or lacked: sizes of their checkpoints in the backup, by origin. */
  readonly unanchored: Readonly<Record<string, number>>;
}

interface RestoreOptions extends DataOptions {
  readonly acceptLostAnchor?: boolean;
  readonly shares?: true;
}

export function register(program: Command, io: Io): void {
  const self = program.command('self').description("make, back up and restore Trialkeep's own state");
  const running = {
    env: io.env,
    signal: io.signal,
    onLog: (line: string) => void io.stderr.write(`${line}\n`),
  };
  registerInit(self, io, running);
  registerBackups(self, io, running);
  registerCatchUp(self, io, running);
  registerRoot(self, io, running);
}

function registerInit(self: Command, io: Io, running: ServerProcessOptions): void {
  addVerb(self, 'init', 'make a new installation: data directory, root of trust, first administrator')
    .option('--data <directory>', 'where it shall lie; a new or an empty directory', defaultDataDirectory)
    .addOption(
      new Option('--instance-profile <name>', 'what the installation is for')
        .choices(['evaluation', 'regulated'])
        .default('evaluation'),
    )
    .option('--region <name>', 'region part of the names of keys')
    .option(
      '--root-config <file>',
      'kind and settings of its root of trust, JSON without secrets; otherwise a passphrase',
    )
    .option('--url <url>', 'where it will listen, for --save-profile', `http://${defaultHost}:${defaultPort}`)
    .addOption(saveProfileOption())
    .action(async (options: InitOptions) => {
      const { data, instanceProfile, region, url } = options;
      const more = region === undefined ? [] : ['--region', region];
      if (options.rootConfig !== undefined) more.push('--root-config', options.rootConfig);
      const args = ['init', '--data', data, '--profile', instanceProfile, ...more];
      const { made, profile, failure } = await makeWithSecret(
        io,
        options.saveProfile,
        async () => (await runServerCommand(args, running)) as Initialised,
        ({ administrator }) => ({ url, credential: administrator.secret }),
      );
      const { id, secret } = made.administrator;
      const shown = profile === undefined ? { id, secret } : { id, credentialProfile: profile };
      await print(io, options, { ...made, administrator: shown }, () =>
        [
          `A new installation lies in ${made.dataDirectory} (profile ${made.profile}).`,
          ...rootLines(made),
          'Administrator of the installation:',
          secretLine(secret, profile),
        ].join('\n'),
      );
      if (failure !== undefined) throw failure;
    });
}

function rootLines({ rootOfTrust, passphraseFile }: Initialised): string[] {
  if (passphraseFile === undefined)
    return [
      `Its root of trust is held by a module (${rootOfTrust}).`,
      'Without it nothing opens: back the key up there, or add a stand-by.',
    ];
  return [
    `Its root of trust is the passphrase in ${passphraseFile}.`,
    "Without it nothing opens: keep a copy elsewhere, out of others' reach.",
  ];
}

function registerBackups(self: Command, io: Io, running: ServerProcessOptions): void {
  addVerb(self, 'backup <folder>', "back up Trialkeep's own state into a new or an empty folder")
    .option('--data <directory>', 'where the installation lies', defaultDataDirectory)
    .action(async (folder: string, options: DataOptions) => {
      const args = ['backup', '--data', options.data, '--to', folder];
      const made = (await runServerCommand(args, running)) as BackedUp;
      await print(io, options, made, () => {
        const bytes = made.files.reduce((sum, file) => sum + file.bytes, 0);
        return `The state is backed up in ${made.folder}: ${made.files.length} files, ${humanBytes(bytes)}.`;
      });
    });

  addVerb(self, 'restore <folder>', "restore Trialkeep's own state from a backup")
    .option(
      '--data <directory>',
      'where the installation lies; its folder state must have been moved away',
      defaultDataDirectory,
    )
    .option(
      '--accept-lost-anchor',
      'where the anchor is lost, take the backup for the newest state: what was revoked after it is valid again',
    )
    .option(
      '--shares',
      'ask for the shares of the root of trust, where it is held in shares; without a terminal, the lines of standard input',
    )
    .action(async (folder: string, options: RestoreOptions) => {
      const shares = options.shares === true ? await readShareTexts(io) : [];
      const accept = options.acceptLostAnchor === true ? ['--accept-lost-anchor'] : [];
      const args = ['restore', '--data', options.data, '--from', folder, ...accept];
      if (shares.length > 0) args.push('--shares');
      const done = (await runServerCommand(args, { ...running, input: shares.join('\n') })) as Restored;
      await print(io, options, done, () =>
        [
          `The state of ${isoTime(done.createdAt)} is restored in ${done.dataDirectory}.`,
          ...done.restored.map((path) => `restored  ${path}`),
          ...done.kept.map((path) => `kept      ${path}`),
          ...anchorLines(done),
        ].join('\n'),
      );
    });
}

/** What the operator has to know where the anchor was lost. */
function anchorLines({ anchor, unanchored, createdAt }: Restored): string[] {
  if (anchor === 'kept') return [];
  const logs = Object.entries(unanchored).map(([origin, size]) => `${anchor}  ${origin}, size ${size}`);
  if (anchor === 'accepted') {
    return [
      'The anchor of these logs was lost, and the backup was accepted as their newest state:',
      ...logs,
      `Whatever was revoked after ${isoTime(createdAt)} is valid again. Nothing can tell whether there was a newer backup.`,
    ];
  }
  return [
    'The anchor of these logs is missing:',
    ...logs,
    'The server will stay in recovery: nothing says whether this is the newest state. Put the anchor folder back. If it is lost,',
    'move the folder state away and restore the newest backup with --accept-lost-anchor.',
  ];
}
