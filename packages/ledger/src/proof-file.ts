import { concatBytes, decodeBase64, encodeBase64 } from './bytes.ts';
import { LedgerError } from './errors.ts';
import {
  formatHashLines,
  maxProofHashes,
  parseHashLines,
  parseNumberLine,
  splitAtEmptyLine,
} from './lines.ts';
import { leafHash, type Sha256 } from './merkle.ts';
import { maxNoteBytes } from './note.ts';
import { verifyInclusion } from './proof.ts';
import { checkLogSize } from './tile.ts';
import { openCheckpoint, type CosignedCheckpoint, type Trust } from './trust.ts';

/** Limits on proofs, which come from outside. The specification sets none on the extra data. */
export const maxProofExtraBytes = 1 << 20;
export const maxProofBytes = maxNoteBytes + 2 * maxProofExtraBytes;

/** The usual ending of a proof's file name (C2SP tlog-proof). */
export const proofExtension = '.tlog-proof';

/** That an entry stands at `index` in the log of a checkpoint (C2SP tlog-proof). */
export type TlogProof = {
  /** 0 to 2^53-1. */
  readonly index: number;
  /** From the leaf's sibling upwards, 32 bytes each, at most 63. */
  readonly hashes: readonly Uint8Array[];
  /** The signed note, verbatim. */
  readonly checkpoint: Uint8Array;
  /** What the application put beside it, 1 to 1,048,576 bytes. Nothing authenticates it. */
  readonly extra?: Uint8Array;
};

const firstLine = 'c2sp.org/tlog-proof@v1';

/** The text of a proof. Throws `ledger.proof_malformed`, `ledger.log_size` and `ledger.hash_size`. */
export function formatProof({ index, hashes, checkpoint, extra }: TlogProof): Uint8Array {
  if (hashes.length > maxProofHashes) throw new LedgerError('ledger.proof_malformed', 'more than 63 hashes');
  if (extra !== undefined && (extra.length < 1 || extra.length > maxProofExtraBytes)) {
    throw new LedgerError('ledger.proof_malformed', 'extra data');
  }
  if (checkpoint.length > maxNoteBytes)
    throw new LedgerError('ledger.proof_malformed', 'checkpoint too long');
  const extraLine = extra === undefined ? '' : `extra ${encodeBase64(extra)}\n`;
  const head = `${firstLine}\n${extraLine}index ${checkLogSize(index)}\n${formatHashLines(hashes)}\n`;
  return concatBytes(new TextEncoder().encode(head), checkpoint);
}

/**
 * The inverse of `formatProof`; `checkpoint` is a view and not looked into. Throws `ledger.proof_malformed` for
 * anything else.
 */
export function parseProof(bytes: Uint8Array): TlogProof {
  if (bytes.length > maxProofBytes) throw new LedgerError('ledger.proof_malformed', 'too long');
  const head = splitAtEmptyLine(bytes, maxProofBytes);
  if (head === undefined)
    throw new LedgerError('ledger.proof_malformed', 'no lines in ASCII with an empty line behind');
  const [first, ...lines] = head.lines;
  if (first !== firstLine) throw new LedgerError('ledger.proof_malformed', 'line 1');
  const extra = lines[0]?.startsWith('extra ') === true ? readExtra(lines.shift()) : undefined;
  const index = parseNumberLine('index', lines.shift());
  if (index === undefined) throw new LedgerError('ledger.proof_malformed', 'index');
  const hashes = parseHashLines(lines);
  if (hashes === undefined) throw new LedgerError('ledger.proof_malformed', 'hashes');
  if (head.rest.length > maxNoteBytes) throw new LedgerError('ledger.proof_malformed', 'checkpoint too long');
  return { index, hashes, checkpoint: head.rest, ...(extra !== undefined && { extra }) };
}

function readExtra(line = ''): Uint8Array {
  const extra = decodeBase64(line.slice('extra '.length));
  if (extra === undefined || extra.length < 1 || extra.length > maxProofExtraBytes) {
    throw new LedgerError('ledger.proof_malformed', 'extra data');
  }
  return extra;
}

/** What a proof shows: the entry stands at `index` of the log in `checkpoint`, and who stands behind that. */
export type CheckedProof = CosignedCheckpoint & {
  readonly index: number;
  /** The names in the policy of the witnesses that cosigned. */
  readonly cosignedBy: readonly string[];
};

/**
 * Checks a proof against an entry and trusted keys (C2SP tlog-proof, verifying a tlog proof). Throws what
 * `openCheckpoint` throws, `ledger.cosignature_false` where a known witness did not sign what stands under its
 * name, `ledger.quorum_unmet` where the policy asks for more witnesses, `ledger.proof_range` and
 * `ledger.proof_invalid`.
 */
export async function checkProof(
  sha256: Sha256,
  proof: TlogProof,
  entry: Uint8Array,
  trust: Trust,
  origin?: string,
): Promise<CheckedProof> {
  const opened = await openCheckpoint(proof.checkpoint, trust, origin);
  if (opened.forged.length > 0) throw new LedgerError('ledger.cosignature_false');
  if (opened.quorum === 'unmet') throw new LedgerError('ledger.quorum_unmet');
  const { size, root } = opened.checkpoint;
  verifyInclusion(sha256, {
    leafHash: leafHash(sha256, entry),
    index: proof.index,
    size,
    root,
    proof: proof.hashes,
  });
  return { ...opened, index: proof.index, cosignedBy: opened.cosignatures.map(({ witness }) => witness) };
}
