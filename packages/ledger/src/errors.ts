/** What a reader of an error sees: one sentence, and what to do about it. */
export type ErrorText = { readonly message: string; readonly fix: string };

export type LedgerErrorCode =
  | 'ledger.bundle_malformed'
  | 'ledger.checkpoint_malformed'
  | 'ledger.continuation_forked'
  | 'ledger.continuation_unproven'
  | 'ledger.cosignature_false'
  | 'ledger.cosigner_invalid'
  | 'ledger.entry_size'
  | 'ledger.hash_size'
  | 'ledger.key_malformed'
  | 'ledger.key_name'
  | 'ledger.key_unsupported'
  | 'ledger.log_size'
  | 'ledger.message_malformed'
  | 'ledger.note_malformed'
  | 'ledger.note_signature'
  | 'ledger.note_size'
  | 'ledger.note_unsigned'
  | 'ledger.origin_unknown'
  | 'ledger.policy_malformed'
  | 'ledger.policy_size'
  | 'ledger.proof_invalid'
  | 'ledger.proof_malformed'
  | 'ledger.proof_range'
  | 'ledger.quorum_unmet'
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
  'ledger.continuation_forked': {
    message:
      'The log does not go on from where it was read before: its history was rewritten, or an older state put back.',
    fix: 'Keep what was read before and the new checkpoint: together they prove it. Report it.',
  },
  'ledger.continuation_unproven': {
    message:
      'Entries or tiles behind those that were read before are missing, or do not lead to the signed root.',
    fix: 'Try again; if it stays so, take the log from another copy, or begin behind what was pruned.',
  },
  'ledger.cosignature_false': {
    message: 'A witness that is known did not sign what stands under its name.',
    fix: 'Do not trust the checkpoint; fetch it again, and report the altered copy.',
  },
  'ledger.cosigner_invalid': {
    message: 'A cosignature cannot state this: a name of 1 to 255 bytes, a checkpoint and a time are needed.',
    fix: 'Use a shorter key name or origin, and a clock that runs after 1970.',
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
  'ledger.key_unsupported': {
    message: 'The verifier key is for a kind of signature that is not verified here.',
    fix: 'Use a key of type Ed25519 or ML-DSA-44, alone or as a cosignature.',
  },
  'ledger.log_size': {
    message: 'The size of the log is not a whole number from 0 to 2^53-1.',
    fix: 'Pass the size that the checkpoint states.',
  },
  'ledger.message_malformed': {
    message: 'The message is not what the witness or mirror protocol says.',
    fix: 'Send it as C2SP tlog-witness and tlog-mirror describe, in canonical base64 and decimal.',
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
  'ledger.origin_unknown': {
    message: 'The checkpoint is of another log than the one that was asked for.',
    fix: 'Use the checkpoint and the verifier key of one and the same log.',
  },
  'ledger.policy_malformed': {
    message: 'The policy file is not as C2SP tlog-policy describes.',
    fix: 'Correct the line that is named.',
  },
  'ledger.policy_size': {
    message: 'The policy file is longer than 1 MiB.',
    fix: 'Leave out logs and witnesses that are not needed.',
  },
  'ledger.proof_invalid': {
    message: 'The Merkle proof does not lead to the expected root hash.',
    fix: 'Do not trust the claim; ask for the proof again for the same sizes and roots.',
  },
  'ledger.proof_malformed': {
    message: 'The file is not a transparency log proof.',
    fix: 'Use the file as it was made: no editor, no change of line endings or encoding.',
  },
  'ledger.proof_range': {
    message:
      'No such proof exists: an entry lies outside the tree, or the older tree is empty or the larger one.',
    fix: 'Ask for an index below the size, or for sizes with 1 ≤ older ≤ newer.',
  },
  'ledger.quorum_unmet': {
    message: 'Fewer witnesses have cosigned the checkpoint than the policy asks for.',
    fix: 'Ask for a proof under a checkpoint that more witnesses cosigned.',
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
