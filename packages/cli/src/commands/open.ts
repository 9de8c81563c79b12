import { fileRanges, openFile, openRanges, openStream, SealError } from '@trialkeep/sdk/seal';
import type { KeySource } from '@trialkeep/sdk/seal';
import { createTargetFile } from '@trialkeep/sdk/files';
import { InvalidArgumentError, Option } from 'commander';
import type { Command } from 'commander';
import { CliError } from '../errors.ts';
import { jobLine, planJobs, runJobs, sealedSuffix } from '../file-jobs.ts';
import type { SourceJob, TargetChoice } from '../file-jobs.ts';
import { writeOut } from '../io.ts';
import type { Io } from '../io.ts';
import { withOpeningKeys } from '../key-source.ts';
import type { OpeningKeyOptions } from '../key-source.ts';
import { print } from '../output.ts';
import { isFolder, treeJob, treeLine, TreeOpener } from '../tree-jobs.ts';
import { addServerVerb, contextOption, gather, reasonOption } from '../verb.ts';

interface OpenCommandOptions extends OpeningKeyOptions, TargetChoice {
  readonly context?: Record<string, string>;
  readonly overwrite?: true;
  readonly digest?: true;
  readonly check?: true;
  readonly manifest?: string;
  readonly signed?: true;
  readonly range?: ByteRange;
}

/** First and last byte, from 0; without a last one, to the end. */
interface ByteRange {
  readonly first: number;
  readonly last: number | undefined;
}

/** A file that is opened without being written. */
interface CheckJob extends SourceJob {
  readonly kind: 'check';
}

const treesHelp = `
A folder is a sealed tree, restored under the names that it holds: in --out-dir, or beside it. What is there already is compared,
and stays where it is the same, so that an interrupted opening is run again. Anything damaged, missing, or standing where something
else belongs is named, the rest is restored, and the status is 1. Links are restored as links, and never written through.
--check proves that all of it is there, whole and authentic; that no older tree was put in its place only together with --manifest.
With --identity the passphrase is asked for on a terminal, and otherwise is the one line of standard input.`;

export function register(program: Command, io: Io): void {
  addServerVerb(
    program,
    'open <path...>',
    'open sealed files and trees on this machine; each file appears whole, or not at all',
  )
    .option('--key <id>', 'a key that may be used; may be repeated; otherwise any that a file names', gather)
    .option('--identity <file>', 'the private file of an escrow pair: opens without any server')
    .option('--openings <file>', 'with --identity: the list of what was opened; beside it otherwise')
    .addOption(contextOption('a pair that the files must carry; may be repeated'))
    .addOption(reasonOption(false))
    .option('--out <file>', 'where to write a single file')
    .option(
      '--out-dir <folder>',
      `where to write; beside each source, files without ${sealedSuffix}, otherwise`,
    )
    .option('--overwrite', 'replace existing files')
    .option('--digest', 'state the SHA-256 of each plaintext (with --json)')
    .option('--check', 'verify everything, and write nothing')
    .option('--signed', 'refuse what is not signed')
    .addOption(
      new Option('--manifest <sha256>', 'accept this tree only: the digest that seal gave').argParser(
        parseDigest,
      ),
    )
    .addOption(
      new Option(
        '--range <first-last>',
        'only these bytes of a single file, counted from 0, to standard output or --out; 100- is the rest',
      ).argParser(parseRange),
    )
    .addHelpText('after', treesHelp)
    .action(async (sources: string[], options: OpenCommandOptions) => {
      const jobs = await planOpening(sources, options);
      await withOpeningKeys(io, options, (keys) =>
        options.range === undefined
          ? openAll(io, options, keys, jobs)
          : openRange(io, options, keys, options.range, sources[0] ?? ''),
      );
    });
}

type OpenJob = SourceJob | CheckJob | ReturnType<typeof treeJob>;

/** @throws CliError `cli.usage` for what does not go together */
async function planOpening(sources: readonly string[], options: OpenCommandOptions): Promise<OpenJob[]> {
  const { check, range, manifest, signed, out, outDir } = options;
  const folders = await Promise.all(sources.map(isFolder));
  const trees = folders.filter(Boolean).length;
  if (range !== undefined && (sources.length > 1 || trees > 0 || check === true || outDir !== undefined))
    throw usage('--range is for one file, with --out or without');
  if (range !== undefined && signed === true)
    throw usage('a signature is over all of a file, and --range reads a part');
  if (range !== undefined && options.json === true && out === undefined)
    throw usage('--range writes to standard output, and so does --json; name a file with --out');
  if (check === true && (out !== undefined || outDir !== undefined)) throw usage('--check writes nothing');
  if (manifest !== undefined && (trees !== 1 || sources.length > 1))
    throw usage('--manifest is for one tree');
  if (trees > 0 && out !== undefined) throw usage('--out is for one file; name a folder with --out-dir');
  if (range !== undefined) return [];
  const files = sources.filter((_, index) => folders[index] !== true);
  const fileJobs: readonly SourceJob[] =
    check === true
      ? files.map((source): CheckJob => ({ kind: 'check', source }))
      : planJobs(files, options, openedName);
  const waiting = [...fileJobs];
  return sources.flatMap((source, index): OpenJob[] =>
    folders[index] === true ? [treeJob(source, options, check === true)] : waiting.splice(0, 1),
  );
}

