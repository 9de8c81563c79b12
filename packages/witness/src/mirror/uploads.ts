import {
  LedgerError,
  formatMirrorInfo,
  formatSignatures,
  leafHashes,
  mirrorInfoMediaType,
  parseCheckpoint,
  parseNote,
  readAddEntries,
  verifySubtree,
  type AddEntriesHeader,
  type ByteChunks,
  type Checkpoint,
  type EntryPackage,
} from '@trialkeep/ledger';
import { Refusal } from '../answer.ts';
import { cosign, cosigningTime } from '../cosign.ts';
import type { Identity } from '../keys.ts';
import { formatNote, type LogSignedNote } from '../notes.ts';
import type { Works } from '../observe.ts';
import { sha256 } from '../primitives.ts';
import { Slots } from '../slots.ts';
import { subtreeRootOf, type AuthenticEntries, type LogCopy } from './copy.ts';
import type { Copies } from './copies.ts';
import { batchBytes, batchPackages, maxExcessEntries, uploadsAtOnce } from './limits.ts';
import { issueTicket, openTicket } from './ticket.ts';

const hashBytes = 32;

/** A checkpoint that uploads may go towards, with the log's signatures. */
interface Target extends Checkpoint {
  readonly note: Uint8Array;
}

/** `add-entries` of C2SP tlog-mirror: takes entries that are proven to belong to a checkpoint that was believed. */
export class Uploads {
  readonly #works: Works;
  readonly #copies: Copies;
  readonly #identity: Identity;
  readonly #ticketKey: Uint8Array;
  readonly #slots = new Slots(uploadsAtOnce);

  constructor(works: Works, copies: Copies, identity: Identity) {
    this.#works = works;
    this.#copies = copies;
    this.#identity = identity;
    this.#ticketKey = works.state.ticketKey();
  }

  /**
   * Only an upload towards a checkpoint that was believed takes one of the slots: a header costs nobody anything.
   *
   * @param chunks of the body, as they come in
   * @param client whom the upload counts for
   * @returns the mirror's signature lines
   * @throws Refusal with the status codes of the specification, 202 among them; 503 where too many uploads run
   */
  async addEntries(chunks: ByteChunks, client: string): Promise<Uint8Array> {
    const { header, packages } = await openUpload(chunks);
    const { copy, target } = await this.#admit(header);
    const release = this.#slots.take(client);
    if (release === undefined) throw new Refusal(503, 'Too many uploads run at present.');
    try {
      return await this.#upload(header, packages, copy, target);
    } finally {
      release();
    }
  }

  /** @throws Refusal where nothing of what follows the header could be taken */
  async #admit(header: AddEntriesHeader): Promise<{ copy: LogCopy; target: Target }> {
    const { origin, uploadStart, uploadEnd } = header;
    if (this.#works.logs.find(origin) === undefined)
      throw new Refusal(404, 'No log of this origin is known here.');
    if (this.#works.state.head(origin) === undefined) {
      throw new Refusal(422, 'No checkpoint of this log has been added yet.');
    }
    const copy = await this.#copies.of(origin);
    const target = this.#target(header);
    if (target === undefined) throw this.#info(409, copy, origin);
    const excess = Math.min(uploadEnd, copy.nextEntry) - uploadStart;
    if (uploadStart > copy.nextEntry || excess > maxExcessEntries)
      throw this.#info(409, copy, origin, target);
    return { copy, target };
  }

