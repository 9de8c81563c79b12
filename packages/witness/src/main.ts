import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { parseArgs } from 'node:util';
import { WitnessError } from './errors.ts';
import { defaultPassphraseFile, type Role } from './keys.ts';
import { defaultTokenFile } from './mirror/tokens.ts';
import type { Listening } from './http.ts';

/**
 * The commands of a witness and of a mirror, each a process of its own: `main.ts <witness|mirror> <command> …`. The `trialkeep` command
 * starts them; answers go to standard output as one JSON line, the log and errors to standard error.
 */
const commands: Record<string, (options: Options) => Promise<void>> = {
  init,
  serve,
  report,
  conflicts,
  'log-add': addLog,
  'log-remove': removeLog,
};

/** What is under way gets this long to end when the process is asked to stop. */
const stopDeadlineMs = 20_000;

type Options = Readonly<{
  role: Role;
  data: string;
  name: string | undefined;
  origin: string | undefined;
  keys: readonly string[];
  host: string;
  port: number;
  passphraseFile: string;
  tokenFile: string;
  tlsCertificate: string | undefined;
  tlsKey: string | undefined;
  behindTlsProxy: boolean;
  requestsPerSecond: number;
}>;

function readOptions(role: Role, args: string[]): Options {
  try {
    const { values, positionals } = parseArgs({
      args,
      allowPositionals: true,
      options: {
        data: { type: 'string' },
        name: { type: 'string' },
        origin: { type: 'string' },
        host: { type: 'string', default: '127.0.0.1' },
        port: { type: 'string', default: role === 'witness' ? '7421' : '7422' },
        'passphrase-file': { type: 'string' },
        'token-file': { type: 'string' },
        'tls-certificate': { type: 'string' },
        'tls-key': { type: 'string' },
        'behind-tls-proxy': { type: 'boolean', default: false },
        'requests-per-second': { type: 'string', default: '100' },
      },
    });
    if (values.data === undefined) throw new Error('--data is missing.');
    const data = resolve(values.data);
    return {
      role,
      data,
      name: values.name,
      origin: values.origin,
      keys: positionals,
      host: values.host,
      port: wholeNumber('--port', values.port, 0, 65_535),
      passphraseFile: resolve(values['passphrase-file'] ?? defaultPassphraseFile(data)),
      tokenFile: resolve(values['token-file'] ?? defaultTokenFile(data)),
      tlsCertificate: values['tls-certificate'],
      tlsKey: values['tls-key'],
      behindTlsProxy: values['behind-tls-proxy'],
      requestsPerSecond: wholeNumber('--requests-per-second', values['requests-per-second'], 1, 1_000_000),
    };
  } catch (error) {
    throw new WitnessError('witness.usage', (error as Error).message, error);
  }
}

function wholeNumber(name: string, text: string, least: number, most: number): number {
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new Error(`${name} takes a whole number from ${least} to ${most}.`);
}

function answer(value: object): void {
  process.stdout.write(`${JSON.stringify(value)}\n`);
}

async function init({ role, data, name, passphraseFile, tokenFile }: Options): Promise<void> {
  if (name === undefined) throw new WitnessError('witness.usage', '--name is missing.');
  const { init: make } = await import('./init.ts');
  answer(await make(data, { role, name, passphraseFile, tokenFile }));
}

async function addLog({ role, data, keys, origin }: Options): Promise<void> {
  if (keys.length === 0) throw new WitnessError('witness.usage', 'A verifier key is missing.');
  const [{ requireRole }, logs] = await Promise.all([import('./serve.ts'), import('./logs.ts')]);
  requireRole(data, role);
  answer(logs.addLog(data, keys, origin));
}

async function removeLog({ role, data, keys, origin }: Options): Promise<void> {
  const [key, ...more] = keys;
  if (origin === undefined || more.length > 0)
    throw new WitnessError('witness.usage', '--origin, and at most one key.');
  const [{ requireRole }, logs] = await Promise.all([import('./serve.ts'), import('./logs.ts')]);
  requireRole(data, role);
  answer(logs.removeLog(data, origin, key));
}

async function report({ role, data }: Options): Promise<void> {
  answer((await import('./report.ts')).report(data, role));
}

async function conflicts({ role, data }: Options): Promise<void> {
  answer((await import('./report.ts')).conflicts(data, role));
}

async function serve(options: Options): Promise<void> {
  const listening = listeningOf(options);
  const { data: folder, role, passphraseFile, tokenFile } = options;
  const [{ serve: start }, { createLogger }] = await Promise.all([
    import('./serve.ts'),
    import('./logger.ts'),
  ]);
  const logger = createLogger();
  const serving = await start({ folder, role, passphraseFile, tokenFile, listening, logger });
  let stopping = false;
  const stop = (): void => {
    // Whoever asks twice, or waits in vain, means it.
    if (stopping) process.exit(1);
    stopping = true;
    setTimeout(() => process.exit(1), stopDeadlineMs).unref();
    serving.close().then(
      () => process.exit(0),
      (error: unknown) => fail(error),
    );
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  // Whoever reads this may end the process at once.
  answer({ listening: serving.url, name: serving.name, logs: serving.logs });
}

/** On loopback anything goes; elsewhere only TLS, here or in a proxy. @throws WitnessError `witness.address_refused`, `witness.tls_unusable` */
function listeningOf({ host, port, tlsCertificate, tlsKey, ...more }: Options): Listening {
  const { behindTlsProxy, requestsPerSecond } = more;
  const isLoopback = ['127.0.0.1', '::1', 'localhost'].includes(host);
  const common = { host, port, behindTlsProxy, requestsPerSecond };
  if (tlsCertificate === undefined && tlsKey === undefined) {
    if (!isLoopback && !behindTlsProxy)
      throw new WitnessError('witness.address_refused', `${host} without TLS`);
    return common;
  }
  try {
    const tls = { cert: readFileSync(tlsCertificate ?? ''), key: readFileSync(tlsKey ?? '') };
    createSecureContext(tls);
    return { ...common, tls };
  } catch (error) {
    throw new WitnessError('witness.tls_unusable', (error as NodeJS.ErrnoException).code, error);
  }
}

function fail(error: unknown): never {
  const known =
    error instanceof WitnessError ? error : new WitnessError('witness.unexpected', String(error), error);
  if (known.code === 'witness.unexpected' && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  const { code, message, fix } = known;
  process.stderr.write(`${JSON.stringify({ error: { code, message, fix } })}\n`);
  process.exit(1);
}

// Whatever this process writes is for the account that runs it, and nobody else.
process.umask(0o077);
try {
  const [role = '', name = '', ...args] = process.argv.slice(2);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if ((role !== 'witness' && role !== 'mirror') || command === undefined) {
    throw new WitnessError('witness.usage', `Unknown command: ${role} ${name}.`);
  }
  await command(readOptions(role, args));
} catch (error) {
  fail(error);
}
