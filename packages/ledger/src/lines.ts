import { decodeBase64, encodeBase64 } from './bytes.ts';
import { checkedHash, hashBytes } from './merkle.ts';

/** What the line-based messages of the transparency log specifications have in common. */

/** The most hashes that a proof over a tree of less than 2^64 entries can have (C2SP tlog-witness). */
export const maxProofHashes = 63;

const newline = 0x0a;

/**
 * A whole number from 0 to 2^53-1 in ASCII decimal, without a sign and without leading zeros; undefined for
 * anything else.
 */
export function parseDecimal(text: string): number | undefined {
  const value = /^(?:0|[1-9][0-9]{0,15})$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : undefined;
}

/** Behind `keyword` and one space a decimal number, and nothing else. */
export function parseNumberLine(keyword: string, line: string | undefined): number | undefined {
  return line?.startsWith(`${keyword} `) === true ? parseDecimal(line.slice(keyword.length + 1)) : undefined;
}

/** One hash in canonical base64 a line; undefined where a line is anything else, or there are too many. */
export function parseHashLines(lines: readonly string[]): Uint8Array[] | undefined {
  if (lines.length > maxProofHashes) return undefined;
  const hashes: Uint8Array[] = [];
  for (const line of lines) {
    const hash = decodeBase64(line);
    if (hash?.length !== hashBytes) return undefined;
    hashes.push(hash);
  }
  return hashes;
}

/** The inverse of `parseHashLines`; each line with its newline. Throws `ledger.hash_size`. */
export function formatHashLines(hashes: readonly Uint8Array[]): string {
  return hashes.map((hash) => `${encodeBase64(checkedHash(hash))}\n`).join('');
}

/**
 * The lines before the first empty line, and the bytes behind it, as a view. The lines must be printable ASCII
 * and at most `maxBytes` long in all; otherwise undefined. The first line may not be the empty one.
 */
export function splitAtEmptyLine(
  bytes: Uint8Array,
  maxBytes: number,
): { lines: string[]; rest: Uint8Array } | undefined {
  const lines: string[] = [];
  let line = '';
  for (let i = 0; i < bytes.length && i <= maxBytes; i++) {
    const octet = bytes[i] ?? 0;
    if (octet === newline) {
      if (line === '') return lines.length === 0 ? undefined : { lines, rest: bytes.subarray(i + 1) };
      lines.push(line);
      line = '';
    } else if (octet < 0x20 || octet > 0x7e) {
      return undefined;
    } else {
      line += String.fromCharCode(octet);
    }
  }
  return undefined;
}
