import { LedgerError } from './errors.ts';

/** SHA-256 of `data`: 32 bytes, owned by the caller. Must not keep `data`, which may be reused. */
export type Sha256 = (data: Uint8Array) => Uint8Array;

export const hashBytes = 32;

/** The root of a tree without leaves: SHA-256 of nothing (RFC 6962 section 2.1). Read only. */
export const EMPTY_ROOT: Uint8Array = Uint8Array.from([
  0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae,
  0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
]);

/** SHA-256(0x00 ‖ entry): the Merkle tree hash of one leaf (RFC 6962 section 2.1). */
export function leafHash(sha256: Sha256, entry: Uint8Array): Uint8Array {
  const preimage = new Uint8Array(1 + entry.length);
  preimage.set(entry, 1);
  return sha256(preimage);
}

/** The leaf hashes of `entries`, concatenated: 32 bytes each, in order. */
export function leafHashes(sha256: Sha256, entries: readonly Uint8Array[]): Uint8Array {
  const hashes = new Uint8Array(entries.length * hashBytes);
  const longest = entries.reduce((bytes, entry) => Math.max(bytes, entry.length), 0);
  const preimage = new Uint8Array(1 + longest);
  entries.forEach((entry, i) => {
    preimage.set(entry, 1);
    hashes.set(sha256(preimage.subarray(0, 1 + entry.length)), i * hashBytes);
  });
  return hashes;
}

/** SHA-256(0x01 ‖ left ‖ right): the hash of an inner node (RFC 6962 section 2.1). */
export function nodeHash(sha256: Sha256, left: Uint8Array, right: Uint8Array): Uint8Array {
  const preimage = new Uint8Array(1 + 2 * hashBytes);
  preimage[0] = 1;
  preimage.set(checkedHash(left), 1);
  preimage.set(checkedHash(right), 1 + hashBytes);
  return sha256(preimage);
}

/**
 * The Merkle tree hash over leaves whose hashes are given, concatenated. Each may also be the root of a
 * perfect subtree, all of one height, and the last one the root of a smaller, ragged subtree: RFC 6962
 * section 2.1 splits at the largest power of two below the count, which is the same as pairing from the left
 * and lifting the odd one out.
 */
export function merkleRoot(sha256: Sha256, hashes: Uint8Array): Uint8Array {
  let count = hashes.length / hashBytes;
  if (!Number.isInteger(count)) throw new LedgerError('ledger.hash_size');
  if (count === 0) return EMPTY_ROOT.slice();
  // Not `slice`, which is a view where the caller's bytes are a Node Buffer.
  const row = new Uint8Array(hashes);
  const preimage = new Uint8Array(1 + 2 * hashBytes);
  preimage[0] = 1;
  for (; count > 1; count = Math.ceil(count / 2)) {
    const pairs = Math.floor(count / 2);
    for (let i = 0; i < pairs; i++) {
      preimage.set(row.subarray(2 * i * hashBytes, 2 * (i + 1) * hashBytes), 1);
      row.set(sha256(preimage), i * hashBytes);
    }
    if (count % 2 === 1) row.copyWithin(pairs * hashBytes, (count - 1) * hashBytes, count * hashBytes);
  }
  return row.slice(0, hashBytes);
}

/** The hash at position `i` of concatenated hashes; a view, not a copy. */
export function hashAt(hashes: Uint8Array, i: number): Uint8Array {
  return hashes.subarray(i * hashBytes, (i + 1) * hashBytes);
}

/** Passes a hash through if it is 32 bytes long; throws `ledger.hash_size` otherwise. */
export function checkedHash(hash: Uint8Array): Uint8Array {
  if (hash.length !== hashBytes) throw new LedgerError('ledger.hash_size');
  return hash;
}