  async #upload(
    { origin, uploadStart, uploadEnd }: AddEntriesHeader,
    packages: AsyncGenerator<EntryPackage, void>,
    copy: LogCopy,
    target: Target,
  ): Promise<Uint8Array> {
    const reached = await this.#receive(packages, copy, target, uploadStart);
    if (reached < uploadEnd) {
      if (reached === uploadStart) throw new Refusal(400, 'The body broke off before a whole package.');
      throw this.#info(202, copy, origin, target);
    }
    return this.#copies.turns.take(origin, () => this.#commit(copy, target));
  }

  /** What an upload may go towards; undefined where that was never believed, or the mirror checkpoint is larger. */
  #target({ origin, uploadEnd, ticket }: AddEntriesHeader): Target | undefined {
    const { state } = this.#works;
    const copied = state.copy(origin);
    if (uploadEnd < copied.size) return undefined;
    const known = state.checkpoint(origin, uploadEnd);
    if (known !== undefined) return { origin, ...known };
    if (copied.note !== null && uploadEnd === copied.size) {
      return { ...parseCheckpoint(parseNote(copied.note).text), note: copied.note };
    }
    const carried = openTicket(this.#ticketKey, ticket);
    return carried?.origin === origin && carried.size === uploadEnd ? carried : undefined;
  }

  /**
   * Authenticates and stores packages until the body ends.
   *
   * @returns the end of what is authenticated and stored
   * @throws Refusal 422 for entries that the checkpoint does not hold; what came before them is stored
   */
  async #receive(
    packages: AsyncGenerator<EntryPackage, void>,
    copy: LogCopy,
    target: Target,
    uploadStart: number,
  ): Promise<number> {
    const batch = new Batch(uploadStart);
    // One batch is stored while the next one comes in.
    let storing = Promise.resolve();
    const store = async (): Promise<void> => {
      await storing;
      const entries = batch.take();
      storing = this.#store(copy, target.origin, entries);
      storing.catch(() => undefined);
    };
    try {
      for (let next = await nextOf(packages); next !== undefined; next = await nextOf(packages)) {
        batch.add(next.entries, await authenticate(next, copy, target));
        if (batch.isFull) await store();
      }
    } finally {
      await store();
      await storing;
    }
    return batch.end;
  }

  async #store(copy: LogCopy, origin: string, entries: AuthenticEntries): Promise<void> {
    await this.#copies.turns.take(origin, async () => {
      const before = copy.nextEntry;
      await copy.append(entries);
      if (copy.nextEntry === before) return;
      this.#works.state.advanceCopy(origin, copy.nextEntry);
      await copy.dropOutgrown(before);
    });
  }

  /** All entries are stored: makes the checkpoint the mirror checkpoint, and says so. */
  async #commit(copy: LogCopy, target: Target): Promise<Uint8Array> {
    const { state } = this.#works;
    const { origin, size, root } = target;
    const present = state.copy(origin);
    if (size < present.size) throw this.#info(409, copy, origin);
    await copy.complete(size, root);
    const time = cosigningTime(this.#works, origin, present.time);
    const signed = withoutOwn(target.note, this.#identity);
    const signatures = await cosign(this.#identity, signed.text, time);
    const note = formatNote(signed, signatures);
    // Where it could not be said when they were stored, or there are none to store.
    if (present.nextEntry < copy.nextEntry || size === 0) state.advanceCopy(origin, copy.nextEntry);
    if (!state.commitCopy(origin, { size, note, time })) throw this.#info(409, copy, origin);
    await copy.publish(note);
    return formatSignatures(signatures);
  }

  /** 202 and 409: from where and to where the client goes on. */
  #info(status: 202 | 409, copy: LogCopy, origin: string, target?: Target): Refusal {
    const pending = target ?? this.#works.state.head(origin);
    const info = {
      size: pending?.size ?? 0,
      nextEntry: copy.nextEntry,
      ticket: pending === undefined ? new Uint8Array(0) : issueTicket(this.#ticketKey, pending.note),
    };
    const body = formatMirrorInfo(info);
    return new Refusal(status, 'Go on from the next entry.', { type: mirrorInfoMediaType, body });
  }
}

/** Authenticated entries that wait to be stored together. */
class Batch {
  #start: number;
  #entries: Uint8Array[] = [];
  #hashes: Uint8Array[] = [];
  #bytes = 0;
  #packages = 0;

  constructor(start: number) {
    this.#start = start;
  }

  get end(): number {
    return this.#start + this.#entries.length;
  }

  get isFull(): boolean {
    return this.#bytes >= batchBytes || this.#packages >= batchPackages;
  }

  add(entries: readonly Uint8Array[], hashes: readonly Uint8Array[]): void {
    this.#entries.push(...entries);
    this.#hashes.push(...hashes);
    this.#bytes += entries.reduce((bytes, entry) => bytes + entry.length, 0);
    this.#packages += 1;
  }

  /** Hands over what has gathered, and begins anew behind it. */
  take(): AuthenticEntries {
    const taken = { start: this.#start, entries: this.#entries, leafHashes: this.#hashes };
    this.#start = this.end;
    this.#entries = [];
    this.#hashes = [];
    this.#bytes = 0;
    this.#packages = 0;
    return taken;
  }
}

async function openUpload(chunks: ByteChunks) {
  try {
    return await readAddEntries(chunks);
  } catch (error) {
    if (error instanceof LedgerError) throw new Refusal(400, error.message);
    throw error;
  }
}

/** The next whole package; undefined where the body ends or breaks off, whatever follows. */
async function nextOf(packages: AsyncGenerator<EntryPackage, void>): Promise<EntryPackage | undefined> {
  try {
    const next = await packages.next();
    return next.done === true ? undefined : next.value;
  } catch (error) {
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}

/**
 * Proves that a package's entries stand where it says, in the tree of the target.
 *
 * @returns their leaf hashes
 * @throws Refusal 422
 */
async function authenticate(
  { place, entries, proof }: EntryPackage,
  copy: LogCopy,
  { size, root }: Target,
): Promise<Uint8Array[]> {
  const { subtree } = place;
  if (entries.some(({ length }) => length === 0)) throw new Refusal(422, 'An empty entry cannot be kept.');
  const known = await copy.leafHashes(subtree.start / 256, place.entries.start - subtree.start);
  const added = leafHashes(sha256, entries);
  const subtreeRoot = subtreeRootOf(Buffer.concat([known, added]));
  try {
    verifySubtree(sha256, { subtree, subtreeRoot, size, root, proof });
  } catch (error) {
    if (error instanceof LedgerError) throw new Refusal(422, 'The entries are not those of the checkpoint.');
    throw error;
  }
  return entries.map((_, i) => added.subarray(i * hashBytes, (i + 1) * hashBytes));
}

/** A note of this process without its own signatures: with those of the log. */
function withoutOwn(note: Uint8Array, { name }: Identity): LogSignedNote {
  const { text, signatures } = parseNote(note);
  return { text, signatures: signatures.filter((signature) => signature.name !== name) };
}