async function openAll(
  io: Io,
  options: OpenCommandOptions,
  keys: KeySource,
  jobs: readonly OpenJob[],
): Promise<void> {
  const { context = {}, manifest, check } = options;
  const overwrite = options.overwrite === true;
  const signed = options.signed === true;
  const { signal } = io;
  const trees = new TreeOpener(keys, {
    context,
    overwrite,
    signed,
    signal,
    ...(manifest !== undefined && { manifest }),
  });
  const done = check === true ? 'checked' : 'opened';
  await runJobs<OpenJob, object>(io, options, jobs, {
    label: check === true ? 'checking' : 'opening',
    done: jobs.some(isTree) ? done : `files ${done}`,
    work: (job, onProgress) => {
      if (isTree(job)) return trees.open(job, onProgress);
      const { source, target } = job;
      if (target === undefined) return checkFile(keys, source, { context, signed, signal });
      const digest = options.digest === true;
      return openFile(keys, { source, target, context, overwrite, signed, digest, signal, onProgress });
    },
    findingsOf: (job) => trees.findingsOf(job),
    lineOf: (job) => {
      if (!isTree(job)) return jobLine(job);
      return treeLine(jobLine(job), job as Parameters<typeof treeLine>[1] & OpenJob);
    },
  });
}

function isTree(job: OpenJob): job is ReturnType<typeof treeJob> {
  return 'kind' in job && job.kind === 'tree';
}

const pieceBytes = 1024 * 1024;

/** Opens a file to its end, and keeps nothing of it. */
async function checkFile(
  keys: KeySource,
  path: string,
  options: {
    readonly context: Record<string, string>;
    readonly signed: boolean;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly bytes: number }> {
  const source = await fileRanges(path);
  const pieces = async function* (): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < source.size; at += pieceBytes)
      yield await source.read(at, Math.min(pieceBytes, source.size - at));
  };
  let bytes = 0;
  try {
    // Nothing is released at all.
    const opening = openStream(keys, pieces(), { ...options, releaseBeforeSignature: true });
    for await (const chunk of opening) bytes += chunk.length;
    return { bytes };
  } catch (error) {
    throw error instanceof SealError && error.path === undefined
      ? new SealError(error.code, path, { cause: error })
      : error;
  } finally {
    await source.close?.();
  }
}

async function openRange(
  io: Io,
  options: OpenCommandOptions,
  keys: KeySource,
  { first, last }: ByteRange,
  path: string,
): Promise<void> {
  const source = await fileRanges(path);
  try {
    const { context = {}, out, overwrite } = options;
    const ranges = await openRanges(keys, source, { context, signal: io.signal });
    const plaintext = ranges.read(first, last === undefined ? undefined : last + 1);
    if (out === undefined) {
      for await (const chunk of plaintext) await writeOut(io, chunk);
      return;
    }
    const target = await createTargetFile(out, { overwrite: overwrite === true });
    let bytes = 0;
    try {
      for await (const chunk of plaintext) {
        await target.write(chunk);
        bytes += chunk.length;
      }
      await target.commit();
    } finally {
      await target.abandon();
    }
    await print(io, options, { source: path, target: out, bytes }, () => `${path} → ${out}: ${bytes} bytes`);
  } finally {
    await source.close?.();
  }
}

function usage(detail: string): CliError {
  return new CliError('cli.usage', { detail });
}

function openedName(source: string): string {
  if (source.endsWith(sealedSuffix)) return source.slice(0, -sealedSuffix.length);
  const detail = `${source} does not end with ${sealedSuffix}`;
  throw new CliError('cli.usage', { detail, fix: 'Name the file to write with --out.' });
}

function parseDigest(text: string): string {
  if (/^[0-9a-f]{64}$/i.test(text)) return text.toLowerCase();
  throw new InvalidArgumentError('Give the 64 hexadecimal digits that seal printed.');
}

function parseRange(text: string): ByteRange {
  const found = /^(\d{1,15})-(\d{1,15})?$/.exec(text);
  const [first, last] = [Number(found?.[1]), found?.[2] === undefined ? undefined : Number(found[2])];
  if (found !== null && (last === undefined || first <= last)) return { first, last };
  throw new InvalidArgumentError('Write it as 0-499 for the first 500 bytes, or 500- for the rest.');
}
