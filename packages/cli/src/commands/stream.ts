import type { Sink } from '@trialkeep/sdk/stream';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { readInput } from '../input.ts';
import { textOf } from '../io.ts';
import type { Io } from '../io.ts';
import { print } from '../output.ts';
import { startProgress } from '../progress.ts';
import { connect } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, gather, parseInteger } from '../verb.ts';

interface StreamCommandOptions extends SessionOptions {
  readonly state: string;
  readonly key?: readonly string[];
  readonly from: 'start' | 'end';
}

interface SyslogCommandOptions extends StreamCommandOptions {
  readonly ca?: string;
  readonly cert?: string;
  readonly certKey?: string;
  readonly enterpriseNumber: number;
  readonly settle?: number;
}

interface OtlpCommandOptions extends StreamCommandOptions {
  readonly headers?: string;
}

/** Longest file of certificates, of a key or of headers that is read, bytes. */
const maxFileBytes = 1024 * 1024;
/** RFC 5425 section 4.1. */
const syslogTlsPort = 6514;
/** For documentation (RFC 5612): the house has its own. */
const documentationEnterprise = 32_473;

export function register(program: Command, io: Io): void {
  const stream = program
    .command('stream')
    .description('follow the ledger and hand each entry, verified, to a collector, until told to end');
  registerSyslog(stream, io);
  registerOtlp(stream, io);
}

function addStreamVerb(stream: Command, usage: string, summary: string): Command {
  return addServerVerb(stream, usage, summary)
    .requiredOption('--state <file>', 'keeps how far the collector has taken the log; one for each collector')
    .option(
      '--key <vkey>',
      'a verifier key of the log, from a trusted place; otherwise the server is asked once',
      gather,
    )
    .addOption(
      new Option('--from <place>', 'where a new stream begins').choices(['start', 'end']).default('start'),
    )
    .addHelpText(
      'after',
      '\nNo entry is left out. After a break those that were not acknowledged come again: `position` tells them.\n' +
        'docs/formats/ledger-stream.md says what a message looks like.',
    );
}

function registerSyslog(stream: Command, io: Io): void {
  addStreamVerb(
    stream,
    'syslog <host[:port]>',
    `to a syslog receiver, RFC 5424 over TLS (port ${syslogTlsPort})`,
  )
    .option('--ca <file>', "certificates to trust, PEM, in place of the system's")
    .option('--cert <file>', 'certificate to show, PEM')
    .option('--cert-key <file>', 'its private key, PEM')
    .option(
      '--enterprise-number <number>',
      'private enterprise number of the structured data',
      parseInteger(1, 2 ** 31 - 1),
      documentationEnterprise,
    )
    .option(
      '--settle <seconds>',
      'how long a connection has to stay up until what it carried counts as taken; what is younger comes again over the next one. ' +
        'Under 1200, the default, a receiver that vanishes without a word loses entries',
      parseInteger(1, 3600),
    )
    .action(async (address: string, options: SyslogCommandOptions) => {
      const { host, port } = parseAddress(address);
      const read = async (path: string | undefined) =>
        path === undefined ? undefined : readInput(io, path, maxFileBytes);
      const [ca, cert, key] = await Promise.all([options.ca, options.cert, options.certKey].map(read));
      if ((cert === undefined) !== (key === undefined)) {
        throw new CliError('cli.usage', { detail: '--cert and --cert-key belong together' });
      }
      const { machineClock, syslogSink } = await import('@trialkeep/sdk/stream');
      const sink = syslogSink({
        host,
        port,
        tls: { ...(ca && { ca }), ...(cert && { cert }), ...(key && { key }) },
        enterprise: options.enterpriseNumber,
        ...(options.settle !== undefined && { settleMs: options.settle * 1000 }),
        clock: machineClock,
      });
      await run(io, options, sink);
    });
}

function registerOtlp(stream: Command, io: Io): void {
  addStreamVerb(stream, 'otlp <url>', 'to an OpenTelemetry collector, OTLP over HTTP with JSON')
    .option(
      '--headers <file>',
      'headers such as a token, one `name: value` a line; never on the command line',
    )
    .action(async (address: string, options: OtlpCommandOptions) => {
      const { isPrivateUrl, otlpSink } = await import('@trialkeep/sdk/stream');
      const endpoint = parseEndpoint(address, isPrivateUrl);
      const headers =
        options.headers === undefined
          ? {}
          : parseHeaders(textOf(await readInput(io, options.headers, maxFileBytes)));
      await run(io, options, otlpSink({ endpoint, headers }));
    });
}

async function run(io: Io, options: StreamCommandOptions, sink: Sink): Promise<void> {
  const { client } = await connect(io, options);
  const { streamLedger } = await import('@trialkeep/sdk/stream');
  const progress = await startProgress(io, options, 'streaming', 'entries');
  const streaming = streamLedger({
    client,
    sink,
    stateFile: options.state,
    from: options.from,
    signal: io.signal,
    ...(options.key !== undefined && { verifierKeys: options.key }),
    onProgress: (acknowledged, size) => progress.update(acknowledged, size),
    onTrouble: (sentence) => void io.stderr.write(`trying again: ${sentence}\n`),
  });
  const acknowledged = await streaming.finally(() => progress.stop());
  await print(io, options, { acknowledged }, () => `${acknowledged} entries are with the collector.`);
}

function parseAddress(text: string): { host: string; port: number } {
  const [, bracketed, plain, port] = /^(?:\[([0-9a-f:]+)\]|([^\s:/]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const host = bracketed ?? plain;
  const number = port === undefined ? syslogTlsPort : Number(port);
  if (host === undefined || number < 1 || number > 65_535) {
    throw new InvalidArgumentError('Write the receiver as host or host:port.');
  }
  return { host, port: number };
}

function parseEndpoint(text: string, isPrivate: (url: URL) => boolean): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  const isClean = url?.username === '' && url.password === '' && url.search === '' && url.hash === '';
  if (url === undefined || !isClean || !isPrivate(url)) {
    throw new InvalidArgumentError(
      'Write an https URL without user, query or fragment; http is for this machine.',
    );
  }
  return url;
}

function parseHeaders(text: string): Record<string, string> {
  const lines = text.split(/\r?\n/).filter((line) => line !== '');
  return Object.fromEntries(
    lines.map((line, index): [string, string] => {
      const [, name, value] =
        /^([A-Za-z0-9-]{1,100}):[ \t]*([\x21-\x7e]+(?: [\x21-\x7e]+)*)$/.exec(line) ?? [];
      if (name === undefined || value === undefined) {
        throw new CliError('cli.input_invalid', { detail: `line ${index + 1} of the headers is no header` });
      }
      return [name.toLowerCase(), value];
    }),
  );
}
