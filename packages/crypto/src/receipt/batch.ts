import type { KeyObject } from 'node:crypto';
import { CryptoError } from '../errors.ts';
import { ed25519PublicKey, signEd25519, verifyEd25519 } from '../signature.ts';
import { encodeReceipt } from './receipt.ts';
import type { AttestedUse, ChainedReceipt } from './receipt.ts';

/** Receipts that follow each other, without what follows from their place, and one signature (docs/formats/use-receipt.md). */
export interface ReceiptBatch {
  /** The reporter's Ed25519 public key, hexadecimal. */
  readonly reporter: string;
  /** Sequence of the first use. */
  readonly first: number;
  /** Hash of the receipt before the first. */
  readonly previous: string;
  /** 1 to 1,000. */
  readonly uses: readonly AttestedUse[];
  /** Ed25519, hexadecimal. */
  readonly signature: string;
}

/** Receipts in one batch at most. */
export const maximumBatchReceipts = 1000;

const label = Buffer.from('trialkeep/receipts/v1\0');

/**
 * Gives uses their place behind a receipt: each with its sequence and the hash of the one before.
 *
 * @throws CryptoError `crypto.receipt_malformed`, with the position of the use from 0 and the member that is wrong
 */
export function chainUses({
  reporter,
  first,
  previous,
  uses,
}: Omit<ReceiptBatch, 'signature'>): ChainedReceipt[] {
  let before = previous;
  return uses.map((use, i) => {
    const place = { v: 1, reporter, sequence: first + i, previous: before } as const;
    // A place that the use itself claimed would otherwise win or get lost, depending on the order.
    if (Object.keys(place).some((name) => Object.hasOwn(use, name))) {
      throw new CryptoError('crypto.receipt_malformed', `use ${i}: an unknown member`);
    }
    const chained = encodeReceipt({ ...use, ...place }, `use ${i}: `);
    before = chained.hash;
    return chained;
  });
}

/**
 * Signs receipts that follow each other, 1 to 1,000.
 *
 * @param reporterKey the reporter's Ed25519 private key
 * @throws CryptoError `crypto.receipt_malformed`, `crypto.key_unsuitable`, `crypto.argument_invalid` for none or too many
 */
export function signUses(
  reporterKey: KeyObject,
  { first, previous, uses }: Pick<ReceiptBatch, 'first' | 'previous' | 'uses'>,
): ReceiptBatch {
  requireLength(uses);
  const publicKey = ed25519PublicKey(reporterKey);
  const unsigned = { reporter: publicKey.toString('hex'), first, previous, uses };
  const signature = signEd25519(reporterKey, signedBytes(publicKey, chainUses(unsigned)));
  return { ...unsigned, signature: signature.toString('hex') };
}

/**
 * Checks form and signature, and gives the receipts. Whether they go on from what is known of the reporter is for the caller to
 * compare; nothing else of the batch is left to check.
 *
 * @throws CryptoError `crypto.receipt_malformed`, `crypto.receipt_signature_invalid`, `crypto.argument_invalid` for none or too many
 */
export function verifyBatch(batch: ReceiptBatch): ChainedReceipt[] {
  requireLength(batch.uses);
  const chained = chainUses(batch);
  const reporter = Buffer.from(batch.reporter, 'hex');
  const isHex = typeof batch.signature === 'string' && /^[0-9a-f]{128}$/.test(batch.signature);
  const signature = isHex ? Buffer.from(batch.signature, 'hex') : Buffer.alloc(0);
  if (!verifyEd25519(reporter, signedBytes(reporter, chained), signature)) {
    throw new CryptoError('crypto.receipt_signature_invalid');
  }
  return chained;
}

function requireLength(uses: readonly AttestedUse[]): void {
  if (!Array.isArray(uses) || uses.length < 1 || uses.length > maximumBatchReceipts) {
    throw new CryptoError('crypto.argument_invalid', `uses must be 1 to ${maximumBatchReceipts}`);
  }
}

function signedBytes(reporter: Uint8Array, chained: readonly ChainedReceipt[]): Buffer {
  const [first, last] = [chained[0], chained.at(-1)];
  if (first === undefined || last === undefined) throw new CryptoError('crypto.argument_invalid', 'uses');
  const range = Buffer.alloc(16);
  range.writeBigUInt64BE(BigInt(first.receipt.sequence), 0);
  range.writeBigUInt64BE(BigInt(last.receipt.sequence), 8);
  return Buffer.concat([label, reporter, range, Buffer.from(last.hash, 'hex')]);
}
