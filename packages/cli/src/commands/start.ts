import type { Command } from 'commander';
import { Exit } from '../io.ts';
import type { Io } from '../io.ts';
import type { OutputOptions } from '../output.ts';
import { defaultDataDirectory, defaultPort } from '../server-process.ts';
import { parseInteger } from '../verb.ts';

interface StartCommandOptions extends OutputOptions {
  readonly once?: true;
  readonly data: string;
  readonly port?: number;
}

export function register(program: Command, io: Io): void {
  program
    .command('start [folder]')
    .description(
      'start Trialkeep and run the main job once: on FOLDER, or on a sample study that is generated',
    )
    .option('--once', 'end after the main job instead of staying up')
    .option('--json', 'print one JSON object')
    .option('--data <directory>', 'where the installation lies; made at the first run', defaultDataDirectory)
    .option(
      '--port <number>',
      `port on 127.0.0.1, 0 for a free one (default: ${defaultPort}; with --once a free one)`,
      parseInteger(0, 65_535),
    )
    .action(async (folder: string | undefined, options: StartCommandOptions) => {
      const { runStart } = await import('../start/index.ts');
      const status = await runStart({
        io,
        folder,
        once: options.once === true,
        json: options.json === true,
        dataDirectory: options.data,
        port: options.port ?? (options.once === true ? 0 : defaultPort),
      });
      if (status !== 0) throw new Exit(status);
    });
}
