import { SealError } from '../errors.ts';
import { isLinkTarget, isName, maxDepth, maxNameBytes } from './name.ts';
import type { Bytes } from './name.ts';

/** The plaintext of a manifest (docs/formats/sealed-tree.md): what a sealed tree holds, folder by folder. */

const magic = Buffer.from('trialkeep/tree/v1\0', 'latin1');
const digestsFlag = 1;
const idBytes = 32;
const nsPerSecond = 1_000_000_000n;

const kinds = { folder: 1, file: 2, link: 3, missing: 4 } as const;
const ends = { complete: 0, changed: 5 } as const;

/** Why an entry of the source is not in the tree, by its number in the manifest. */
const reasons = { unreadable: 1, changed: 2, special: 3, gone: 4 } as const;
export type MissingReason = keyof typeof reasons;

/** Time of the last change of content, ns since 1970. */
type TimeNs = bigint;

export interface FolderEntry {
  readonly kind: 'folder';
  readonly name: Bytes;
  /** The twelve permission bits. */
  readonly mode: number;
  readonly timeNs: TimeNs;
}
export interface FileEntry {
  readonly kind: 'file';
  readonly name: Bytes;
  readonly mode: number;
  readonly timeNs: TimeNs;
  /** Plaintext bytes. */
  readonly bytes: number;
  /** The message id of the file's object, and its name; 32 bytes, hexadecimal. */
  readonly id: string;
  /** What commits the object to its data key; 32 bytes, hexadecimal. */
  readonly commitment: string;
  /** SHA-256 of the plaintext, hexadecimal, where the manifest has digests. */
  readonly sha256?: string | undefined;
}
export interface LinkEntry {
  readonly kind: 'link';
  readonly name: Bytes;
  readonly timeNs: TimeNs;
  readonly target: Bytes;
}
export interface MissingEntry {
  readonly kind: 'missing';
  readonly name: Bytes;
  readonly reason: MissingReason;
}
/** The end of the innermost folder that is open. */
export interface EndEntry {
  readonly kind: 'end';
  /** Whether the folder stayed the same while it was sealed. */
  readonly complete: boolean;
}
export type ManifestEntry = FolderEntry | FileEntry | LinkEntry | MissingEntry | EndEntry;

export function encodeManifestStart(digests: boolean): Buffer {
  return Buffer.concat([magic, Buffer.of(digests ? digestsFlag : 0)]);
}

/** One entry. The order of entries, and the fields' bounds, are the caller's to keep. */
export function encodeEntry(entry: ManifestEntry): Buffer {
  switch (entry.kind) {
    case 'end':
      return Buffer.of(entry.complete ? ends.complete : ends.changed);
    case 'folder': {
      const { bytes, position } = startEntry(entry, 2 + timeBytes);
      writeTime(bytes, entry.timeNs, bytes.writeUInt16BE(entry.mode, position));
      return bytes;
    }
    case 'file': {
      const { id, commitment, sha256 = '' } = entry;
      const { bytes, position } = startEntry(entry, 2 + timeBytes + 8 + 2 * idBytes + sha256.length / 2);
      let at = writeTime(bytes, entry.timeNs, bytes.writeUInt16BE(entry.mode, position));
      at = bytes.writeBigUInt64BE(BigInt(entry.bytes), at);
      bytes.write(id + commitment + sha256, at, 'hex');
      return bytes;
    }
    case 'link': {
      const { bytes, position } = startEntry(entry, timeBytes + 2 + entry.target.length);
      const at = bytes.writeUInt16BE(entry.target.length, writeTime(bytes, entry.timeNs, position));
      bytes.write(entry.target, at, 'latin1');
      return bytes;
    }
    case 'missing': {
      const { bytes, position } = startEntry(entry, 1);
      bytes.writeUInt8(reasons[entry.reason], position);
      return bytes;
    }
  }
}

const timeBytes = 12;

function startEntry(
  { kind, name }: Exclude<ManifestEntry, EndEntry>,
  fieldBytes: number,
): { bytes: Buffer; position: number } {
  const bytes = Buffer.allocUnsafe(3 + name.length + fieldBytes);
  bytes.writeUInt8(kinds[kind], 0);
  bytes.writeUInt16BE(name.length, 1);
  return { bytes, position: 3 + bytes.write(name, 3, 'latin1') };
}

function writeTime(bytes: Buffer, timeNs: bigint, position: number): number {
  const ns = BigInt.asUintN(64, ((timeNs % nsPerSecond) + nsPerSecond) % nsPerSecond);
  return bytes.writeUInt32BE(Number(ns), bytes.writeBigInt64BE((timeNs - ns) / nsPerSecond, position));
}

/**
 * Reads a manifest, which somebody hostile may have written: every name, length and number is checked, and the order of
 * names. The last entry is the end of the outermost content.
 *
 * @param source the plaintext, in chunks of any size
 * @throws SealError `seal.manifest_invalid`; the source's errors
 */
