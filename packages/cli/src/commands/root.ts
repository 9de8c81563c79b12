import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Exit } from '../io.ts';
import type { Io } from '../io.ts';
import { isoTime, print } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { defaultDataDirectory, runServerCommand } from '../server-process.ts';
import type { ServerProcessOptions } from '../server-process.ts';
import { addVerb } from '../verb.ts';

interface RootOptions extends OutputOptions {
  readonly data: string;
  readonly rootConfig?: string;
  readonly breakGlass?: string;
}

/** What the server's `root-replace` answers. */
interface Replaced {
  readonly root: string;
  readonly tenants: number;
  readonly versions: number;
  readonly left: number;
  readonly oneTimeCodes: number;
  readonly accessKeys: number;
  readonly file: string;
}

/** What the server's commands on roots of trust answer. */
interface RootView {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  readonly folder: string;
  readonly module?: { readonly manufacturer: string; readonly model: string; readonly version: string };
  readonly certificate?: string;
  /** ms since 1970 */
  readonly madeAt: number;
  readonly opens?: boolean;
  readonly code?: string;
  readonly problem?: string;
}

const breakGlassOption = [
  '--break-glass <reason>',
  'make it without the permit of people that it needs; the reason stands in the ledger',
] as const;

const stopped = 'where the installation lies; its server must not run';

/** `trialkeep self root`: the roots of trust of an installation, offline on its data directory. */
export function registerRoot(self: Command, io: Io, running: ServerProcessOptions): void {
  const root = self
    .command('root')
    .description('roots of trust: show and check them, add a stand-by, change to it');
  const run = (args: string[]) => runServerCommand(args, running);

  addVerb(root, 'show', 'list the roots of trust; also beside a running server')
    .option('--data <directory>', 'where the installation lies', defaultDataDirectory)
    .action(async (options: RootOptions) => {
      const found = (await run(['root-show', '--data', options.data])) as {
        roots: RootView[];
        folder: string;
      };
      await print(io, options, found, () =>
        [...found.roots.flatMap(lines), `Configured: ${found.folder}`].join('\n'),
      );
    });

  addVerb(
    root,
    'check',
    'open every root in use and have it unwrap the instance key; also beside a running server',
  )
    .option('--data <directory>', 'where the installation lies', defaultDataDirectory)
    .addHelpText('after', '\nExit status: 0 every root in use opens, 1 one does not.')
    .action(async (options: RootOptions) => {
      const found = (await run(['root-check', '--data', options.data])) as { roots: RootView[] };
      await print(io, options, found, () => found.roots.flatMap(lines).join('\n'));
      if (found.roots.some(({ opens }) => opens === false)) throw new Exit(1);
    });
  registerChanges(root, io, running);
  registerReplace(root, io, running);
}

function without({ breakGlass }: RootOptions): string[] {
  return breakGlass === undefined ? [] : ['--break-glass', breakGlass];
}

/** What changes which roots are in use. */
function registerChanges(root: Command, io: Io, running: ServerProcessOptions): void {
  const run = (args: string[]) => runServerCommand(args, running);

  addVerb(
    root,
    'add-standby <folder>',
    'make a second root of trust, with which the installation can be started too',
  )
    .option('--data <directory>', stopped, defaultDataDirectory)
    .requiredOption('--root-config <file>', 'its kind and settings, JSON without secrets')
    .option(...breakGlassOption)
    .action(async (folder: string, options: RootOptions & { rootConfig: string }) => {
      const args = ['root-add', '--data', options.data, '--to', resolve(folder)];
      args.push('--root-config', options.rootConfig, ...without(options));
      const made = (await run(args)) as RootView;
      await print(io, options, made, () => ['It stands by:', ...lines(made)].join('\n'));
    });

  addVerb(root, 'activate <folder>', 'make a stand-by root the active one; the one before need not answer')
    .option('--data <directory>', stopped, defaultDataDirectory)
    .option(...breakGlassOption)
    .action(async (folder: string, options: RootOptions) => {
      const args = ['root-activate', '--data', options.data, '--to', resolve(folder), ...without(options)];
      const made = (await run(args)) as RootView;
      await print(io, options, made, () =>
        ['Active from the next start, and configured in trialkeep.json:', ...lines(made)].join('\n'),
      );
    });

  addVerb(
    root,
    'make-tenant <tenant>',
    "make a root of trust for a tenant's own key; also beside a running server",
  )
    .option('--data <directory>', 'where the installation lies', defaultDataDirectory)
    .requiredOption('--root-config <file>', 'its kind and settings, JSON without secrets')
    .action(async (tenant: string, options: RootOptions & { rootConfig: string }) => {
      const args = ['root-make-tenant', '--data', options.data, '--tenant', tenant];
      const made = (await run([...args, '--root-config', options.rootConfig])) as Pick<
        RootView,
        'id' | 'folder'
      >;
      await print(
        io,
        options,
        made,
        () => `Root ${made.id} in ${made.folder}. Every node needs this folder.`,
      );
    });

  addVerb(root, 'retire <id>', 'take a root out of use; backups that were made under it still need it')
    .option('--data <directory>', stopped, defaultDataDirectory)
    .option(...breakGlassOption)
    .action(async (id: string, options: RootOptions) => {
      const args = ['root-retire', '--data', options.data, '--root-id', id, ...without(options)];
      const done = (await run(args)) as RootView;
      await print(io, options, done, () => lines(done).join('\n'));
    });
}

function registerReplace(root: Command, io: Io, running: ServerProcessOptions): void {
  addVerb(
    root,
    'replace <folder>',
    'replace a root that somebody else may have, and every key that it has wrapped',
  )
    .option('--data <directory>', 'where the installation lies; no node of it may run', defaultDataDirectory)
    .option(
      '--root-config <file>',
      'kind and settings of the new one, JSON without secrets; needed the first time',
    )
    .requiredOption('--reason <text>', 'why the old one may be known; stands in every ledger')
    .option(...breakGlassOption)
    .addHelpText('after', '\nInterrupted, the same command goes on.')
    .action(async (folder: string, options: RootOptions & { reason: string }) => {
      const { data, rootConfig, reason, breakGlass } = options;
      const args = ['root-replace', '--data', data, '--to', resolve(folder), '--reason', reason];
      if (rootConfig !== undefined) args.push('--root-config', rootConfig);
      if (breakGlass !== undefined) args.push('--break-glass', breakGlass);
      const done = (await runServerCommand(args, running)) as Replaced;
      await print(io, options, done, () =>
        [
          `Root ${done.root} has taken the place of those before; they open nothing that is here now.`,
          `To be taken for known: ${done.versions} versions of keys of ${done.tenants} tenants, with what was encrypted under them.`,
          `Left for people: ${done.left} keys to renew, ${done.oneTimeCodes} generators of one-time codes, ${done.accessKeys} access keys.`,
          `The lists, and the new verifier keys of the ledgers: ${done.file}`,
        ].join('\n'),
      );
    });
}

function lines(root: RootView): string[] {
  const { module, certificate } = root;
  const shown = [
    `${root.state.padEnd(8)} ${root.kind.padEnd(10)} ${root.id}  ${root.folder}  since ${isoTime(root.madeAt)}`,
  ];
  if (module !== undefined)
    shown.push(
      `         ${module.manufacturer}, ${module.model}, ${module.version}; certificate ${certificate ?? 'not recorded'}`,
    );
  if (root.opens === true) shown.push('         opens');
  if (root.opens === false) shown.push(`         does not open: ${root.code ?? ''} ${root.problem ?? ''}`);
  return shown;
}
