import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { readDrainMs } from './platform/drain.ts';
import { StartupError, startupErrors } from './platform/errors.ts';
import { hardenProcess } from './platform/process/harden.ts';
import type { RootSettings } from './roots/index.ts';

/**
 * The server's own commands, each a process of its own. The `trialkeep` command starts them; answers go to standard output as
 * one JSON line, the log and errors to standard error.
 */
const commands: Record<string, (options: Options) => Promise<void>> = {
  serve,
  init,
  backup,
  restore,
  'catch-up': catchUpFromMirror,
  ceremony,
  ...rootCommands(),
};

/** What is under way gets this long to end when the server is asked to stop. */
const stopDeadlineMs = 20_000;
/** Longest standard input that a command reads, bytes: 32 shares and the minutes. */
const maxInputBytes = 64 * 1024;

interface Options {
  readonly data: string;
  readonly host: string;
  readonly port: number;
  readonly folder: string | undefined;
  readonly profile: string;
  readonly region: string;
  readonly acceptLostAnchor: boolean;
  readonly withoutWitnesses: boolean;
  readonly mirror: string | undefined;
  readonly tokenFile: string | undefined;
  readonly keys: readonly string[];
  /** Settings of a new root of trust. */
  readonly rootConfig: string | undefined;
  readonly rootId: string | undefined;
  /** Whose root of trust is made. */
  readonly tenant: string | undefined;
  readonly shares: boolean;
  readonly reason: string | undefined;
  /** Why a change of a root is made without the permit of people. */
  readonly breakGlass: string | undefined;
}

function readOptions(args: string[]): Options {
  try {
    const { values } = parseArgs({
      args,
      options: {
        data: { type: 'string' },
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: '7420' },
        to: { type: 'string' },
        from: { type: 'string' },
        profile: { type: 'string', default: 'evaluation' },
        region: { type: 'string', default: 'eu-central-1' },
        'accept-lost-anchor': { type: 'boolean', default: false },
        'without-witnesses': { type: 'boolean', default: false },
        mirror: { type: 'string' },
        'token-file': { type: 'string' },
        key: { type: 'string', multiple: true },
        'root-config': { type: 'string' },
        'root-id': { type: 'string' },
        tenant: { type: 'string' },
        shares: { type: 'boolean', default: false },
        reason: { type: 'string' },
        'break-glass': { type: 'string' },
      },
    });
    const port = Number(values.port);
    if (!/^[0-9]{1,5}$/.test(values.port) || port > 65_535)
      throw new Error('--port takes a number from 0 to 65535.');
    if (values.data === undefined) throw new Error('--data is missing.');
    const folder = values.to ?? values.from;
    const acceptLostAnchor = values['accept-lost-anchor'];
    const withoutWitnesses = values['without-witnesses'];
    return {
      ...values,
      data: resolve(values.data),
      port,
      folder: folder && resolve(folder),
      acceptLostAnchor,
      withoutWitnesses,
      mirror: values.mirror,
      tokenFile: values['token-file'],
      keys: values.key ?? [],
      rootConfig: values['root-config'],
      rootId: values['root-id'],
      tenant: values.tenant,
      reason: values.reason,
      breakGlass: values['break-glass'],
    };
  } catch (error) {
    throw new StartupError('usage.invalid', (error as Error).message, error);
  }
}