export async function* readEntries(
  source: AsyncIterable<Uint8Array>,
): AsyncGenerator<ManifestEntry, void, undefined> {
  let rest = Buffer.alloc(0);
  let digests: boolean | undefined;
  const order = new EntryOrder();
  for await (const chunk of source) {
    const reader = new FieldReader(rest.length === 0 ? chunk : Buffer.concat([rest, chunk]));
    let taken = 0;
    try {
      digests ??= readStart(reader);
      for (taken = reader.position; reader.hasMore(); taken = reader.position) {
        const entry = readEntry(reader, digests);
        order.take(entry);
        yield entry;
      }
    } catch (error) {
      // The rest of the entry is in the next chunk.
      if (error !== shortage) throw error;
    }
    rest = reader.from(taken);
  }
  if (rest.length > 0 || digests === undefined || !order.isEnded()) throw invalid('it ends too early');
}

/** What may follow what: names ascend in each folder, and nothing follows the end of the outermost one. */
class EntryOrder {
  /** The last name in each folder that is open. */
  readonly #names: Bytes[] = [''];

  isEnded(): boolean {
    return this.#names.length === 0;
  }

  take(entry: ManifestEntry): void {
    const last = this.#names.at(-1);
    if (last === undefined) throw invalid('something follows its end');
    if (entry.kind === 'end') {
      this.#names.pop();
      return;
    }
    if (entry.name <= last) throw invalid('names are not in order');
    this.#names[this.#names.length - 1] = entry.name;
    if (entry.kind !== 'folder') return;
    if (this.#names.length > maxDepth) throw invalid(`folders are more than ${maxDepth} deep`);
    this.#names.push('');
  }
}

function readStart(reader: FieldReader): boolean {
  if (!reader.bytes(magic.length).equals(magic)) throw invalid('another format or version');
  const flags = reader.uint8();
  if (flags !== 0 && flags !== digestsFlag) throw invalid(`flags ${flags}`);
  return flags === digestsFlag;
}

function readEntry(reader: FieldReader, digests: boolean): ManifestEntry {
  const kind = reader.uint8();
  if (kind === ends.complete || kind === ends.changed)
    return { kind: 'end', complete: kind === ends.complete };
  const length = reader.uint16();
  if (length > maxNameBytes) throw invalid(`a name of ${length} bytes`);
  const name = reader.bytes(length).toString('latin1');
  if (!isName(name)) throw invalid('a name that no file can have');
  switch (kind) {
    case kinds.folder:
      return { kind: 'folder', name, mode: readMode(reader), timeNs: readTime(reader) };
    case kinds.file:
      return {
        kind: 'file',
        name,
        mode: readMode(reader),
        timeNs: readTime(reader),
        bytes: readSize(reader),
        id: reader.hex(idBytes),
        commitment: reader.hex(idBytes),
        sha256: digests ? reader.hex(idBytes) : undefined,
      };
    case kinds.link: {
      const timeNs = readTime(reader);
      const target = reader.bytes(reader.uint16()).toString('latin1');
      if (!isLinkTarget(target)) throw invalid('a target that no link can have');
      return { kind: 'link', name, timeNs, target };
    }
    case kinds.missing:
      return { kind: 'missing', name, reason: readReason(reader) };
    default:
      throw invalid(`an entry of kind ${kind}`);
  }
}

function readMode(reader: FieldReader): number {
  const mode = reader.uint16();
  if (mode > 0o7777) throw invalid('a mode of more than twelve bits');
  return mode;
}

function readTime(reader: FieldReader): bigint {
  const seconds = reader.bytes(8).readBigInt64BE();
  const ns = reader.bytes(4).readUInt32BE();
  if (ns >= nsPerSecond) throw invalid('a time of more than a second behind the second');
  return seconds * nsPerSecond + BigInt(ns);
}

function readSize(reader: FieldReader): number {
  const size = reader.bytes(8).readBigUInt64BE();
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid('a file larger than any');
  return Number(size);
}

function readReason(reader: FieldReader): MissingReason {
  const number = reader.uint8();
  for (const [reason, known] of Object.entries(reasons)) if (known === number) return reason as MissingReason;
  throw invalid(`reason ${number}`);
}

function invalid(detail: string): SealError {
  return new SealError('seal.manifest_invalid', undefined, { detail });
}

/** Thrown where the bytes end within an entry. */
const shortage = new Error('The entry goes on.');

/** Reads fields one after the other. */
class FieldReader {
  position = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  }

  hasMore(): boolean {
    return this.position < this.#bytes.length;
  }

  uint8(): number {
    return this.#bytes.readUInt8(this.#advance(1));
  }

  uint16(): number {
    return this.#bytes.readUInt16BE(this.#advance(2));
  }

  /** A view, valid as long as the chunk. */
  bytes(length: number): Buffer {
    const start = this.#advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  hex(length: number): string {
    return this.bytes(length).toString('hex');
  }

  from(position: number): Buffer<ArrayBuffer> {
    return Buffer.from(this.#bytes.subarray(position));
  }

  #advance(length: number): number {
    const start = this.position;
    if (start + length > this.#bytes.length) throw shortage;
    this.position = start + length;
    return start;
  }
}
