import type { EncryptionContext } from '@trialkeep/crypto';
import type { FileErrorCode } from '../errors.ts';
import type { KeySource, SealingKey } from '../seal/keys.ts';
import { Batches } from './batches.ts';
import { findingAt } from './finding.ts';
import type { TreeFinding } from './finding.ts';
import type { FolderIdentity } from './folder.ts';
import { isFailure } from './job.ts';
import { bytesIn, timeIn } from './look-job.ts';
import type { Failure } from './job.ts';
import type { Journal, JournalRow } from './journal.ts';
import { encodeEntry, encodeManifestStart } from './manifest.ts';
import type { ManifestEntry, MissingReason } from './manifest.ts';
import type { Place } from './name.ts';
import { objectBytes } from './object-folders.ts';
import type { SealedObject, SealItem } from './seal-job.ts';
import type { SourceShape } from './source-shape.ts';
import type { Threads } from './threads.ts';
import { walk } from './walk.ts';
import type { NamedSource, Step } from './walk.ts';

export interface ManifestMakerOptions {
  readonly keys: KeySource;
  readonly threads: Threads;
  readonly sources: readonly NamedSource[];
  /** A folder that is left out. */
  readonly except: FolderIdentity | undefined;
  readonly journal: Journal | undefined;
  /** Is told what the walk meets. */
  readonly shape: SourceShape | undefined;
  /** The folder of the tree's objects. */
  readonly objects: string;
  /** What the objects carry. */
  readonly context: EncryptionContext;
  readonly digest: boolean;
  readonly signal: AbortSignal | undefined;
  /** Flushes what was written so far; without it each object is flushed by itself. */
  readonly flush: (() => Promise<void>) | undefined;
  readonly onFinding: ((finding: TreeFinding) => void) | undefined;
}

export interface TreeCounts {
  readonly files: number;
  readonly folders: number;
  readonly links: number;
  /** Plaintext bytes of all files. */
  readonly bytes: number;
}

/** Entries whose order is known and whose objects are not: one large file does not keep many small ones waiting. */
const mostPending = 4096;
/** The manifest is handed on in pieces of about so many bytes. */
const pieceBytes = 64 * 1024;
/** How much is sealed before it is flushed and entered in the journal: what a killed process has to do again. */
const flushAfter = { objects: 2048, bytes: 256 * 1024 * 1024 } as const;

/** What the manifest says of an entry that has this failure; any other failure ends the work. */
const reasonOf: Partial<Record<FileErrorCode, MissingReason>> = {
  'seal.source_unreadable': 'unreadable',
  'seal.source_changed': 'changed',
  'seal.source_special': 'special',
  'seal.source_missing': 'gone',
};

/** Walks through the sources, has their files sealed, and makes the manifest of them in the order of the walk. */
export class ManifestMaker {
  readonly #options: ManifestMakerOptions;
  readonly #batches: Batches<SealItem, SealedObject | Failure>;
  readonly #works = new WeakMap<SealingKey, Work>();
  /** Objects that are complete, and neither flushed nor in the journal. */
  #unflushed = { objects: 0, bytes: 0, rows: [] as JournalRow[] };
  #flushing: Promise<void> = Promise.resolve();
  #counts = { files: 0, folders: 0, links: 0, bytes: 0 };
  #keptBytes = 0;
  findings = 0;
  kept = 0;

  constructor(options: ManifestMakerOptions) {
    this.#options = options;
    this.#batches = new Batches(options.threads);
  }

  get counts(): TreeCounts {
    return this.#counts;
  }

