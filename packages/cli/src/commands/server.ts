import { resolve } from 'node:path';
import type { Command } from 'commander';
import { Exit } from '../io.ts';
import type { Io } from '../io.ts';
import { print } from '../output.ts';
import type { OutputOptions } from '../output.ts';
import { defaultDataDirectory, defaultHost, defaultPort, startServer } from '../server-process.ts';
import { parseInteger } from '../verb.ts';

interface ServerOptions extends OutputOptions {
  readonly data: string;
  readonly host: string;
  readonly port: number;
  readonly withoutWitnesses?: true;
  readonly root?: string;
}

export function register(program: Command, io: Io): void {
  program
    .command('server')
    .description('run the server until it is told to end (SIGTERM or SIGINT); its log goes to standard error')
    .option('--json', 'print one JSON object when it listens')
    .option('--data <directory>', 'where the installation lies', defaultDataDirectory)
    .option('--host <address>', 'address to listen on', defaultHost)
    .option('--port <number>', 'port to listen on; 0 takes a free one', parseInteger(0, 65_535), defaultPort)
    .option('--root <folder>', 'folder of the root of trust to start with, where it is a stand-by')
    .option(
      '--without-witnesses',
      'start although the witnesses that a policy requires cannot be asked whether the database is the newest',
    )
    .action(async (options: ServerOptions) => {
      const server = await startServer({
        env: options.root === undefined ? io.env : { ...io.env, TRIALKEEP_ROOT: resolve(options.root) },
        signal: io.signal,
        dataDirectory: options.data,
        host: options.host,
        port: options.port,
        withoutWitnesses: options.withoutWitnesses === true,
        onLog: (line) => void io.stderr.write(`${line}\n`),
      });
      const { url, state, reasons } = server;
      await print(io, options, { listening: url, state, reasons }, () =>
        [`Trialkeep listens on ${url} (${state}).`, ...reasons].join('\n'),
      );
      const status = await server.ended;
      if (status !== 0) throw new Exit(status);
    });
}