function answer(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function serve({ data, host, port, withoutWitnesses }: Options): Promise<void> {
  if (!['127.0.0.1', '::1', 'localhost'].includes(host))
    throw new StartupError('server.address_refused', host);
  const [{ startServer }, { startSealed }, { createLogger }] = await Promise.all([
    import('./app.ts'),
    import('./sealed-start.ts'),
    import('./platform/log.ts'),
  ]);
  const logger = createLogger();
  const sealed = await startSealed({ dataDirectory: data, host, port, logger });
  if (sealed !== undefined) {
    closeOnSignal(() => sealed.close());
    answer({ listening: sealed.url, state: 'sealed', reasons: [sealed.reason] });
  }
  const record = await sealed?.opened;
  const server = await startServer({
    dataDirectory: data,
    host,
    port: sealed?.port ?? port,
    logger,
    withoutWitnesses,
    ...(sealed && record && { unsealed: { record, lock: sealed.lock, release: () => sealed.close() } }),
    onFatal: () => process.exit(1),
  });
  closeOnSignal(() => server.close());
  const { url, state, reasons } = server;
  // Whoever reads this may end the server at once.
  if (sealed === undefined) answer({ listening: url, state, reasons });
  else logger.info({ listening: url, state, reasons }, 'The server was unsealed.');
}

/** What ends the process when it is asked to stop; a later call takes the place of an earlier one. */
function closeOnSignal(close: () => Promise<void>): void {
  const limitMs = readDrainMs(process.env) + stopDeadlineMs;
  let stopping = false;
  const stop = (): void => {
    // Whoever asks twice, or waits in vain, means it.
    if (stopping) process.exit(1);
    stopping = true;
    setTimeout(() => process.exit(1), limitMs).unref();
    close().then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.removeAllListeners(signal).on(signal, stop);
}

/** Ends a key ceremony that the `trialkeep` command has held; what came of it, shares among that, is on standard input. */
async function ceremony({ data, profile, region }: Options): Promise<void> {
  const [{ endCeremony, readCeremonyRequest }, { createInstance }] = await Promise.all([
    import('./ceremony/index.ts'),
    import('./instance/index.ts'),
  ]);
  const request = readCeremonyRequest(await readStandardInput());
  const make = (root: RootSettings) => createInstance(data, readProfile(profile), region, undefined, root);
  answer(await endCeremony(data, request, make));
}

/** The shares of a root of trust, one a line of standard input, where the command was told that they are there. */
async function takeShares({ data, folder, shares }: Options): Promise<void> {
  if (!shares) return;
  const { holdShares } = await import('./ceremony/index.ts');
  holdShares(data, folder, await readStandardInput());
}

async function readStandardInput(): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of process.stdin as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > maxInputBytes) throw new StartupError('usage.invalid', 'Standard input is too long.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function readProfile(profile: string): 'evaluation' | 'regulated' {
  if (profile === 'evaluation' || profile === 'regulated') return profile;
  throw new StartupError('usage.invalid', '--profile takes evaluation or regulated.');
}

async function init({ data, profile, region, rootConfig }: Options): Promise<void> {
  const { createInstance } = await import('./instance/index.ts');
  const settings = await readRootConfig(rootConfig);
  answer(await createInstance(data, readProfile(profile), region, undefined, settings));
}

async function readRootConfig(file: string | undefined): Promise<RootSettings | undefined> {
  if (file === undefined) return undefined;
  return (await import('./roots/index.ts')).readSettings(resolve(file));
}

/** Offline, on the data directory: showing and checking also beside a running server. */
function rootCommands(): typeof commands {
  const needed = <T>(value: T | undefined, option: string): T => {
    if (value === undefined) throw new StartupError('usage.invalid', `${option} is missing.`);
    return value;
  };
  const roots = () => import('./instance/index.ts');
  return {
    'root-show': async ({ data }) => answer(await (await roots()).showRoots(data)),
    'root-check': async ({ data }) => answer(await (await roots()).checkRoots(data)),
    'root-add': async ({ data, folder, rootConfig, breakGlass }) => {
      const settings = needed(await readRootConfig(rootConfig), '--root-config');
      answer(await (await roots()).addStandby(data, needed(folder, '--to'), settings, { breakGlass }));
    },
    'root-activate': async ({ data, folder, breakGlass }) =>
      answer(await (await roots()).activateRoot(data, needed(folder, '--to'), { breakGlass })),
    'root-make-tenant': async ({ data, tenant, rootConfig }) => {
      const settings = needed(await readRootConfig(rootConfig), '--root-config');
      const { makeTenantRoot } = await import('./tenant-roots/index.ts');
      answer(await makeTenantRoot(data, needed(tenant, '--tenant'), settings));
    },
    'root-retire': async ({ data, rootId, breakGlass }) =>
      answer(await (await roots()).retireRoot(data, needed(rootId, '--root-id'), { breakGlass })),
    'root-replace': async ({ data, folder, rootConfig, reason, breakGlass }) => {
      const { replaceRoot } = await import('./replacement/index.ts');
      const settings = await readRootConfig(rootConfig);
      const asked = {
        folder: needed(folder, '--to'),
        settings,
        reason: needed(reason, '--reason'),
        breakGlass,
      };
      answer(await replaceRoot(data, asked));
    },
  };
}

async function backup({ data, folder }: Options): Promise<void> {
  if (folder === undefined) throw new StartupError('usage.invalid', '--to is missing.');
  const { backupInstance } = await import('./instance/index.ts');
  answer(await backupInstance(data, folder));
}

async function restore(options: Options): Promise<void> {
  const { data, folder, acceptLostAnchor } = options;
  if (folder === undefined) throw new StartupError('usage.invalid', '--from is missing.');
  await takeShares(options);
  const { restoreInstance } = await import('./instance/index.ts');
  answer(await restoreInstance(data, folder, { acceptLostAnchor }));
}

async function catchUpFromMirror(options: Options): Promise<void> {
  const { data, mirror, tokenFile, keys: verifierKeys, withoutWitnesses } = options;
  if (mirror === undefined) throw new StartupError('usage.invalid', '--mirror is missing.');
  await takeShares(options);
  const { catchUp, mirrorAddress } = await import('./recovery/index.ts');
  const token = tokenFile === undefined ? undefined : readFileSync(tokenFile, 'utf8').trim();
  answer(await catchUp(data, mirrorAddress(mirror, token), { verifierKeys, withoutWitnesses }));
}

function fail(error: unknown): never {
  const known =
    error instanceof StartupError ? error : new StartupError('startup.unexpected', String(error), error);
  if (known.code === 'startup.unexpected' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  const body = { error: { code: known.code, message: known.message, fix: startupErrors[known.code].fix } };
  process.stderr.write(`${JSON.stringify(body)}\n`);
  process.exit(1);
}

// Whatever this process writes is for the account that runs it, and nobody else.
process.umask(0o077);
try {
  hardenProcess();
  const [name = '', ...args] = process.argv.slice(2);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) throw new StartupError('usage.invalid', `Unknown command: ${name}.`);
  await command(readOptions(args));
} catch (error) {
  fail(error);
}
