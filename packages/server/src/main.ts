import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { StartupError, startupErrors } from './platform/errors.ts';

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
};

/** What is under way gets this long to end when the server is asked to stop. */
const stopDeadlineMs = 20_000;

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
  const [{ startServer }, { createLogger }] = await Promise.all([
    import('./app.ts'),
    import('./platform/log.ts'),
  ]);
  const server = await startServer({
    dataDirectory: data,
    host,
    port,
    logger: createLogger(),
    withoutWitnesses,
    onFatal: () => process.exit(1),
  });
  let stopping = false;
  const stop = (): void => {
    // Whoever asks twice, or waits in vain, means it.
    if (stopping) process.exit(1);
    stopping = true;
    setTimeout(() => process.exit(1), stopDeadlineMs).unref();
    server.close().then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  // Whoever reads this may end the server at once.
  answer({ listening: server.url, state: server.state, reasons: server.reasons });
}

async function init({ data, profile, region }: Options): Promise<void> {
  if (profile !== 'evaluation' && profile !== 'regulated') {
    throw new StartupError('usage.invalid', '--profile takes evaluation or regulated.');
  }
  const { createInstance } = await import('./instance/index.ts');
  answer(await createInstance(data, profile, region));
}

async function backup({ data, folder }: Options): Promise<void> {
  if (folder === undefined) throw new StartupError('usage.invalid', '--to is missing.');
  const { backupInstance } = await import('./instance/index.ts');
  answer(await backupInstance(data, folder));
}

async function restore({ data, folder, acceptLostAnchor }: Options): Promise<void> {
  if (folder === undefined) throw new StartupError('usage.invalid', '--from is missing.');
  const { restoreInstance } = await import('./instance/index.ts');
  answer(await restoreInstance(data, folder, { acceptLostAnchor }));
}

async function catchUpFromMirror(options: Options): Promise<void> {
  const { data, mirror, tokenFile, keys: verifierKeys, withoutWitnesses } = options;
  if (mirror === undefined) throw new StartupError('usage.invalid', '--mirror is missing.');
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
  const [name = '', ...args] = process.argv.slice(2);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) throw new StartupError('usage.invalid', `Unknown command: ${name}.`);
  await command(readOptions(args));
} catch (error) {
  fail(error);
}
