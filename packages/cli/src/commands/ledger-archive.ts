import { maxNoteBytes } from '@trialkeep/ledger';
import { archiveLedger, folderStore, parseBucketPlace, s3Store } from '@trialkeep/sdk/archive';
import type { ArchiveStore } from '@trialkeep/sdk/archive';
import { operations } from '@trialkeep/sdk/client';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { readInput } from '../input.ts';
import type { Io } from '../io.ts';
import { print, printable } from '../output.ts';
import { startProgress } from '../progress.ts';
import { connect, readReason } from '../session.ts';
import type { SessionOptions } from '../session.ts';
import { addServerVerb, gather, parseInteger, reasonOption } from '../verb.ts';

interface ArchiveOptions extends SessionOptions {
  readonly key?: readonly string[];
  readonly endpoint?: string;
  readonly region?: string;
}

interface PruneOptions extends SessionOptions {
  readonly below: number;
  readonly checkpoint: string;
  readonly reason: string;
}

/** Archives of the log, and what may be deleted on the server once they are there. */
export function registerArchive(ledger: Command, io: Io): void {
  addServerVerb(
    ledger,
    'archive <folder|s3://bucket/prefix>',
    'bring an archive of the log (C2SP tlog-tiles) up to date, and verify all that comes in',
  )
    .option(
      '--key <vkey>',
      "the log's verifier keys, from a trusted place; otherwise those the archive was made with",
      gather,
    )
    .option('--endpoint <url>', 'another server than that of AWS which speaks S3')
    .option('--region <name>', 'the region of the bucket')
    .addHelpText(
      'after',
      '\nThe credentials of a bucket come from where every AWS client looks for them, such as AWS_ACCESS_KEY_ID and\n' +
        'AWS_SECRET_ACCESS_KEY. Run again, it writes what is new; objects that are there are never replaced, but for the checkpoint.',
    )
    .action(async (place: string, options: ArchiveOptions) => {
      const store = await storeOf(place, options);
      const { client } = await connect(io, options);
      const { key } = options;
      const progress = await startProgress(io, options, 'archiving', 'entries');
      const archiving = archiveLedger(client, store, {
        ...(key !== undefined && { verifierKeys: key }),
        signal: io.signal,
        onProgress: (done, total) => progress.update(done, total),
      });
      const result = await archiving.finally(() => progress.stop());
      const { origin, size, previousSize } = result;
      await print(io, options, result, () =>
        printable(
          `${size} entries of ${origin} lie in ${result.place}, ${size - previousSize} of them new. They fit their checkpoint.`,
        ),
      );
    });

  addServerVerb(ledger, 'bounds', operations['ledger.bounds'].summary).action(
    async (options: SessionOptions) => {
      const { client } = await connect(io, options);
      const bounds = await client.call('ledger.bounds', {});
      await print(
        io,
        options,
        bounds,
        () => `The server has entries ${bounds.minimumIndex} to ${bounds.size - 1}.`,
      );
    },
  );

  addServerVerb(ledger, 'prune', operations['ledger.prune'].summary)
    .requiredOption(
      '--below <index>',
      'the first entry that stays; a multiple of 256',
      parseInteger(256, 999_999_999_999_999),
    )
    .requiredOption('--checkpoint <file>', 'the file `checkpoint` of the archive')
    .addOption(reasonOption(true))
    .action(async (options: PruneOptions) => {
      const { client } = await connect(io, options);
      const { below } = options;
      const checkpoint = (await readInput(io, options.checkpoint, maxNoteBytes)).toString('utf8');
      const reason = await readReason(io, options.reason);
      const pruned = await client.call('ledger.prune', { below, checkpoint, reason });
      await print(io, options, pruned, () => `Entries below ${pruned.minimumIndex} are deleted.`);
    });
}

async function storeOf(place: string, { endpoint, region }: ArchiveOptions): Promise<ArchiveStore> {
  const bucket = parseBucketPlace(place);
  if (bucket !== undefined) {
    return s3Store({
      ...bucket,
      ...(endpoint !== undefined && { endpoint }),
      ...(region !== undefined && { region }),
    });
  }
  if (/^[a-z0-9+.-]+:\/\//i.test(place)) {
    throw new CliError('cli.usage', { detail: 'the archive is neither a folder nor s3://bucket/prefix' });
  }
  return folderStore(place);
}
