import {
  formatSignatures,
  openNote,
  parseNote,
  type NoteSignature,
  type Signer,
  type Verifier,
} from '@trialkeep/ledger';

/** A note that the log signed: its text, and of its signatures one of each of the log's keys. */
export interface LogSignedNote {
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/**
 * Opens a note by the log's keys, and leaves other signatures out: nobody has checked those.
 *
 * @throws LedgerError `ledger.note_unsigned`, `ledger.note_signature`; those of `parseNote`
 */
export async function openLogNote(note: Uint8Array, verifiers: readonly Verifier[]): Promise<LogSignedNote> {
  const { text, signedBy } = await openNote(note, verifiers);
  const { signatures } = parseNote(note);
  const own = signedBy.map((verifier) =>
    signatures.find(({ name, keyId }) => name === verifier.name && keyId === verifier.keyId),
  );
  return { text, signatures: own.filter((signature) => signature !== undefined) };
}

/** The note with the log's signatures and, behind them, more. */
export function formatNote(
  { text, signatures }: LogSignedNote,
  more: readonly NoteSignature[] = [],
): Uint8Array {
  return Buffer.concat([Buffer.from(`${text}\n`), formatSignatures([...signatures, ...more])]);
}

/** What each of some signers signs a note's text with. */
export async function signaturesOf(text: string, signers: readonly Signer[]): Promise<NoteSignature[]> {
  const bytes = Buffer.from(text);
  const signatures: NoteSignature[] = [];
  for (const { name, keyId, ...signer } of signers) {
    signatures.push({ name, keyId, signature: await signer.sign(bytes) });
  }
  return signatures;
}
