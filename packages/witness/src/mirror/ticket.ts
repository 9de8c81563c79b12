import { createHmac } from 'node:crypto';
import { equalSecrets } from '@trialkeep/crypto';
import { LedgerError, parseCheckpoint, parseNote, type Checkpoint } from '@trialkeep/ledger';

/**
 * A pending checkpoint in the client's hands: HMAC-SHA-256(key, label ‖ note) ‖ note, 32 bytes and the note as the log signed it. It
 * says that the mirror believed this checkpoint once, so that an upload towards it goes on when it is no longer among those kept.
 */
const label = 'trialkeep/mirror-ticket/v1\0';
const macBytes = 32;
/** A ticket has a uint16 for its length (C2SP tlog-mirror, add-entries). */
const maxTicketBytes = 65_535;

/** Empty where the note is too long to be carried. */
export function issueTicket(key: Uint8Array, note: Uint8Array): Uint8Array {
  if (macBytes + note.length > maxTicketBytes) return new Uint8Array(0);
  return Buffer.concat([authenticate(key, note), note]);
}

/** The checkpoint that a ticket stands for, with its note; undefined for whatever was not issued under the key. */
export function openTicket(
  key: Uint8Array,
  ticket: Uint8Array,
): (Checkpoint & { readonly note: Uint8Array }) | undefined {
  const note = ticket.subarray(macBytes);
  if (!equalSecrets(authenticate(key, note), ticket.subarray(0, macBytes))) return undefined;
  try {
    return { ...parseCheckpoint(parseNote(note).text), note };
  } catch (error) {
    if (error instanceof LedgerError) return undefined;
    throw error;
  }
}

function authenticate(key: Uint8Array, note: Uint8Array): Buffer {
  return createHmac('sha256', key).update(label).update(note).digest();
}
