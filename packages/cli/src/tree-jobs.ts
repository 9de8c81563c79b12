import { mkdir, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import { cachedKeys } from '@trialkeep/sdk/seal';
import type { EncryptionContext, KeySource } from '@trialkeep/sdk/seal';
import { checkTree, openTree, sealTree } from '@trialkeep/sdk/tree';
import type { CheckedTree, MissingFromTree, OpenedTree, SealedTree, TreeFinding } from '@trialkeep/sdk/tree';
import { CliError } from './errors.ts';
import { sealedSuffix } from './file-jobs.ts';
import type { SourceJob, TargetChoice } from './file-jobs.ts';
import type { Io } from './io.ts';
import type { GivenKeys } from './key-source.ts';
import { errorLines, humanBytes, print, printable, printableName, reportable, say } from './output.ts';
import type { OutputOptions, Reportable } from './output.ts';
import { startProgress } from './progress.ts';

/** So many findings are shown by name; the rest are counted. */
const mostFindings = 1000;

/** Whether a path leads to a folder. */
export async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

export interface SealTreeCommand extends OutputOptions, TargetChoice {
  readonly context?: Record<string, string>;
  readonly overwrite?: true;
  readonly digest?: true;
  readonly sign?: true;
  readonly incomplete?: true;
}

/**
 * Seals folders, and files beside them, into one tree, and prints what became of it.
 *
 * @throws CliError `cli.usage` where the target is not clear; the errors of `sealTree`
 */
export async function runSealTree(
  io: Io,
  options: SealTreeCommand,
  sources: readonly string[],
  { keys, name }: GivenKeys,
): Promise<void> {
  const target = treeTarget(sources, options);
  const findings = new Findings();
  const progress = await startProgress(io, options, 'sealing', 'bytes');
  const journals = await journalFolder(io);
  if (journals === undefined)
    say(io, options, 'No journal can be kept, so that an interrupted sealing begins again from the start.');
  try {
    const sealed = await sealTree(cachedKeys(keys), {
      sources,
      target,
      context: options.context ?? {},
      overwrite: options.overwrite === true,
      digest: options.digest === true,
      signed: options.sign === true,
      incomplete: options.incomplete === true,
      ...(journals !== undefined && { journal: { folder: journals, keys: name } }),
      signal: io.signal,
      ...(io.stderr.isTTY === true && options.json !== true && { lookAhead: true }),
      onProgress: (done, all) => progress.update(done.bytes, Math.max(done.bytes, all.bytes)),
      onFinding: findings.add,
    });
    progress.stop();
    await printSealed(io, options, { sources, target }, sealed, findings.shown);
  } catch (error) {
    progress.stop();
    if (options.json === true && findings.shown.length > 0)
      await print(io, options, { sources, target, findings: findings.shown }, () => '');
    else for (const finding of findings.shown) io.stderr.write(errorLines(finding));
    throw error;
  }
  if (findings.count > 0) throw new CliError('cli.some_failed', { detail: `${findings.count} not sealed` });
}

/** Beside a single folder, or where it is said. */
function treeTarget(sources: readonly string[], { out, outDir }: TargetChoice): string {
  if (out !== undefined)
    throw new CliError('cli.usage', {
      detail: '--out is for one file',
      fix: 'Name a folder with --out-dir.',
    });
  if (outDir !== undefined) return outDir;
  const [source = '', ...more] = sources;
  if (more.length === 0) return `${resolve(source)}${sealedSuffix}`;
  const detail = 'folders, and files beside them, become one sealed tree';
  throw new CliError('cli.usage', { detail, fix: 'Say where it goes with --out-dir.' });
}

/** `$XDG_STATE_HOME/trialkeep/sealing`, or the same below `~/.local/state`; undefined where it cannot be made. */
async function journalFolder(io: Io): Promise<string | undefined> {
  const set = io.env['XDG_STATE_HOME'];
  const base =
    set !== undefined && isAbsolute(set) ? set : join(io.env['HOME'] ?? homedir(), '.local', 'state');
  const folder = join(base, 'trialkeep', 'sealing');
  return mkdir(folder, { recursive: true, mode: 0o700 }).then(
    () => folder,
    () => undefined,
  );
}

async function printSealed(
  io: Io,
  options: OutputOptions,
  places: { readonly sources: readonly string[]; readonly target: string },
  sealed: SealedTree,
  findings: readonly Reportable[],
): Promise<void> {
  const { findings: notSealed, kept, ...result } = sealed;
  if (options.json !== true) for (const finding of findings) io.stderr.write(errorLines(finding));
  await print(io, options, { ...places, ...result, kept, notSealed, findings }, () =>
    [
      `${places.sources.join(', ')} → ${places.target}: ${countsOf(sealed)}`,
      ...(kept > 0 ? [`${filesText(kept)} had been sealed before the interruption.`] : []),
      ...(notSealed > 0 ? [`Incomplete: ${notSealed} could not be sealed, and the manifest says so.`] : []),
      `manifest: ${sealed.manifest}`,
      'Keep that line elsewhere: demanded on opening (--manifest), no older tree can take the place of this one.',
    ]
      .map(printable)
      .join('\n'),
  );
}

export interface TreeJob extends SourceJob {
  readonly kind: 'tree';
}

/** Where a sealed tree is restored: in the folder that is named, or beside it; its files come under their own names. */
export function treeJob(source: string, { outDir }: TargetChoice, check: boolean): TreeJob {
  if (check) return { kind: 'tree', source };
  return { kind: 'tree', source, target: outDir ?? dirname(resolve(source)) };
}

export interface OpenTreeCommand {
  readonly context: EncryptionContext;
  readonly signed: boolean;
  readonly overwrite: boolean;
  readonly signal: AbortSignal;
  readonly manifest?: string;
}

/** Opens or checks sealed trees, one at a time, and remembers what was wrong in each. */
export class TreeOpener {
  readonly #keys: KeySource;
  readonly #options: OpenTreeCommand;
  readonly #findings = new Map<string, Findings>();
  #before: Promise<unknown> = Promise.resolve();

  constructor(keys: KeySource, options: OpenTreeCommand) {
    this.#keys = cachedKeys(keys);
    this.#options = options;
  }

  /** Each uses all threads, so that one waits for the other. */
  async open(
    job: TreeJob,
    onProgress: (done: number, total: number) => void,
  ): Promise<(OpenedTree | CheckedTree) & { readonly notSealed: readonly ShownLack[] }> {
    const opening = this.#before.then(() => this.#openOne(job, onProgress));
    this.#before = opening.catch(() => undefined);
    return opening;
  }

  findingsOf({ source }: SourceJob): readonly Reportable[] {
    return this.#findings.get(source)?.shown ?? [];
  }

  async #openOne({ source, target }: TreeJob, onProgress: (done: number, total: number) => void) {
    const findings = new Findings();
    const notSealed: ShownLack[] = [];
    this.#findings.set(source, findings);
    const options = {
      ...this.#options,
      source,
      onProgress: (done: { bytes: number }, all: { bytes: number }) =>
        onProgress(Math.min(done.bytes, all.bytes), all.bytes),
      onFinding: findings.add,
      onMissing: ({ path, reason }: MissingFromTree) => {
        if (notSealed.length < mostFindings) notSealed.push({ path, reason });
      },
    };
    const result =
      target === undefined
        ? await checkTree(this.#keys, options)
        : await openTree(this.#keys, { ...options, target });
    return { ...result, notSealed };
  }
}

/** What the manifest says was not sealed. */
interface ShownLack {
  readonly path: string;
  readonly reason: string;
}

/** What people read of a tree that was opened or checked. */
export function treeLine(
  from: string,
  tree: CheckedTree & { readonly kept?: number; readonly notSealed: readonly ShownLack[] },
): string {
  return [
    `${from}: ${countsOf(tree)}${(tree.kept ?? 0) > 0 ? `, ${tree.kept} of them there already` : ''}`,
    `manifest: ${tree.manifest}${tree.signed ? ', signed' : ''}`,
    ...(tree.missing > 0 ? [`Incomplete when it was sealed: ${tree.missing} missing`] : []),
    ...tree.notSealed.map(({ path, reason }) => `  ${printableName(path)} (${reason})`),
  ].join('\n');
}

/** The first findings, as they are shown, and how many there are. */
class Findings {
  readonly shown: Reportable[] = [];
  count = 0;

  readonly add = ({ error }: TreeFinding): void => {
    this.count += 1;
    if (this.shown.length < mostFindings) this.shown.push(reportable(error));
  };
}

function countsOf({ files, folders, links, bytes }: CheckedTree | SealedTree): string {
  const parts = [filesText(files), `${folders} folders`, `${links} links`];
  return `${parts.join(', ')}, ${humanBytes(bytes)}`;
}

function filesText(count: number): string {
  return count === 1 ? '1 file' : `${count} files`;
}
