import { archiveErrors } from './archive/error-list.ts';
import { exitErrors } from './exit/error-list.ts';

/** What the reader of an error sees: one sentence, and what to do about it. */
export interface ErrorText {
  readonly message: string;
  readonly fix: string;
}

/** Every error that arises in the SDK itself; the server's own are in the contract. Codes are stable; sentences may improve. */
export const sdkErrors = {
  'client.bad_url': {
    message: "The server's URL is not one that the client can use.",
    fix: 'Give scheme, host and port, such as https://keys.example.org, without user, query or fragment.',
  },
  'client.insecure_url': {
    message: 'The credential would cross a network in clear.',
    fix: 'Use an https URL; plain http is for a server on this machine (127.0.0.1, ::1 or localhost).',
  },
  'client.bad_credential': {
    message: 'The credential has characters that no credential has.',
    fix: 'Copy the credential again, without quotes, spaces or line ends.',
  },
  'client.invalid_input': {
    message: 'An input does not have the form that the operation takes, so nothing was sent.',
    fix: 'Correct the input that is named.',
  },
  'client.unreachable': {
    message: 'The server cannot be reached.',
    fix: 'Check that it runs and that URL, name resolution and certificate are right, then try again.',
  },
  'client.untrusted': {
    message:
      'What answers at the URL does not prove to be the server: certificate or connection cannot be trusted.',
    fix: "Check the URL, the certificate and the machine's time; do not go on until it is known what answers there.",
  },
  'client.timeout': {
    message: 'The server did not answer in time, so it is not known whether the operation was done.',
    fix: 'Look in the ledger, or list what the operation would have made; then try again.',
  },
  'client.bad_answer': {
    message: 'What answered is not a Trialkeep server of a version that this client knows.',
    fix: 'Check the URL and what stands between (proxies, redirects), and the versions of client and server.',
  },
  'client.unknown_error': {
    message: 'The server gave an error that this client does not know.',
    fix: 'See the server log under the request id, and bring client and server to the same version.',
  },
  'client.document_altered': {
    message: 'The document of the request is not the one whose hash people are asked to approve.',
    fix: 'Decide nothing, and report it to the security officer: the document was altered on its way to you, or where it is kept.',
  },
  'seal.source_missing': {
    message: 'The source file does not exist.',
    fix: 'Check the path.',
  },
  'seal.source_unreadable': {
    message: 'The source file cannot be read.',
    fix: 'Give this account permission to read it; if it has it, check the disk.',
  },
  'seal.source_not_a_file': {
    message: 'The source is a folder or a device, not a regular file.',
    fix: 'Name the files themselves; pipes and devices go through the stream functions.',
  },
  'seal.source_changed': {
    message: 'The source file changed while it was read, so nothing was written under the target name.',
    fix: 'Seal it again when nothing writes to it, or seal a copy.',
  },
  'seal.source_no_ranges': {
    message: 'What answers at the URL does not serve ranges of bytes.',
    fix: 'Name an object of a store that does, such as S3, or fetch the whole and open that.',
  },
  'seal.target_exists': {
    message: 'The target exists, and nothing of it was touched.',
    fix: 'Choose another target, or say that it may be overwritten.',
  },
  'seal.target_not_a_file': {
    message: 'The target is a folder or a device, not a regular file.',
    fix: 'Name the file to write.',
  },
  'seal.target_unwritable': {
    message: 'The target cannot be written; nothing is left under its name.',
    fix: 'Check that its folder exists and that this account may write there.',
  },
  'seal.no_space': {
    message: 'There is no space left for the target; nothing is left under its name.',
    fix: 'Free space on that disk, or raise the quota, and try again.',
  },
  'seal.not_sealed': {
    message: 'The source is not a sealed file that this version reads.',
    fix: 'Name a file that Trialkeep or an AWS Encryption SDK wrote with the algorithm suites in docs/formats.',
  },
  'seal.damaged': {
    message:
      'The sealed file was altered, cut off or lengthened since it was written; nothing of it was kept.',
    fix: 'Take another copy, such as one from a backup.',
  },
  'seal.no_key': {
    message: 'No key that may open the sealed file is named in it.',
    fix: 'Name the key that sealed it among the allowed keys, or check that the file is the right one.',
  },
  'seal.context_mismatch': {
    message: 'The sealed file belongs to another encryption context than the one expected.',
    fix: 'Check that the file is the right one; its context is readable in its header.',
  },
  'seal.signature_missing': {
    message: 'The message is not signed, and was required to be.',
    fix: 'Check that this is the one you meant to open; if it is, have it sealed again, signed.',
  },
  'seal.longer_than_stated': {
    message: 'The stream is longer than was stated; what was sealed of it is not a whole message.',
    fix: 'State the length that the stream has, or none.',
  },
  'seal.signature_unchecked': {
    message:
      'The message is signed, and opened so that plaintext would be released before its signature is verified.',
    fix: 'Open it whole, as bytes or as a file; or say that it may be released before, and be able to undo what you do with it.',
  },
  'seal.context_invalid': {
    message: 'The encryption context cannot be bound to a sealed file.',
    fix: 'Use at most 16 pairs of short names and values, and no name that begins with aws-crypto-.',
  },
  'receipts.recipient_unlogged': {
    message: 'The key is use-logged, and a further recipient could open what is sealed without a receipt.',
    fix: 'Seal under it for the server alone, or for escrow keys, whose openings are listed.',
  },
  'registry.full': {
    message: 'So many data keys wait to be registered that this one was left out.',
    fix: 'Check that the server can be reached; register the data keys of older files with `data-keys.register`.',
  },
  'registry.closed': {
    message: 'The registry of data keys was closed before this one was registered.',
    fix: 'Flush the registry before it is closed.',
  },
  'receipts.required': {
    message:
      'The key is use-logged: each use of its data keys needs a receipt, and nothing is here to keep one.',
    fix: 'Open a reporter on a folder of its own and hand it over with the keys; see docs/how-to/log-each-use.md.',
  },
  'receipts.folder_in_use': {
    message: 'Another reporter has the folder open.',
    fix: 'Give every process a folder of its own; one reporter serves everything within a process.',
  },
  'receipts.folder_unusable': {
    message: 'The folder of the reporter, or a file in it, cannot be made, read or trusted.',
    fix: 'Name a folder of this account on a local disk, mode 0700, whose files nobody else can read.',
  },
  'receipts.damaged': {
    message: 'A file of the reporter was altered, or receipts are missing from it.',
    fix: 'Keep the folder as evidence, and open a reporter on a new one; or put the file aside, which leaves a gap in the ledger.',
  },
  'receipts.no_space': {
    message: 'There is no space left for the receipt, so nothing of the use was released.',
    fix: "Free space on the disk of the reporter's folder, and try again.",
  },
  'receipts.not_written': {
    message: 'The receipt could not be written to disk, so nothing of the use was released.',
    fix: "Check the disk of the reporter's folder, then open the reporter again.",
  },
  'receipts.too_many': {
    message: 'The server has not taken the receipts for too long, so that no more are kept.',
    fix: 'Make the server reachable: the reporter sends by itself, and goes on once there is room. Without a client, bring its list to the server, and acknowledge it (docs/how-to/log-each-use.md).',
  },
  'receipts.refused': {
    message:
      'The server refuses the receipts of this reporter, so that nothing more is released under use-logged keys.',
    fix: 'See what the server says, mend it, and open the reporter again.',
  },
  'receipts.outdated': {
    message:
      'The server has later receipts of this reporter than the folder: it is an older copy, or in use elsewhere.',
    fix: 'Keep the folder as evidence, and open a reporter on a new one.',
  },
  'receipts.closed': {
    message: 'The reporter is closed.',
    fix: 'Close it once nothing seals or opens any more.',
  },
  'receipts.list_unreadable': {
    message: 'The list of receipts cannot be read.',
    fix: 'Check the path, and that this account may read it.',
  },
  'receipts.list_invalid': {
    message: 'The list is not one that a single reporter wrote and signed, so nothing of it was sent.',
    fix: 'Fetch it again from where it was exported; if it stays so, it was altered.',
  },
  'escrow.pair_exists': {
    message: 'The folder has an escrow pair, or a part of one, and nothing of it was touched.',
    fix: 'Name another folder: a pair is never replaced, since data may be sealed to it.',
  },
  'escrow.openings_in_use': {
    message: 'Another process has the list of openings open.',
    fix: 'Wait until it has ended; an escrow key has one list.',
  },
  'escrow.openings_unusable': {
    message: 'The list of openings cannot be made, or cannot be read.',
    fix: 'Name a file in a folder where this account may read and write.',
  },
  'escrow.openings_invalid': {
    message: 'The list of openings is not as it was written: a line was altered, repeated or moved.',
    fix: 'Take another copy, and keep this one as evidence.',
  },
  'escrow.openings_incomplete': {
    message: 'Openings are missing from the list.',
    fix: 'Take a whole copy. Where there is none, say that gaps are accepted; the ledger then shows what is missing, for good.',
  },
  'escrow.openings_foreign': {
    message: 'The list holds openings of another escrow key.',
    fix: 'Name the list and the escrow key that belong together; each key has a list of its own.',
  },
  'escrow.opening_not_recorded': {
    message: 'The opening could not be put on the list, so nothing of it was released.',
    fix: 'Check space and state of the disk that the list is on, then open again.',
  },
  'escrow.key_not_kept': {
    message: 'The private file does not open as it was written, so the pair was thrown away.',
    fix: 'Check the disk, and make the pair again; on another machine if it stays so.',
  },
  'fields.declaration_invalid': {
    message: 'The description of a table or of a sealed column cannot be used.',
    fix: 'Correct what is named; docs/how-to/encrypt-database-fields.md shows every part of a description.',
  },
  'fields.index_refused': {
    message: 'A blind index of this column would give its values away, because equal values stay visible.',
    fix: 'Leave the index out, and filter after opening; 1,000 different values are the least for an index.',
  },
  'fields.value_invalid': {
    message: 'The value is not of the type declared for its column, or too long, so nothing was sealed.',
    fix: 'Pass a value of the declared type, of at most 65,000 bytes; longer data belongs into a sealed file.',
  },
  'fields.row_invalid': {
    message:
      'The row lacks its id or a column of its encryption context, or sets a column that is kept for it.',
    fix: 'Give (or select) the columns that are named, and leave those of indexes to the description.',
  },
  'fields.query_unsupported': {
    message:
      'The query does with a sealed column what cannot be done with sealed values, so nothing was sent.',
    fix: 'Compare indexed columns with = or in, test any for null, and do the rest after opening.',
  },
  'fields.not_sealed': {
    message: 'The column holds bytes that are no sealed field of a version that this one reads.',
    fix: 'Check that the column is the right one, and that all of its bytes were read.',
  },
  'fields.damaged': {
    message: 'The sealed field does not open: it was altered, or moved from another row or column.',
    fix: 'Restore the row from a backup, and find out what wrote to it.',
  },
  'fields.type_mismatch': {
    message: 'The sealed field holds a value of another type than the column is declared with.',
    fix: 'Declare the type that its values were sealed with.',
  },
  'fields.key_unknown': {
    message: 'The data key of the sealed field is not in the key table.',
    fix: 'Use the key table of the database that the field comes from, or restore it from a backup.',
  },
  'fields.key_altered': {
    message:
      'A row of the key table is not what was written: it was altered, or put in the place of another.',
    fix: 'Restore the key table from a backup, and find out what wrote to it.',
  },
  'fields.context_mismatch': {
    message: 'The data key of the sealed field belongs to another encryption context than its row.',
    fix: 'Check that the columns of the context are those that the row was sealed with.',
  },
  'fields.no_key': {
    message: 'The data key of the sealed field is wrapped for others than this source of keys.',
    fix: 'Use the server or the identity that the fields were sealed for.',
  },
  'fields.key_conflict': {
    message: 'Others kept renewing the data key of this context, so that no key was made.',
    fix: 'Try again; if it stays so, check that the key table has its unique constraint.',
  },
  'fields.in_transaction': {
    message: 'A data key would be kept only if an open transaction commits, and values could outlive it.',
    fix: 'Give the key store a connection of its own, or call prepare before the transaction.',
  },
  'fields.migration_mismatch': {
    message: 'What was sealed is not exactly what the column holds in clear, which was kept.',
    fix: 'Declare a type that holds the column exactly, such as text, or say how it is converted; then go on.',
  },
  'seal.source_special': {
    message: 'The entry is a device, a pipe or a socket, which no sealed tree holds.',
    fix: 'Leave it out, or say that the tree may be incomplete.',
  },
  'seal.folder_changed': {
    message: 'Entries were added to the folder, or taken out of it, while it was sealed.',
    fix: 'Seal it again when nothing writes to it, or seal a copy.',
  },
  'seal.tree_incomplete': {
    message: 'Some of the tree could not be sealed, so it was not finished; what is sealed stays.',
    fix: 'See the error of each entry and run the same again, or say that the tree may be incomplete.',
  },
  'seal.target_not_empty': {
    message: 'The target folder holds something that is no part of a sealed tree, and nothing was touched.',
    fix: 'Name a new or an empty folder.',
  },
  'seal.target_unfinished': {
    message:
      'The target folder holds the rest of an interrupted sealing that this account has no journal of.',
    fix: 'Name another folder, or say that it may be overwritten.',
  },
  'seal.target_busy': {
    message: 'Another process is sealing into this target.',
    fix: 'Wait until it has ended.',
  },
  'seal.target_inside_source': {
    message: 'The target lies inside a folder that is to be sealed.',
    fix: 'Name a target outside of it.',
  },
  'seal.journal_unusable': {
    message: 'The journal of the sealing cannot be read or written.',
    fix: 'Check the permissions of its folder and the space on its disk.',
  },
  'seal.not_a_tree': {
    message: 'The folder is not a sealed tree, or its sealing was not finished.',
    fix: 'Name the folder that holds manifest.sealed; an interrupted sealing goes on when it is run again.',
  },
  'seal.manifest_invalid': {
    message: 'The manifest of the sealed tree does not have the form that this version reads.',
    fix: 'Use the version that wrote it; nothing was restored.',
  },
  'seal.other_tree': {
    message: 'The sealed tree is not the one that is expected, and nothing was restored.',
    fix: 'An older one may have been put in its place: take another copy, or check the digest.',
  },
  'seal.tree_damaged': {
    message:
      'Entries of the sealed tree are damaged or missing, or cannot be restored; the others are whole.',
    fix: 'See the error of each entry; take what is damaged from another copy.',
  },
  'seal.object_missing': {
    message: 'The sealed content of the file is missing.',
    fix: 'Take it from another copy of the sealed tree.',
  },
  'seal.object_unknown': {
    message: 'The sealed tree holds something that its manifest does not name.',
    fix: 'Find out who put it there; nothing of it was restored.',
  },
  'verify.folder_unreadable': {
    message: 'The folder of the ledger cannot be read.',
    fix: 'Name the folder that holds the file "checkpoint" beside the folder "tile", readable by this account.',
  },
  'verify.key_missing': {
    message: 'Nothing says which log is trusted: there is no verifier key, and no policy that names a log.',
    fix: "Pass the log's verifier key, or a policy with a log line, from a trusted place.",
  },
  'verify.key_unsupported': {
    message: 'The verifier key is of an algorithm that this version does not verify.',
    fix: 'Use the Ed25519 or ML-DSA-44 key of the log, or a newer version.',
  },
  'stream.state_damaged': {
    message: 'The file that says how far the stream has come cannot be read, or is damaged.',
    fix: 'Restore it, or remove it: the stream then begins again with the first entry, and the collector gets repetitions.',
  },
  'stream.state_foreign': {
    message: 'The stream was begun with another log than the one that the server has.',
    fix: 'Use the profile of the tenant that the stream was begun with, or another state file.',
  },
  'stream.state_in_use': {
    message: 'Another process streams with this state file.',
    fix: 'End that process, or use a state file of its own for each collector.',
  },
  'stream.forked': {
    message:
      'The log does not go on from where the stream had come to: its history was rewritten, or an older state put back.',
    fix: 'Treat it as an incident: keep the state file, and compare the log with what the collector has.',
  },
  'stream.unverified': {
    message: 'What the server gives does not verify, so nothing more was handed on.',
    fix: "Check the log's verifier keys (after a key rotation, name the new one with --key); otherwise treat it as an incident.",
  },
  'stream.refused': {
    message: 'The collector refuses what it is sent.',
    fix: 'Check its address, credentials and limits, and what it says in its own log; the stream goes on from there.',
  },
  ...archiveErrors,
  ...exitErrors,
  'export.folder_not_empty': {
    message: 'The folder of the export holds something already, and nothing of it was touched.',
    fix: 'Name a new or an empty folder.',
  },
  'export.folder_unwritable': {
    message: 'The export cannot be written to the folder; what is there is incomplete.',
    fix: 'Check permissions and free space, empty the folder, and export again.',
  },
  'export.not_verified': {
    message: 'What the server sent does not fit its own checkpoint; what is in the folder is not evidence.',
    fix: 'Treat it as an incident: keep the folder, and compare with a mirror or an earlier export.',
  },
} as const satisfies Record<string, ErrorText>;
export type SdkErrorCode = keyof typeof sdkErrors;
