import { accessErrors } from './access-errors.ts';
import type { ErrorDefinition } from './error-definition.ts';
import { destructionErrors } from './destruction-errors.ts';
import { exitErrors } from './exit-errors.ts';
import { revocationErrors } from './revocation-errors.ts';
import { keyProtectionErrors } from './key-protection-errors.ts';
import { keyUseErrors } from './key-use-errors.ts';
import { keyTransferErrors } from './key-transfer-errors.ts';
import { ledgerErrors } from './ledger-errors.ts';
import type { SignatureMeaning } from './operation.ts';
import { tenantRootErrors } from './tenant-root-errors.ts';

export { pendingStates } from './error-definition.ts';
export type { ErrorDefinition, PendingState } from './error-definition.ts';

/** Every error that the API gives. Codes are stable; sentences may improve. */
export const errors = {
  'request.invalid': {
    status: 400,
    message: 'The request does not have the form that the operation takes.',
    fix: 'Correct the field that is named; the OpenAPI document at /openapi.json gives its form.',
  },
  'request.too_large': {
    status: 413,
    message: 'The request is larger than the server accepts.',
    fix: 'Send at most 64 KiB of plaintext, 98 bytes less where the context names a study or subject; in a batch at most 2 MiB in all; seal larger data with the SDK or `trialkeep seal`.',
  },
  'request.unknown_operation': {
    status: 404,
    message: 'There is no such operation.',
    fix: 'Check the method and the path against the OpenAPI document at /openapi.json.',
  },
  ...accessErrors,
  ...exitErrors,
  'tenant.sealed': {
    status: 423,
    message: 'The tenant is sealed: none of its keys can be used.',
    fix: 'Ask a custodian why; lifting the seal needs the approval of two others.',
    state: 'sealed',
  },
  'tenant.not_sealed': {
    status: 409,
    message: 'The tenant is not sealed, or that seal is not the one that holds now.',
    fix: 'Ask for the state of the seal, and give the time at which it was set.',
  },
  'tenant.exists': {
    status: 409,
    message: 'A tenant of that name exists.',
    fix: 'Choose another name.',
  },
  'study.exists': {
    status: 409,
    message: 'A study with that protocol number exists.',
    fix: 'Use the existing study, or correct the protocol number.',
  },
  'study.unknown': {
    status: 404,
    message: 'The tenant has no such study.',
    fix: 'List the studies and use the id of one.',
  },
  ...keyUseErrors,
  ...keyProtectionErrors,
  'system.exists': {
    status: 409,
    message: 'A system of that name exists.',
    fix: 'Use the existing system, or choose another name.',
  },
  'system.unknown': {
    status: 404,
    message: 'The tenant has no such system.',
    fix: 'List the systems and use the id of one.',
  },
  'subject.unknown': {
    status: 404,
    message: 'The study has no subject with that alias.',
    fix: 'Create the subject in the study, or correct the alias.',
  },
  'key.unknown': {
    status: 404,
    message: 'There is no such key for this credential.',
    fix: 'Check the key id; a service sees only the keys that its credential names.',
  },
  'key.foreign_system': {
    status: 400,
    message: "The key belongs to another system than the credential's.",
    fix: "Name only keys of the credential's own system.",
  },
  'key.unusable': {
    status: 409,
    message: 'The state or the dates of the key do not permit this use.',
    fix: 'Look at the key with `trialkeep key show`; the custodian can resume or replace it.',
  },
  'key.revoked': {
    status: 409,
    message: 'The key has been revoked.',
    fix: 'Use another key; what this one protected is read with a data-recovery credential and a reason.',
  },
  'data_keys.too_many': {
    status: 409,
    message: 'So many data keys of one key cannot be registered.',
    fix: 'Take those out that are not needed any more, or use a further key.',
  },
  'rewrap.unknown': {
    status: 404,
    message: 'There is no such rewrap.',
    fix: 'List the rewraps with `trialkeep rewrap list`.',
  },
  'rewrap.transition_undefined': {
    status: 409,
    message: 'The rewrap is not in a state in which this can be done.',
    fix: 'Show it with `trialkeep rewrap show`; start another one where it has ended and data keys are left.',
  },
  'key.transition_undefined': {
    status: 409,
    message: 'The key cannot go from its present state to the one asked for.',
    fix: 'See the table of key states in docs/key-states.md.',
  },
  'reason.required': {
    status: 400,
    message: 'This use needs a reason.',
    fix: 'Repeat the request with a reason; it goes on the record.',
  },
  'date.past': {
    status: 400,
    message: 'The date lies in the past.',
    fix: 'Give a date after now, in milliseconds since 1970 (UTC).',
  },
  'date.order': {
    status: 400,
    message: 'The expiry date lies before the activation date.',
    fix: 'Give an expiry date after the activation date.',
  },
  'inventory.future': {
    status: 400,
    message: 'The inventory is asked for as of a time that has not come.',
    fix: 'Give a time before now; for the present ask without a time.',
  },
  'inventory.before_ledger': {
    status: 400,
    message: 'The ledger had not begun at that time.',
    fix: 'Give a time after the first entry of the ledger.',
  },
  'evidence.too_many_keys': {
    status: 400,
    message: 'One document does not hold so many keys.',
    fix: 'Make one document for each system, or write the inventory as a table with `trialkeep inventory --csv`.',
  },
  'inventory.archived': {
    status: 409,
    message:
      'The first entries of the ledger were pruned from the server, so that it cannot tell of every key.',
    fix: 'Recompute it from an archive of the whole ledger, with `trialkeep inventory --ledger`.',
  },
  'context.invalid': {
    status: 400,
    message: 'The encryption context has a name or a value that is not allowed.',
    fix: 'study takes a study id, subject an alias (with its study), class and purpose short lower-case words.',
  },
  'context.subject_required': {
    status: 400,
    message: 'The key is use-logged, and the encryption context does not name both a study and a subject.',
    fix: 'Give study and subject in the context: a data key of this key is for one participant only.',
  },
  'receipts.invalid': {
    status: 400,
    message: 'The receipts are malformed, or not those that their reporter signed.',
    fix: 'Send them as the reporter wrote them; docs/formats/use-receipt.md gives their form.',
  },
  'receipts.foreign_use': {
    status: 403,
    message: 'The caller does not speak for the uses that a receipt is about.',
    fix: 'A service reports uses of keys of its own system; openings with an escrow key are brought by a custodian.',
  },
  'receipts.foreign_reporter': {
    status: 403,
    message: 'The reporter belongs to another system than the caller.',
    fix: 'Report with a credential of the system that this reporter began with, or begin a reporter of your own.',
  },
  'receipts.forked': {
    status: 409,
    message: 'The server has another receipt where these receipts begin or end.',
    fix: 'The folder of the reporter is an older copy, or in use twice, or an escrow key has two lists: keep it as evidence, and begin a new reporter or escrow pair.',
  },
  'receipts.in_gap': {
    status: 409,
    message:
      'These receipts come after later ones of their reporter, and the ledger shows a gap in their place, which is final.',
    fix: 'Keep their list as evidence of what the gap was; bring the lists of a reporter in the order in which they were written.',
  },
  'ciphertext.invalid': {
    status: 400,
    message: 'The ciphertext does not open: it was altered, or made under another key or context.',
    fix: 'Give the ciphertext, the key and the context exactly as they were when it was made.',
  },
  ...destructionErrors,
  ...keyTransferErrors,
  ...tenantRootErrors,
  ...revocationErrors,
  ...ledgerErrors,
  'server.busy': {
    status: 503,
    message: 'The server has more requests waiting than it takes.',
    fix: 'Try again after a moment; nothing was done.',
    state: 'try-again',
  },
  'server.not_ready': {
    status: 503,
    message: 'The server cannot answer operations at present.',
    fix: 'Send requests to another node; why it is so, the log and the metrics of the server say.',
  },
  'server.sealed': {
    status: 503,
    message: 'The server is sealed: its custodians have not given their shares of the root of trust yet.',
    fix: 'Custodians give them with `trialkeep unseal`; then the same can be sent again.',
    state: 'try-again',
  },
  'unseal.share_malformed': {
    status: 400,
    message: 'The text is not a share of a root of trust.',
    fix: 'Type the whole share as it was written down: TKS1 and 18 groups of four letters and digits.',
  },
  'unseal.share_mistyped': {
    status: 400,
    message: 'The share was not typed as it was written down.',
    fix: 'Compare every group with what was written down, and type it again.',
  },
  'unseal.share_foreign': {
    status: 409,
    message: 'The share is of another set than the one that opens this server.',
    fix: 'Give the share of the newest ceremony; shares of earlier ones are void.',
  },
  'unseal.share_wrong': {
    status: 403,
    message: 'The share is not the one that was made under its index.',
    fix: 'Compare its fingerprint with the minutes of the ceremony; treat an altered share as an incident.',
  },
  'unseal.too_many': {
    status: 429,
    message: 'Too many shares came from this address in a short time.',
    fix: 'Wait a few seconds, and give the share again.',
  },
  'server.in_recovery': {
    status: 503,
    message:
      'The server is in recovery: its database is older than, or differs from, a checkpoint kept outside it.',
    fix: 'Restore a backup that is at least as new as the anchor says, and start again; the status page gives the reason.',
    state: 'in-recovery',
  },
  'server.storage_full': {
    status: 507,
    message: 'There is no space left to record the operation, so it was not done.',
    fix: 'Free space on the disk of the data directory; revocation and suspension still work.',
  },
  'server.storage_failed': {
    status: 503,
    message: 'The operation could not be recorded, so its result was discarded.',
    fix: 'See the server log; try again when the database works.',
  },
  'server.data_altered': {
    status: 500,
    message: 'A row of the database is not the one that Trialkeep wrote; nothing was released.',
    fix: 'Somebody changed the database behind the server: treat it as an incident, and restore a backup.',
  },
  'server.internal': {
    status: 500,
    message: 'Something unexpected happened; nothing was released.',
    fix: 'See the server log under the request id, and report it.',
  },
} as const satisfies Record<string, ErrorDefinition>;
export type ErrorCode = keyof typeof errors;

/** What the body of an unsuccessful answer holds. */
export interface ErrorBody {
  readonly error: {
    readonly code: ErrorCode;
    readonly message: string;
    readonly fix: string;
    /** The input that is wrong, as a JSON pointer. */
    readonly field?: string;
    readonly requestId: string;
    /** With `approval.needed`: the id of the kept request. */
    readonly approval?: string;
    /** With `signature.needed`: what is to be signed. */
    readonly signature?: { readonly meaning: SignatureMeaning; readonly hash: string };
  };
}
