import { concatBytes, decodeBase64, decodeUtf8, encodeBase64 } from './bytes.ts';
import { ByteReader, type ByteChunks } from './byte-reader.ts';
import { isOrigin } from './checkpoint.ts';
import { LedgerError } from './errors.ts';
import { maxProofHashes, parseDecimal } from './lines.ts';
import { checkedHash, hashBytes } from './merkle.ts';
import type { EntryRange } from './subtree.ts';
import { checkLogSize, encodeEntries, tileWidth } from './tile.ts';

/** The messages of C2SP tlog-mirror. */

export const addEntriesMediaType = 'application/octet-stream';
/** The media type of the answers 202 and 409. */
export const mirrorInfoMediaType = 'text/x.tlog.mirror-info';

/** A ticket and an origin stand behind a uint16 that says how long they are. */
const maxShortBytes = 65_535;

/** The longest `mirror-info`, bytes: two sizes and a ticket of 65,535 bytes. */
export const maxMirrorInfoBytes = 34 + 87_381;

/** At most so many packages should go into one request (C2SP tlog-mirror, implementation considerations). */
export const maxRequestPackages = 32;

/** The beginning of `add-entries`: which entries follow, towards which pending checkpoint. */
export type AddEntriesHeader = {
  /** 1 to 65,535 bytes in UTF-8. */
  readonly origin: string;
  /** 0 to 2^53-1; `uploadStart` ≤ `uploadEnd`. */
  readonly uploadStart: number;
  readonly uploadEnd: number;
  /** The mirror's own, as its last answer had it; 0 to 65,535 bytes. */
  readonly ticket: Uint8Array;
};

/** Where the entries of a package stand, and the subtree whose proof it carries. */
export type PackagePlace = { readonly entries: EntryRange; readonly subtree: EntryRange };

/** Entries, and the proof of their subtree towards the tree of `uploadEnd` entries. Both are views. */
export type EntryPackage = {
  readonly place: PackagePlace;
  /** 0 to 65,535 bytes each. */
  readonly entries: readonly Uint8Array[];
  readonly proof: readonly Uint8Array[];
};

/**
 * The canonical sequence: a package for each bundle that the interval touches, each with a subtree that begins
 * where the bundle begins. Throws `ledger.message_malformed` where the interval is none.
 */
export function* packagesBetween(uploadStart: number, uploadEnd: number): Generator<PackagePlace, void> {
  if (checkLogSize(uploadStart) > checkLogSize(uploadEnd)) throw malformed('interval');
  for (let start = uploadStart; start < uploadEnd;) {
    const bundleStart = start - (start % tileWidth);
    const end = Math.min(uploadEnd, bundleStart + tileWidth);
    yield { entries: { start, end }, subtree: { start: bundleStart, end } };
    start = end;
  }
}

/** The beginning of an `add-entries` body. Throws `ledger.message_malformed`, `ledger.log_size`. */
export function formatAddEntries({ origin, uploadStart, uploadEnd, ticket }: AddEntriesHeader): Uint8Array {
  const originBytes = new TextEncoder().encode(origin);
  if (!isOrigin(origin) || originBytes.length > maxShortBytes) throw malformed('origin');
  if (ticket.length > maxShortBytes) throw malformed('ticket');
  if (checkLogSize(uploadStart) > checkLogSize(uploadEnd)) throw malformed('interval');
  return concatBytes(
    u16(originBytes.length),
    originBytes,
    u64(uploadStart),
    u64(uploadEnd),
    u16(ticket.length),
    ticket,
  );
}

/** A package of an `add-entries` body. Throws `ledger.message_malformed`, `ledger.entry_size`. */
export function formatPackage(entries: readonly Uint8Array[], proof: readonly Uint8Array[]): Uint8Array {
  if (entries.length < 1 || entries.length > tileWidth) throw malformed('number of entries');
  if (proof.length > maxProofHashes) throw malformed('more than 63 hashes');
  return concatBytes(encodeEntries(entries), Uint8Array.of(proof.length), ...proof.map(checkedHash));
}

