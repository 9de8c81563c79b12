import { decodeBase64, encodeBase64 } from './bytes.ts';
import { LedgerError } from './errors.ts';
import { parseDecimal } from './lines.ts';
import { checkedHash, hashBytes } from './merkle.ts';
import { checkLogSize } from './tile.ts';

/**
 * What a log signs about itself (C2SP tlog-checkpoint): its unique name, the number of its entries (0 to
 * 2^53-1) and the Merkle root over them (32 bytes).
 */
export type Checkpoint = { readonly origin: string; readonly size: number; readonly root: Uint8Array };

/** The note text of a checkpoint, without extension lines. Sign it with `signNote`. */
export function formatCheckpoint({ origin, size, root }: Checkpoint): string {
  if (!isOrigin(origin)) throw new LedgerError('ledger.checkpoint_malformed', 'origin');
  return `${origin}\n${checkLogSize(size)}\n${encodeBase64(checkedHash(root))}\n`;
}

/**
 * Reads the text of a note that has been verified. Extension lines are the log's own and opaque; they are
 * checked for form and left out. Throws `ledger.checkpoint_malformed`.
 */
export function parseCheckpoint(text: string): Checkpoint {
  const lines = text.split('\n');
  if (lines.pop() !== '' || lines.length < 3) throw new LedgerError('ledger.checkpoint_malformed', 'lines');
  const [origin = '', decimal = '', base64 = '', ...extensions] = lines;
  if (!originPattern.test(origin) || extensions.some((line) => !originPattern.test(line))) {
    throw new LedgerError('ledger.checkpoint_malformed', 'an empty line or a control character');
  }
  const size = parseDecimal(decimal);
  if (size === undefined) throw new LedgerError('ledger.checkpoint_malformed', 'size');
  const root = decodeBase64(base64);
  if (root?.length !== hashBytes) throw new LedgerError('ledger.checkpoint_malformed', 'root hash');
  return { origin, size, root };
}

/** Whether a text can be the origin of a log: a line that is not empty and has no control characters. */
export function isOrigin(text: string): boolean {
  return originPattern.test(text) && text.isWellFormed();
}

/** A non-empty line without control characters. */
const originPattern = /^[^\u0000-\u001f]+$/;
