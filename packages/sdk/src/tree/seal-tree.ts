import { createHash } from 'node:crypto';
import { join, resolve } from 'node:path';
import type { EncryptionContext } from '@trialkeep/crypto';
import { SealError } from '../errors.ts';
import { createTargetFile } from '../files.ts';
import type { TargetOptions } from '../files.ts';
import { meaningOf, sealingFailures } from '../seal/failure.ts';
import type { KeySource } from '../seal/keys.ts';
import { startSealing } from '../seal/stream.ts';
import { flushFileSystem, flushFolders } from './flush.ts';
import type { TreeFinding } from './finding.ts';
import { openJournal } from './journal.ts';
import type { Journal } from './journal.ts';
import { manifestName, manifestPair, objectPair } from './layout.ts';
import { ManifestMaker } from './manifest-maker.ts';
import type { TreeCounts } from './manifest-maker.ts';
import { shapeOf, SourceShape } from './source-shape.ts';
import {
  makeTargetFolder,
  manifestDigest,
  prepareTarget,
  removeOtherTrees,
  removeUnusedObjects,
  targetError,
} from './target.ts';
import type { TreeTarget } from './target.ts';
import { Threads } from './threads.ts';
import { identityOf, namedSources, SourceCount } from './walk.ts';
import type { NamedSource } from './walk.ts';

export interface SealTreeOptions extends TargetOptions {
  /** Files and folders, which the tree holds under their names; two of one name do not go together. A link here is followed. */
  readonly sources: readonly string[];
  /** A new or empty folder, or that of the same sealing when it was interrupted; with `overwrite`, that of another tree. */
  readonly target: string;
  /** Pairs bound to every message, readable by anyone who holds it: aliases only. At most 15. */
  readonly context?: EncryptionContext;
  /** Whether the manifest holds the SHA-256 of each file. */
  readonly digest?: boolean;
  /**
   * Whether the manifest is signed (suite 0x0578) and holds the SHA-256 of each file: then nobody who can only open the tree can change
   * anything in it.
   */
  readonly signed?: boolean;
  /** Whether the tree is finished although some of it could not be sealed; the manifest lists that. */
  readonly incomplete?: boolean;
  /** Where the journal lies that lets an interrupted sealing go on; without it, all is sealed again. */
  readonly journal?: {
    /** A folder of this account, not within the target. It is left out where it is within a source. */
    readonly folder: string;
    /** Names the keys: a journal kept under others is not continued. */
    readonly keys: string;
  };
  /** 0 to 64; with 0 the work is done in the calling thread, which it holds up. As many as processors, at most 4, by default. */
  readonly threads?: number;
  /** Ends the work early; it rejects with the signal's reason, and can be taken up again. */
  readonly signal?: AbortSignal;
  /** Whether the sources are counted while they are sealed, so that `onProgress` can say how much there is. */
  readonly lookAhead?: boolean;
  /** Called now and then with what is done, and how much there is as far as that is known. */
  onProgress?(done: TreeProgress, all: TreeProgress): void;
  /** Called for each entry that cannot be sealed. */
  onFinding?(finding: TreeFinding): void;
}

export interface TreeProgress {
  /** Plaintext bytes. */
  readonly bytes: number;
  readonly files: number;
}

export interface SealedTree extends TreeCounts {
  /** The tree's id, 32 hexadecimal digits: what the ledger has of it. */
  readonly tree: string;
  /** SHA-256 of the manifest, hexadecimal: whoever demands it on opening gets this very tree. */
  readonly manifest: string;
  /** Entries that could not be sealed. */
  readonly findings: number;
  /** Files that an earlier attempt had sealed. */
  readonly kept: number;
  /** The version of the server's key that wrapped the manifest's data key; absent where no server took part. */
  readonly version?: number;
}

const progressMs = 100;

/**
 * Seals folders with all that is in them, and files (docs/formats/sealed-tree.md). Give `keys` through `cachedKeys`, or each file
 * asks for a data key of its own. Where it fails or is interrupted, what is sealed stays for the next attempt, and the target
 * is no sealed tree, or still the earlier one.
 *
 * @throws SealError `seal.tree_incomplete` where entries could not be sealed; `seal.source_…` for the sources that are named;
 * `seal.target_…`, `seal.no_space`, `seal.journal_unusable`, `seal.context_invalid`; the errors of `keys`
 */
export async function sealTree(keys: KeySource, options: SealTreeOptions): Promise<SealedTree> {
  const { context = {}, overwrite = false } = options;
  const sources = namedSources(options.sources);
  if (Object.hasOwn(context, objectPair) || Object.hasOwn(context, manifestPair))
    throw new SealError('seal.context_invalid', undefined, { detail: `${objectPair} is of the tree itself` });
  const folder = await makeTargetFolder(options.target, options.sources);
  const settings = JSON.stringify([
    sources.map(({ path }) => resolve(path)),
    Object.entries(context).sort(([a], [b]) => (a < b ? -1 : 1)),
    hasDigests(options),
    options.signed === true,
    options.journal?.keys,
  ]);
  const journal = options.journal && openJournal(options.journal.folder, folder, settings);
  try {
    const finished = await finishedBefore(keys, options, sources, folder, journal);
    if (finished !== undefined) return finished;
    const target = await prepareTarget(folder, overwrite, journal);
    const sealed = await sealInto(keys, options, sources, target, journal);
    await removeOtherTrees(target).catch((error: unknown) => {
      throw targetError(folder, error);
    });
    journal?.discard();
    return sealed;
  } catch (error) {
    // One in which nothing was begun is of no use.
    if (journal?.tree === undefined) journal?.discard();
    else journal.close();
    throw meaningOf(error, sealingFailures);
  }
}

