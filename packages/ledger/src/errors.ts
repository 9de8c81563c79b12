/** What a reader of an error sees: one sentence, and what to do about it. */
export type ErrorText = { readonly message: string; readonly fix: string };

export type LedgerErrorCode =
  | 'ledger.bundle_malformed'
  | 'ledger.checkpoint_malformed'
  | 'ledger.entry_size'
  | 'ledger.hash_size'
  | 'ledger.key_malformed'
  | 'ledger.key_name'
  | 'ledger.log_size'
  | 'ledger.note_malformed'
  | 'ledger.note_signature'
  | 'ledger.note_size'
  | 'ledger.note_unsigned'
  | 'ledger.proof_invalid'
  | 'ledger.proof_range'
  | 'ledger.tile_address'
  | 'ledger.tile_malformed'
  | 'ledger.tile_path';

/** Every error of this package. docs/errors.md is generated from it. */
export const ledgerErrors: Readonly<Record<LedgerErrorCode, ErrorText>> = {
  'ledger.bundle_malformed': {
    message: 'The entry bundle is not a whole number of length-prefixed entries of the expected count.',
    fix: 'Fetch or export the bundle again; if it stays so, the log was altered.',
  },
  'ledger.checkpoint_malformed': {
    message: 'The note is not a checkpoint: origin, size and root hash on three lines are expected.',
    fix: 'Pass the file named "checkpoint" of the log, unchanged.',
  },
  'ledger.entry_size': {
    message: 'An entry is empty or longer than 65,535 bytes, which an entry bundle cannot hold.',
    fix: 'Make the entry shorter; what is long belongs in the payload beside the log.',
  },
  'ledger.hash_size': {
    message: 'A hash is not 32 bytes long.',
    fix: 'Pass SHA-256 hashes.',
  },
  'ledger.key_malformed': {
    message: 'The verifier key is not of the form name+keyid+base64, or its key id does not match its key.',
    fix: 'Copy the whole line of the verifier key again from a trusted source.',
  },
  'ledger.key_name': {
    message: 'A key name is empty, or has a space, a plus sign or a control character.',
    fix: "Use a schema-less URL, such as the log's origin.",
  },
  'ledger.log_size': {
    message: 'The size of the log is not a whole number from 0 to 2^53-1.',
    fix: 'Pass the size that the checkpoint states.',
  },
  'ledger.note_malformed': {
    message: 'The file is not a signed note.',
    fix: 'Use the file as it was published: no editor, no change of line endings or encoding.',
  },
  'ledger.note_signature': {
    message: 'A signature by a trusted key does not verify: the note was altered.',
    fix: 'Do not trust the note; fetch it again, and report the altered copy.',
  },
  'ledger.note_size': {
    message: 'The note is longer than 1 MiB or carries more than 64 signatures.',
    fix: 'Fetch the note again from the log itself.',
  },
  'ledger.note_unsigned': {
    message: 'No trusted key has signed the note.',
    fix: 'Check that the verifier key belongs to this log.',
  },
  'ledger.proof_invalid': {
    message: 'The Merkle proof does not lead to the expected root hash.',
    fix: 'Do not trust the claim; ask for the proof again for the same sizes and roots.',
  },
  'ledger.proof_range': {
    message:
      'No such proof exists: an entry lies outside the tree, or the older tree is empty or the larger one.',
    fix: 'Ask for an index below the size, or for sizes with 1 ≤ older ≤ newer.',
  },
  'ledger.tile_address': {
    message: 'A tile address is outside its bounds: level 0 to 63, index 0 to 2^53-1, width 1 to 256.',
    fix: 'Take addresses from the size of the log.',
  },
  'ledger.tile_malformed': {
    message: 'A tile holds fewer hashes than its width, or part of a hash.',
    fix: 'Fetch or export the tile again; if it stays so, the log was altered.',
  },
  'ledger.tile_path': {
    message: 'The path is not the canonical path of a tile or an entry bundle.',
    fix: 'Use paths like tile/0/x001/x234/067 and tile/entries/000.p/5.',
  },
};

/** The one error of this package. `code` is stable; `fix` says what to do. Carries no input bytes. */
export class LedgerError extends Error {
  readonly code: LedgerErrorCode;
  readonly fix: string;

  /** @param detail what exactly was wrong, in words of our own, never the input itself */
  constructor(code: LedgerErrorCode, detail?: string) {
    const { message, fix } = ledgerErrors[code];
    super(detail === undefined ? message : `${message} (${detail})`);
    this.name = 'LedgerError';
    this.code = code;
    this.fix = fix;
  }
}