/**
 * Reads an `add-entries` body as it comes in. `packages` gives a prefix of the canonical sequence, one at a
 * time; memory is bounded by one package. It ends where the body ends between two packages, and throws
 * `ledger.message_malformed` where it ends within one or goes on behind the last. The header is awaited first,
 * and throws the same. What `chunks` throws is passed on.
 */
export async function readAddEntries(
  chunks: ByteChunks,
): Promise<{ header: AddEntriesHeader; packages: AsyncGenerator<EntryPackage, void> }> {
  const reader = new ByteReader(chunks);
  const origin = decodeUtf8(await readShort(reader));
  if (origin === undefined || !isOrigin(origin)) throw malformed('origin');
  const uploadStart = await readSize(reader);
  const uploadEnd = await readSize(reader);
  if (uploadStart > uploadEnd) throw malformed('interval');
  const ticket = (await readShort(reader)).slice();
  return {
    header: { origin, uploadStart, uploadEnd, ticket },
    packages: readPackages(reader, uploadStart, uploadEnd),
  };
}

async function* readPackages(
  reader: ByteReader,
  uploadStart: number,
  uploadEnd: number,
): AsyncGenerator<EntryPackage, void> {
  for (const place of packagesBetween(uploadStart, uploadEnd)) {
    if (await reader.atEnd()) return;
    const entries: Uint8Array[] = [];
    for (let i = place.entries.start; i < place.entries.end; i++) entries.push(await readShort(reader));
    const count = (await take(reader, 1))[0] ?? 0;
    if (count > maxProofHashes) throw malformed('more than 63 hashes');
    const proof: Uint8Array[] = [];
    for (let i = 0; i < count; i++) proof.push(await take(reader, hashBytes));
    yield { place, entries, proof };
  }
  if (!(await reader.atEnd())) throw malformed('bytes behind the last package');
}

/** What a mirror answers with 202 and 409. */
export type MirrorInfo = {
  /** The size of a pending checkpoint. */
  readonly size: number;
  readonly nextEntry: number;
  /** 0 to 65,535 bytes, opaque to the client. */
  readonly ticket: Uint8Array;
};

/** Three lines: size, next entry, ticket in base64. Throws `ledger.message_malformed`, `ledger.log_size`. */
export function formatMirrorInfo({ size, nextEntry, ticket }: MirrorInfo): Uint8Array {
  if (ticket.length > maxShortBytes) throw malformed('ticket');
  const lines = `${checkLogSize(size)}\n${checkLogSize(nextEntry)}\n${encodeBase64(ticket)}\n`;
  return new TextEncoder().encode(lines);
}

/** The inverse. Throws `ledger.message_malformed`. */
export function parseMirrorInfo(body: Uint8Array): MirrorInfo {
  const text = body.length <= maxMirrorInfoBytes ? decodeUtf8(body) : undefined;
  const [sizeText = '', nextText = '', ticketText, rest, ...more] = text?.split('\n') ?? [];
  const [size, nextEntry] = [parseDecimal(sizeText), parseDecimal(nextText)];
  if (size === undefined || nextEntry === undefined || rest !== '' || more.length > 0) {
    throw malformed('mirror-info');
  }
  const ticket = decodeBase64(ticketText ?? '');
  if (ticket === undefined || ticket.length > maxShortBytes) throw malformed('ticket');
  return { size, nextEntry, ticket };
}

async function readShort(reader: ByteReader): Promise<Uint8Array> {
  const [high = 0, low = 0] = await take(reader, 2);
  return take(reader, high * 256 + low);
}

async function readSize(reader: ByteReader): Promise<number> {
  const bytes = await take(reader, 8);
  const value = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getBigUint64(0);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('size beyond 2^53-1');
  return Number(value);
}

async function take(reader: ByteReader, bytes: number): Promise<Uint8Array> {
  const taken = await reader.take(bytes);
  if (taken === undefined) throw malformed('cut off');
  return taken;
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >>> 8, value & 0xff);
}

function u64(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value));
  return bytes;
}

function malformed(detail: string): LedgerError {
  return new LedgerError('ledger.message_malformed', detail);
}