/** What the journal holds of a tree just before its commit. */
interface Finished {
  readonly sealed: SealedTree;
  /** What the sources were (`SourceShape`). */
  readonly shape: string;
}

/**
 * What a process that was killed between its commit and its end would have returned, where it sealed the same in the same way and nothing
 * of it has changed since. Otherwise that tree is committed all the same, and is none to go on with.
 */
async function finishedBefore(
  keys: KeySource,
  options: SealTreeOptions,
  sources: readonly NamedSource[],
  folder: string,
  journal: Journal | undefined,
): Promise<SealedTree | undefined> {
  if (journal?.finished === undefined) return undefined;
  const { sealed, shape } = JSON.parse(journal.finished) as Finished;
  if ((await manifestDigest(folder)) !== sealed.manifest) return undefined;
  if (journal.fits && sealed.findings === 0 && (await shapeNow(keys, options, sources, journal)) === shape) {
    const { tree } = sealed;
    await removeOtherTrees({ folder, tree, objects: join(folder, tree), resumed: true }).catch(
      (error: unknown) => {
        throw targetError(folder, error);
      },
    );
    journal.discard();
    return sealed;
  }
  journal.forget();
  return undefined;
}

async function shapeNow(
  keys: KeySource,
  options: SealTreeOptions,
  sources: readonly NamedSource[],
  { salt }: Journal,
): Promise<string> {
  const threads = new Threads(keys, options);
  try {
    const except = options.journal && (await identityOf(options.journal.folder));
    return await shapeOf(sources, { threads, except, salt }, options.signal);
  } finally {
    await threads.close();
  }
}

async function sealInto(
  keys: KeySource,
  options: SealTreeOptions,
  sources: readonly NamedSource[],
  target: TreeTarget,
  journal: Journal | undefined,
): Promise<SealedTree> {
  const { context = {}, signal, onFinding } = options;
  const threads = new Threads(keys, options);
  const flushesTogether = await flushFileSystem(target.folder);
  const except = options.journal && (await identityOf(options.journal.folder));
  const shape = journal && new SourceShape();
  const maker = new ManifestMaker({
    shape,
    keys,
    threads,
    sources,
    except,
    journal,
    digest: hasDigests(options),
    signal,
    onFinding,
    objects: target.objects,
    context: { ...context, [objectPair]: target.tree },
    flush: flushesTogether ? () => flushOnce(target.folder) : undefined,
  });
  const count = new SourceCount(sources, { threads, except, salt: undefined });
  const counting = options.lookAhead === true ? count.run() : undefined;
  const tell = (): void => options.onProgress?.(maker.progress, count.counted);
  const ticking = setInterval(tell, progressMs);
  try {
    return await commit(keys, options, target, maker, journal && shape && { journal, shape });
  } finally {
    clearInterval(ticking);
    count.stop();
    threads.stop();
    await counting;
    await maker.settled();
    await threads.close();
    tell();
  }
}

function hasDigests({ digest, signed }: SealTreeOptions): boolean {
  return digest === true || signed === true;
}

async function flushOnce(folder: string): Promise<void> {
  if (!(await flushFileSystem(folder)))
    throw new SealError('seal.target_unwritable', folder, { detail: 'flush' });
}

/** Writes the manifest while the objects come into being; its name is the commit. */
async function commit(
  keys: KeySource,
  options: SealTreeOptions,
  target: TreeTarget,
  maker: ManifestMaker,
  record: { readonly journal: Journal; readonly shape: SourceShape } | undefined,
): Promise<SealedTree> {
  const { context = {}, overwrite = false, signed = false, signal } = options;
  const hash = createHash('sha256');
  const file = await createTargetFile(join(target.folder, manifestName), { overwrite });
  try {
    const manifestContext = { ...context, [manifestPair]: target.tree };
    const sealing = await startSealing(keys, maker.manifest(), {
      context: manifestContext,
      signed,
      ...(signal && { signal }),
    });
    for await (const chunk of sealing.chunks) {
      hash.update(chunk);
      await file.write(chunk);
    }
    await maker.flushed();
    const { counts, findings, kept } = maker;
    if (findings > 0 && options.incomplete !== true)
      throw new SealError('seal.tree_incomplete', target.folder, { detail: entriesText(findings) });
    if (record !== undefined) await removeUnusedObjects(target, record.journal);
    if (!maker.flushesTogether) await flushFolders(target.objects);
    const version = sealing.wrappedBy?.version;
    const manifest = hash.digest('hex');
    const sealed: SealedTree = {
      tree: target.tree,
      manifest,
      ...counts,
      findings,
      kept,
      ...(version !== undefined && { version }),
    };
    const finished = (shape: SourceShape): Finished => ({ sealed, shape: shape.digest() });
    record?.journal.finish(JSON.stringify(finished(record.shape)));
    await file.commit();
    return sealed;
  } finally {
    await file.abandon();
  }
}

function entriesText(count: number): string {
  return count === 1 ? '1 entry' : `${count} entries`;
}
