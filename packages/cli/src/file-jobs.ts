import { mkdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { SealError } from '@trialkeep/sdk/seal';
import { CliError } from './errors.ts';
import type { Io } from './io.ts';
import { errorLines, print, printable, reportable } from './output.ts';
import type { OutputOptions, Reportable } from './output.ts';
import { printPartial } from './pending.ts';
import { startProgress } from './progress.ts';

/** What a sealed file's name ends with, and a sealed folder's, unless its user chooses a name. */
export const sealedSuffix = '.sealed';

/** How many files are worked on at a time: enough to hide the server's answers and the disk's flushes. */
const concurrentJobs = 4;

export interface FileJob {
  readonly source: string;
  readonly target: string;
}

/** A job whose result may go elsewhere than into a file of its own. */
export interface SourceJob {
  readonly source: string;
  readonly target?: string;
}

export interface TargetChoice {
  /** The target of a single file. */
  readonly out?: string;
  /** The folder of the targets. */
  readonly outDir?: string;
}

/**
 * Where each file goes: `out`, or the name that `nameOf` gives, in `outDir` or beside the source.
 *
 * @throws CliError `cli.usage` where two files would have one target, or `out` is to hold several
 */
export function planJobs(
  sources: readonly string[],
  { out, outDir }: TargetChoice,
  nameOf: (source: string) => string,
): FileJob[] {
  if (out !== undefined && (outDir !== undefined || sources.length > 1)) {
    throw new CliError('cli.usage', {
      detail: '--out is for one file; name a folder with --out-dir',
      fix: 'Use --out-dir.',
    });
  }
  const jobs = sources.map((source) => {
    if (out !== undefined) return { source, target: out };
    const name = nameOf(source);
    return { source, target: outDir === undefined ? name : join(outDir, basename(name)) };
  });
  const targets = new Set<string>();
  for (const { target } of jobs) {
    if (targets.has(resolve(target))) {
      throw new CliError('cli.usage', {
        detail: `two files would become ${target}`,
        fix: 'Run the command for each folder.',
      });
    }
    targets.add(resolve(target));
  }
  return jobs;
}

/** How many bytes of the source are done, and, where its size is not that of a file, how many there are. */
type OnProgress = (done: number, total?: number) => void;

export interface JobWork<Job extends SourceJob, Result extends object> {
  /** What is being done, beside the progress bar, and what has been done to files. */
  readonly label: string;
  readonly done: string;
  work(job: Job, onProgress: OnProgress): Promise<Result>;
  /** What was wrong with a part of what a job is about. */
  findingsOf?(job: Job): readonly Reportable[];
  /** What is said of a job that succeeded; its source and target by default. */
  lineOf?(result: Job & Result): string;
}

interface Outcomes<Job, Result> {
  readonly files: (Job & Result)[];
  readonly failed: { readonly job: Job; readonly cause: SealError }[];
  /** A failure that ended the work, since the next file would share it. */
  readonly fatal: Error | undefined;
}

/**
 * Works through the files, several at a time, and prints what became of each. A file that fails does not stop the others; what
 * the server refuses, it refuses for all, and that ends the work.
 *
 * @throws the error of a single file; CliError `cli.some_failed` for some of several
 */
export async function runJobs<Job extends SourceJob, Result extends object>(
  io: Io,
  options: OutputOptions & TargetChoice,
  jobs: readonly Job[],
  verb: JobWork<Job, Result>,
): Promise<void> {
  if (options.outDir !== undefined) await makeFolder(options.outDir);
  const progress = await startProgress(io, options, verb.label, 'bytes');
  let outcomes: Outcomes<Job, Result>;
  try {
    outcomes = await workThrough(jobs, progress.update, verb);
  } finally {
    progress.stop();
  }
  const { files, failed, fatal } = outcomes;
  const single = jobs.length === 1 ? (fatal ?? failed[0]?.cause) : undefined;
  const failures = failed.map(({ job, cause }) => {
    const findings = verb.findingsOf?.(job) ?? [];
    return { ...job, error: reportable(cause), ...(findings.length > 0 && { findings }) };
  });
  const findings = failures.flatMap((failure) => failure.findings ?? []);
  if (single !== undefined && findings.length === 0) throw single;
  if (options.json !== true) {
    for (const finding of findings) io.stderr.write(errorLines(finding));
    if (single === undefined) for (const { error } of failures) io.stderr.write(errorLines(error));
  }
  const result = { files, failed: failures };
  const text = () =>
    [
      ...files.map((file) => printable(verb.lineOf?.(file) ?? jobLine(file))),
      `${files.length} of ${jobs.length} ${verb.done}.`,
    ].join('\n');
  if (fatal !== undefined && single === undefined) return printPartial(io, options, result, text, fatal);
  await print(io, options, result, text);
  if (single !== undefined) throw single;
  if (failed.length > 0)
    throw new CliError('cli.some_failed', { detail: `${failed.length} of ${jobs.length}` });
}

/** From where to where. */
export function jobLine({ source, target }: SourceJob): string {
  return target === undefined ? source : `${source} → ${target}`;
}

async function workThrough<Job extends SourceJob, Result extends object>(
  jobs: readonly Job[],
  onBytes: (done: number, total: number) => void,
  verb: JobWork<Job, Result>,
): Promise<Outcomes<Job, Result>> {
  const sizes = await Promise.all(jobs.map(({ source }) => sizeOf(source)));
  let total = sizes.reduce((sum, size) => sum + size, 0);
  let doneBytes = 0;
  const files: (Job & Result)[] = [];
  const failed: Outcomes<Job, Result>['failed'] = [];
  let fatal: Error | undefined;
  // The workers share one iterator: each takes the next file.
  const waiting = jobs.entries();
  const takeNext = async (): Promise<void> => {
    for (const [index, job] of waiting) {
      if (fatal !== undefined) return;
      let ofThis = 0;
      let size = sizes[index] ?? 0;
      try {
        const result = await verb.work(job, (done, all = size) => {
          doneBytes += done - ofThis;
          total += all - size;
          [ofThis, size] = [done, all];
          onBytes(doneBytes, total);
        });
        files[index] = { ...job, ...result };
      } catch (cause) {
        if (cause instanceof SealError) failed[index] = { job, cause };
        else fatal ??= cause as Error;
      }
    }
  };
  await Promise.all(Array.from({ length: concurrentJobs }, takeNext));
  // In the order of the jobs, without the gaps.
  return { files: Object.values(files), failed: Object.values(failed), fatal };
}

/** The size of a file for the progress bar; one that cannot be read fails later, with its own error. */
async function sizeOf(path: string): Promise<number> {
  return stat(path).then(
    ({ size }) => size,
    () => 0,
  );
}

async function makeFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new SealError('seal.target_unwritable', path, { cause });
  }
}
