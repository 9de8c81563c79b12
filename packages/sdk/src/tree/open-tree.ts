import { mkdir } from 'node:fs/promises';
import type { EncryptionContext } from '@trialkeep/crypto';
import { SealError } from '../errors.ts';
import { syncFolder } from '../files.ts';
import type { TargetOptions } from '../files.ts';
import type { KeySource } from '../seal/keys.ts';
import { findingOf } from './finding.ts';
import type { TreeFinding } from './finding.ts';
import { flushFileSystem } from './flush.ts';
import { openNamedFolder } from './folder.ts';
import { bytesOf, bytesOfText, shownPathOf } from './name.ts';
import type { Place } from './name.ts';
import { objectPair } from './layout.ts';
import type { ManifestEntry, MissingReason } from './manifest.ts';
import { ManifestCopy } from './manifest-copy.ts';
import { readManifest } from './manifest-file.ts';
import type { ManifestFacts } from './manifest-file.ts';
import type { TreeCounts } from './manifest-maker.ts';
import { ObjectOpener } from './object-opener.ts';
import type { TreeProgress } from './seal-tree.ts';
import { targetError } from './target.ts';
import { Threads } from './threads.ts';
import { unknownObjects } from './unknown-objects.ts';

export interface CheckTreeOptions {
  /** The folder of the sealed tree. */
  readonly source: string;
  /** SHA-256 of the manifest, hexadecimal: any other tree is refused, an older one too. */
  readonly manifest?: string;
  /** Pairs that every message must carry. */
  readonly context?: EncryptionContext;
  /** Whether the manifest must be signed; the tree is not opened otherwise, and no key is asked for. */
  readonly signed?: boolean;
  /** 0 to 64; with 0 the work is done in the calling thread, which it holds up. As many as processors, at most 4, by default. */
  readonly threads?: number;
  /** Ends the work early; it rejects with the signal's reason, and can be taken up again. */
  readonly signal?: AbortSignal;
  /** Called now and then with what is done, and what there is in all. */
  onProgress?(done: TreeProgress, all: TreeProgress): void;
  /** Called for each entry that is damaged, missing or cannot be restored. */
  onFinding?(finding: TreeFinding): void;
  /** Called for each entry that was not sealed, as the manifest says. */
  onMissing?(missing: MissingFromTree): void;
}

export interface OpenTreeOptions extends CheckTreeOptions, TargetOptions {
  /** The folder that gets what the tree holds; made with mode 0700 where it is missing. What is there and equal stays. */
  readonly target: string;
}

/** Something of the source that is not in the tree. */
export interface MissingFromTree {
  /** Its path within the tree, the last 4 KiB of it after `…/` where it is longer; what is not UTF-8 in it is replaced. */
  readonly path: string;
  readonly pathBytes: Uint8Array;
  /** `folder-changed`: the folder is there, and may lack entries. */
  readonly reason: MissingReason | 'folder-changed';
}

export interface CheckedTree extends TreeCounts {
  /** The tree's id, 32 hexadecimal digits. */
  readonly tree: string;
  /** SHA-256 of the manifest, hexadecimal. */
  readonly manifest: string;
  /** The id of the server's key that released the manifest's data key, or the provider id of the recipient that did. */
  readonly key: string;
  /** Whether the manifest is signed. */
  readonly signed: boolean;
  /** Entries that were not sealed. */
  readonly missing: number;
}

export interface OpenedTree extends CheckedTree {
  /** Files and links that were there already, and equal. */
  readonly kept: number;
}

/**
 * Restores a sealed tree (docs/formats/sealed-tree.md). What is there already is compared with it, so that an interrupted
 * opening is run again. An entry that is damaged, or that something else is in the place of, is a finding, and the others are restored.
 * Give `keys` through `cachedKeys`, or each file asks for its data key anew.
 *
 * @throws SealError `seal.tree_damaged` where there were findings; `seal.not_a_tree`, `seal.other_tree`, `seal.manifest_invalid`,
 * `seal.target_…`, `seal.no_space`; those of opening a file; the errors of `keys`
 */
export async function openTree(keys: KeySource, options: OpenTreeOptions): Promise<OpenedTree> {
  const copy = await ManifestCopy.create();
  try {
    const survey = await surveyTree(keys, options, copy);
    return await restoreTree(keys, options, survey);
  } finally {
    await copy.close();
  }
}