  get progress(): { files: number; bytes: number } {
    return { files: this.#counts.files, bytes: this.#options.threads.doneBytes + this.#keptBytes };
  }

  get flushesTogether(): boolean {
    return this.#options.flush !== undefined;
  }

  /**
   * The manifest. When it has ended every object is complete, and after `flushed` on the disk.
   *
   * @throws what ends the work: SealError `seal.no_space`, `seal.target_unwritable`; the errors of the keys; the signal's reason
   */
  async *manifest(): AsyncGenerator<Buffer, void, undefined> {
    const pending: Promise<Buffer>[] = [];
    const { digest, sources, threads, except, journal, signal } = this.#options;
    let piece = [encodeManifestStart(digest)];
    let bytes = 0;
    for await (const step of walk(sources, { threads, except, salt: journal?.salt })) {
      signal?.throwIfAborted();
      pending.push((await this.#take(step)).entry);
      while (pending.length > mostPending) {
        this.#batches.dispatch();
        const entry = (await pending.shift()) ?? Buffer.alloc(0);
        piece.push(entry);
        bytes += entry.length;
      }
      if (bytes < pieceBytes) continue;
      yield Buffer.concat(piece);
      piece = [];
      bytes = 0;
    }
    this.#batches.dispatch();
    yield Buffer.concat([...piece, ...(await Promise.all(pending))]);
  }

  /** Resolves when every object is on the disk and in the journal. */
  async flushed(): Promise<void> {
    this.#flushSoon();
    await this.#flushing;
  }

  /** Resolves when nothing is at work any more. What was finished is in the journal then, as far as that can be. */
  async settled(): Promise<void> {
    await this.#batches.settled();
    await this.flushed().catch(() => undefined);
  }

  /** An entry of the manifest, once it can be made. */
  async #take(step: Step): Promise<{ readonly entry: Promise<Buffer> }> {
    this.#options.shape?.add(step);
    switch (step.kind) {
      case 'folder':
        this.#counts.folders += 1;
        return ready({ ...step, kind: 'folder', name: step.place.name });
      case 'link':
        this.#counts.links += 1;
        return ready({ ...step, kind: 'link', name: step.place.name });
      case 'failed':
        return ready(this.#missing(step.place, step.failure));
      case 'end':
        if (!step.complete) this.#find(findingAt(step.place, 'seal.folder_changed'));
        return ready({ kind: 'end', complete: step.complete });
      case 'file':
        return this.#takeFile(step);
    }
  }

  async #takeFile(step: FileStep): Promise<{ readonly entry: Promise<Buffer> }> {
    const { item, folder } = step;
    const known = this.#known(step);
    if (known !== undefined) {
      this.kept += 1;
      this.#keptBytes += bytesIn(item.state);
      this.#enter(step, known, 0);
      return ready(this.#file(step, known));
    }
    const { keys, context, signal } = this.#options;
    const bytes = bytesIn(item.state);
    const key = await keys.sealingKey(context, { bytes, signal });
    const { outcome } = await this.#batches.add(item, bytes, this.#workUnder(key), folder);
    const entry = outcome.then((sealed) => encodeEntry(this.#sealed(step, sealed)));
    // Whoever waits for it sees the failure; until then nobody listens.
    entry.catch(() => undefined);
    return { entry };
  }

  /** The object that an earlier attempt made of this very file, where it is still there. */
  #known({ fingerprint }: FileStep): SealedObject | undefined {
    const { journal, objects } = this.#options;
    const known = fingerprint && journal?.find(fingerprint);
    if (known === undefined) return undefined;
    return objectBytes(objects, known.id) === known.sealedBytes ? known : undefined;
  }

  #workUnder(key: SealingKey): Work {
    const { threads, objects, context, digest, flush } = this.#options;
    const { dataKey, encryptedDataKeys } = key;
    const input = { objects, context, digest, dataKey, encryptedDataKeys, flush: flush === undefined };
    const known = this.#works.get(key);
    if (known !== undefined) return known;
    const work: Work = async (items) => {
      // Each use by itself, all at once, so that what records them can write them together.
      await Promise.all(items.map(async () => key.reportUse?.()));
      return threads.run('seal', { ...input, items });
    };
    this.#works.set(key, work);
    return work;
  }

  #sealed(step: FileStep, sealed: SealedObject | Failure): ManifestEntry {
    if (isFailure(sealed)) return this.#missing(step.place, sealed);
    this.#enter(step, sealed, sealed.sealedBytes);
    return this.#file(step, sealed);
  }

  /** Has an object flushed, together with others, and entered in the journal. */
  #enter({ fingerprint }: FileStep, object: SealedObject, newBytes: number): void {
    const waiting = this.#unflushed;
    waiting.objects += 1;
    waiting.bytes += newBytes;
    if (fingerprint !== undefined) waiting.rows.push({ ...object, fingerprint });
    if (waiting.objects >= flushAfter.objects || waiting.bytes >= flushAfter.bytes) this.#flushSoon();
  }

  #file({ place, mode, item }: FileStep, { id, commitment, sha256 }: SealedObject): ManifestEntry {
    const [bytes, timeNs] = [bytesIn(item.state), timeIn(item.state)];
    this.#counts.files += 1;
    this.#counts.bytes += bytes;
    return { kind: 'file', name: place.name, mode, timeNs, bytes, id, commitment, sha256 };
  }

  #missing(place: Place, { failure, detail }: Failure): ManifestEntry {
    const reason = reasonOf[failure];
    const finding = findingAt(place, failure, detail);
    if (reason === undefined) throw finding.error;
    this.#find(finding);
    return { kind: 'missing', name: place.name, reason };
  }

  #find(finding: TreeFinding): void {
    this.findings += 1;
    this.#options.onFinding?.(finding);
  }

  #flushSoon(): void {
    this.#flushing = this.#flushing.then(() => this.#flush());
    this.#flushing.catch(() => undefined);
  }

  async #flush(): Promise<void> {
    const { objects, bytes, rows } = this.#unflushed;
    if (objects === 0) return;
    this.#unflushed = { objects: 0, bytes: 0, rows: [] };
    if (bytes > 0) await this.#options.flush?.();
    this.#options.journal?.add(rows);
  }
}

type FileStep = Extract<Step, { kind: 'file' }>;
type Work = (items: readonly SealItem[]) => Promise<readonly (SealedObject | Failure)[]>;

function ready(entry: ManifestEntry): { readonly entry: Promise<Buffer> } {
  return { entry: Promise.resolve(encodeEntry(entry)) };
}
