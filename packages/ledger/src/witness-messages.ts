import { concatBytes, decodeBase64, encodeBase64 } from './bytes.ts';
import { LedgerError } from './errors.ts';
import {
  formatHashLines,
  maxProofHashes,
  parseDecimal,
  parseHashLines,
  parseNumberLine,
  splitAtEmptyLine,
} from './lines.ts';
import { checkedHash, hashBytes } from './merkle.ts';
import { maxNoteBytes } from './note.ts';
import { isSubtree, type EntryRange } from './subtree.ts';
import { checkLogSize } from './tile.ts';

/** The messages of C2SP tlog-witness. A successful answer is signature lines: `parseSignatures` reads them. */

/** The media type of the answer 409, whose body is the size of the latest cosigned checkpoint. */
export const sizeMediaType = 'text/x.tlog.size';

/** Two lines of numbers or a hash, 63 of hashes and the empty line; then the note. */
const maxHeadBytes = 128 + maxProofHashes * 45;

/** The longest body of `add-checkpoint` and `sign-subtree` that is read, bytes. */
export const maxWitnessRequestBytes = maxHeadBytes + maxNoteBytes;

/** The longest body of an answer 409, bytes: 16 digits and a newline. */
export const maxSizeBytes = 17;

/** `add-checkpoint`: a checkpoint and the consistency proof from the tree of `oldSize` entries to it. */
export type AddCheckpoint = {
  /** 0 to 2^53-1; 0 where the witness is not known to have cosigned any. */
  readonly oldSize: number;
  /** At most 63 hashes. */
  readonly proof: readonly Uint8Array[];
  /** The signed note, verbatim. */
  readonly checkpoint: Uint8Array;
};

/** The body of `add-checkpoint`. Throws `ledger.message_malformed`, `ledger.log_size`, `ledger.hash_size`. */
export function formatAddCheckpoint({ oldSize, proof, checkpoint }: AddCheckpoint): Uint8Array {
  return withHead(`old ${checkLogSize(oldSize)}\n`, proof, checkpoint);
}

/** The inverse; `checkpoint` is a view and not looked into. Throws `ledger.message_malformed`. */
export function parseAddCheckpoint(body: Uint8Array): AddCheckpoint {
  const { lines, checkpoint } = readHead(body);
  const oldSize = parseNumberLine('old', lines.shift());
  if (oldSize === undefined) throw malformed('old size');
  return { oldSize, proof: readHashes(lines), checkpoint };
}

/** `sign-subtree`: a subtree, its root, the proof that it stands in the tree of a checkpoint, and that one. */
export type SignSubtree = {
  readonly subtree: EntryRange;
  readonly root: Uint8Array;
  readonly proof: readonly Uint8Array[];
  readonly checkpoint: Uint8Array;
};

/** The body of `sign-subtree`. Throws `ledger.message_malformed`, `ledger.hash_size`. */
export function formatSignSubtree({ subtree, root, proof, checkpoint }: SignSubtree): Uint8Array {
  if (!isSubtree(subtree)) throw malformed('subtree');
  const head = `subtree ${subtree.start} ${subtree.end}\n${encodeBase64(checkedHash(root))}\n`;
  return withHead(head, proof, checkpoint);
}

/** The inverse; `checkpoint` is a view and not looked into. Throws `ledger.message_malformed`. */
export function parseSignSubtree(body: Uint8Array): SignSubtree {
  const { lines, checkpoint } = readHead(body);
  const [keyword, startText = '', endText = '', ...more] = (lines.shift() ?? '').split(' ');
  const [start, end] = [parseDecimal(startText), parseDecimal(endText)];
  if (keyword !== 'subtree' || more.length > 0 || start === undefined || end === undefined) {
    throw malformed('subtree range');
  }
  if (!isSubtree({ start, end })) throw malformed('not a subtree');
  const root = decodeBase64(lines.shift() ?? '');
  if (root?.length !== hashBytes) throw malformed('subtree hash');
  return { subtree: { start, end }, root, proof: readHashes(lines), checkpoint };
}

/** The body of the answer 409: a size in decimal and a newline. Throws `ledger.log_size`. */
export function formatSize(size: number): Uint8Array {
  return new TextEncoder().encode(`${checkLogSize(size)}\n`);
}

/** The inverse. Throws `ledger.message_malformed`. */
export function parseSize(body: Uint8Array): number {
  const text = body.length <= maxSizeBytes ? String.fromCharCode(...body) : '';
  const size = text.endsWith('\n') ? parseDecimal(text.slice(0, -1)) : undefined;
  if (size === undefined) throw malformed('size');
  return size;
}

function withHead(head: string, proof: readonly Uint8Array[], checkpoint: Uint8Array): Uint8Array {
  if (proof.length > maxProofHashes) throw malformed('more than 63 hashes');
  if (checkpoint.length > maxNoteBytes) throw malformed('checkpoint too long');
  return concatBytes(new TextEncoder().encode(`${head}${formatHashLines(proof)}\n`), checkpoint);
}

function readHead(body: Uint8Array): { lines: string[]; checkpoint: Uint8Array } {
  const head = splitAtEmptyLine(body, maxHeadBytes);
  if (head === undefined) throw malformed('no lines in ASCII with an empty line behind');
  if (head.rest.length > maxNoteBytes) throw malformed('checkpoint too long');
  return { lines: head.lines, checkpoint: head.rest };
}

function readHashes(lines: readonly string[]): Uint8Array[] {
  const proof = parseHashLines(lines);
  if (proof === undefined) throw malformed('proof');
  return proof;
}

function malformed(detail: string): LedgerError {
  return new LedgerError('ledger.message_malformed', detail);
}