async function restoreTree(keys: KeySource, options: OpenTreeOptions, survey: Survey): Promise<OpenedTree> {
  try {
    await mkdir(options.target, { recursive: true, mode: 0o700 });
    const flushesTogether = await flushFileSystem(options.target);
    const root = await openNamedFolder(options.target);
    const restore = { root, overwrite: options.overwrite === true, flush: !flushesTogether };
    const { kept } = await openObjects(keys, options, survey, restore);
    if (flushesTogether) await flushFileSystem(options.target);
    else await syncFolder(options.target);
    return { ...survey.checked, kept };
  } catch (error) {
    throw targetError(options.target, error);
  }
}

/**
 * Opens every object of a sealed tree, and writes nothing. When it returns, the manifest and all objects are there, whole, authentic and
 * of one tree, and nothing else is; that the tree is the newest follows only from a digest that was kept elsewhere.
 *
 * @throws SealError as `openTree`, but for targets
 */
export async function checkTree(keys: KeySource, options: CheckTreeOptions): Promise<CheckedTree> {
  const copy = await ManifestCopy.create();
  try {
    const survey = await surveyTree(keys, options, copy);
    await openObjects(keys, options, survey, undefined);
    return survey.checked;
  } finally {
    await copy.close();
  }
}

interface Survey {
  readonly checked: CheckedTree;
  readonly facts: ManifestFacts;
  readonly copy: ManifestCopy;
}

/** Reads the whole manifest before anything is done by it. */
async function surveyTree(keys: KeySource, options: CheckTreeOptions, copy: ManifestCopy): Promise<Survey> {
  const { source, signal, signed: mustBeSigned, context = {} } = options;
  const counts = { files: 0, folders: 0, links: 0, bytes: 0, missing: 0 };
  const facts = await readManifest(keys, { source, context, signed: mustBeSigned, signal, copy }, (entry) => {
    if (entry.kind === 'folder') counts.folders += 1;
    if (entry.kind === 'link') counts.links += 1;
    if (entry.kind === 'file') {
      counts.files += 1;
      counts.bytes += entry.bytes;
    }
    if (lackOf(entry) !== undefined) counts.missing += 1;
  });
  if (options.manifest !== undefined && options.manifest !== facts.sha256)
    throw new SealError('seal.other_tree', options.source, { detail: `its digest is ${facts.sha256}` });
  const { tree, sha256: manifest, signed } = facts;
  return { facts, copy, checked: { tree, manifest, key: facts.key.key, signed, ...counts } };
}

/** What an entry says is not in the tree. */
function lackOf(entry: ManifestEntry): MissingFromTree['reason'] | undefined {
  if (entry.kind === 'missing') return entry.reason;
  return entry.kind === 'end' && !entry.complete ? 'folder-changed' : undefined;
}

const progressMs = 100;

async function openObjects(
  keys: KeySource,
  options: CheckTreeOptions,
  { checked, facts, copy }: Survey,
  restore:
    | { readonly root: Awaited<ReturnType<typeof openNamedFolder>>; overwrite: boolean; flush: boolean }
    | undefined,
): Promise<{ kept: number }> {
  const { source, signal, context = {} } = options;
  const threads = new Threads(keys, options);
  let findings = 0;
  const onFinding = (finding: TreeFinding): void => {
    findings += 1;
    options.onFinding?.(finding);
  };
  const opener = new ObjectOpener({
    threads,
    source,
    tree: checked.tree,
    context: { ...context, [objectPair]: checked.tree },
    restore,
    signal,
    onFinding,
  });
  const tell = (): void => options.onProgress?.(opener.progress, checked);
  const ticking = setInterval(tell, progressMs);
  try {
    let above: Place | undefined;
    const before = { facts, copy };
    await opener.begin();
    await readManifest(keys, { source, context, signal, before }, async (entry) => {
      const lack = lackOf(entry);
      if (lack !== undefined) options.onMissing?.(missingAt(entry, above, lack));
      await opener.take(entry, above);
      if (entry.kind === 'folder') above = { above, name: entry.name };
      if (entry.kind === 'end') above = above?.above;
    });
    await opener.finish();
    for (const path of await unknownObjects(keys, { source, context, signal }, before, checked.files))
      onFinding(findingOf(bytesOf(bytesOfText(path)), { failure: 'seal.object_unknown' }));
  } finally {
    clearInterval(ticking);
    threads.stop();
    await opener.close();
    await threads.close();
    tell();
  }
  if (findings > 0) {
    const detail = findings === 1 ? '1 entry' : `${findings} entries`;
    throw new SealError('seal.tree_damaged', source, { detail });
  }
  return { kept: opener.kept };
}

function missingAt(
  entry: ManifestEntry,
  above: Place | undefined,
  reason: MissingFromTree['reason'],
): MissingFromTree {
  const pathBytes = bytesOf(shownPathOf(entry.kind === 'end' ? above : { above, name: entry.name }));
  return { path: pathBytes.toString('utf8'), pathBytes, reason };
}
