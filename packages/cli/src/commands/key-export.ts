import { operations } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { writeResult } from '../input.ts';
import type { Io } from '../io.ts';
import { isoTime, list, print, table } from '../output.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, parseInteger, reasonOption } from '../verb.ts';

interface ExportOptions extends SessionOptions {
  readonly destination: string;
  readonly keyVersion?: number;
  readonly reason: string;
}

interface FetchOptions extends SessionOptions {
  readonly out: string;
  readonly overwrite?: true;
}

/** Verbs that let a key leave, wrapped for somebody who was named. */
export function registerExport(key: Command, io: Io): void {
  addServerVerb(key, 'export <key>', operations['keys.export'].summary)
    .requiredOption('--destination <id>', 'who it is exported to: `trialkeep destination list`')
    .option('--key-version <number>', 'which version; the present one otherwise', parseInteger(1, 1_000_000))
    .addOption(reasonOption(true))
    .action(async (id: string, options: ExportOptions) => {
      const { client } = await connect(io, options);
      const reason = await readReason(io, options.reason);
      const { destinations } = await client.call('destinations.list', {});
      const to = destinations.find((one) => one.id === options.destination);
      if (to === undefined) {
        throw new CliError('cli.input_invalid', {
          detail: 'there is no such destination',
          fix: 'List them with `trialkeep destination list`.',
        });
      }
      const version = options.keyVersion ?? (await client.call('keys.show', { key: id })).key.version;
      const made = await client.call('keys.export', {
        key: id,
        version,
        destination: to.id,
        destinationName: to.name,
        fingerprint: to.fingerprint,
        reason,
      });
      await print(
        io,
        options,
        made,
        () => `Version ${made.version} of key ${made.key} is exported: ${made.id}.`,
      );
    });

  registerFetching(key, io);
}

function registerFetching(key: Command, io: Io): void {
  addServerVerb(key, 'exports', operations['exports.list'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const answer = await client.call('exports.list', {});
      await print(io, options, answer, () =>
        table(
          ['id', 'key', 'version', 'destination', 'exported', 'until'],
          answer.exports.map((row) => [
            row.id,
            row.key,
            row.version,
            row.destination,
            isoTime(row.exportedAt),
            isoTime(row.expiresAt),
          ]),
        ),
      );
    },
  );

  addServerVerb(key, 'fetch-export <export>', operations['exports.fetch'].summary)
    .requiredOption('--out <file>', 'where the wrapped key goes')
    .option('--overwrite', 'replace a file that exists')
    .action(async (id: string, options: FetchOptions) => {
      const { client } = await connect(io, options);
      const { wrapped, ...fetched } = await client.call('exports.fetch', { export: id });
      const bytes = Buffer.from(wrapped, 'base64');
      await writeResult(io, options, bytes);
      const shown = { ...fetched, file: options.out, bytes: bytes.length };
      await print(io, options, shown, () =>
        list({
          key: `${fetched.key}, version ${fetched.version}`,
          algorithm: fetched.algorithm,
          wrapped: fetched.wrap,
          for: `${fetched.destinationName} (${fetched.fingerprint})`,
          file: options.out,
        }),
      );
    });
}
