import { LedgerError } from './errors.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { parseNote } from './note.ts';

/**
 * The part of a checkpoint that a timestamp is of: its text and the signature lines of the log itself, which bear its origin as key name,
 * in their order, byte for byte. Lines that others put under it, then or later, are left out, so that the stamp stays right.
 *
 * @throws LedgerError `ledger.note_size`, `ledger.note_malformed`, `ledger.checkpoint_malformed`; `ledger.note_unsigned` where the log
 * has signed nothing of it
 */
export function stampedNote(note: Uint8Array): Uint8Array {
  const { text } = parseNote(note);
  const { origin } = parseCheckpoint(text);
  const lines = new TextDecoder()
    .decode(note)
    .slice(text.length + 1)
    .split('\n');
  const own = lines.filter((line) => line.startsWith(`— ${origin} `));
  if (own.length === 0) throw new LedgerError('ledger.note_unsigned');
  return new TextEncoder().encode(`${text}\n${own.join('\n')}\n`);
}
