import type { ErrorDefinition } from './error-definition.ts';
import { ledgerErrors } from './ledger-errors.ts';
import type { SignatureMeaning } from './operation.ts';

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
    fix: 'Send at most 64 KiB of plaintext, 98 bytes less where the context names a study or subject; seal larger data with the SDK or `trialkeep seal`.',
  },
  'request.unknown_operation': {
    status: 404,
    message: 'There is no such operation.',
    fix: 'Check the method and the path against the OpenAPI document at /openapi.json.',
  },
  'auth.required': {
    status: 401,
    message: 'The request carries no credential that this server knows.',
    fix: 'Send the credential as `Authorization: Bearer …`; ask the custodian for a new one if it is lost.',
  },
  'auth.revoked': {
    status: 401,
    message: 'The credential has been revoked.',
    fix: 'Ask the custodian why, and for a new credential.',
  },
  'auth.expired': {
    status: 401,
    message: 'The credential has expired.',
    fix: 'Ask the custodian for a new credential.',
  },
  'access.denied': {
    status: 403,
    message: 'No role of this credential grants the operation.',
    fix: 'Use a credential with the role that grants it, or ask the custodian.',
  },
  'access.person_required': {
    status: 403,
    message: 'Only a person can ask for this, not the credential of a service.',
    fix: 'Sign in with `trialkeep sign-in`, and ask again.',
  },
  'auth.failed': {
    status: 401,
    message: 'The sign-in name, the password or the code is wrong, or the code has been used.',
    fix: 'Wait for the next code and try again; ask whoever manages people for a new invitation if something is lost.',
  },
  'auth.locked': {
    status: 429,
    message: 'There were too many failed attempts in a row.',
    fix: 'Wait fifteen minutes and try again, or ask whoever manages people for a new invitation.',
  },
  'approval.needed': {
    status: 202,
    message: 'The request is kept, and runs as soon as enough other people have approved it.',
    fix: 'Ask them to look at it with `trialkeep approval show` and to approve it; follow it the same way.',
    state: 'approval-needed',
  },
  'approval.unknown': {
    status: 404,
    message: 'There is no such request for approval.',
    fix: 'List the requests and use the id of one.',
  },
  'approval.own': {
    status: 403,
    message: 'Nobody decides on a request of their own.',
    fix: 'Ask other people who may decide.',
  },
  'approval.foreign': {
    status: 403,
    message: 'Only the person who made a request can take it back.',
    fix: 'Deny it instead, with a reason.',
  },
  'approval.closed': {
    status: 409,
    message: 'The request waits for no decision any more.',
    fix: 'Look at its state; ask for the operation again if it is still wanted.',
  },
  'approval.decided': {
    status: 409,
    message: 'You have decided on this request already.',
    fix: 'Leave the rest to others.',
  },
  'approval.changed': {
    status: 409,
    message: 'The hash is not the one of the request.',
    fix: 'Look at the request again, and decide on what it says now.',
  },
  'approval.too_few_people': {
    status: 409,
    message: 'There are fewer people who could approve this than have to.',
    fix: 'Invite more people who may decide, other than yourself.',
  },
  'approval.too_many_open': {
    status: 409,
    message: 'You have too many requests that still wait for others.',
    fix: 'Have them decided, or take back those that are not wanted any more.',
  },
  'signature.needed': {
    status: 428,
    message: 'This needs an electronic signature.',
    fix: 'Repeat the request with your password and a one-time code as its signature.',
    state: 'signature-needed',
  },
  'person.exists': {
    status: 409,
    message: 'A person with that sign-in name exists.',
    fix: 'Use another sign-in name, or invite that person anew.',
  },
  'person.unknown': {
    status: 404,
    message: 'There is no such person.',
    fix: 'List the people and use the id of one.',
  },
  'person.self': {
    status: 403,
    message: 'Nobody changes their own roles, or what they sign in with.',
    fix: 'Ask somebody else who manages people.',
  },
  'person.left': {
    status: 409,
    message: 'The person has left.',
    fix: 'Invite them under another sign-in name if they are back.',
  },
  'person.generic_name': {
    status: 400,
    message: 'The sign-in name is that of a function and not of a person.',
    fix: 'Give each person a sign-in name of their own.',
  },
  'roles.conflict': {
    status: 409,
    message: 'The roles would let one person administer keys and use them.',
    fix: 'Give the roles to two people.',
  },
  'roles.foreign': {
    status: 400,
    message: 'The role does not belong here: people of the instance and of tenants have different ones.',
    fix: 'Use a role that docs/operations.md lists for this place.',
  },
  'enrolment.not_begun': {
    status: 409,
    message: 'There is no generator of one-time codes to confirm yet.',
    fix: 'Begin the enrolment first; it shows the generator.',
  },
  'enrolment.code_wrong': {
    status: 400,
    message: 'The code is not one of the generator that was shown.',
    fix: 'Check the clock of the device and enter the present code.',
  },
  'password.weak': {
    status: 400,
    message: 'The password is too short, or one of those that are guessed first.',
    fix: 'Choose at least 8 characters that are not a common password or your name.',
  },
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
  'credential.unknown': {
    status: 404,
    message: 'The tenant has no such credential.',
    fix: 'List the credentials and use the id of one.',
  },
  'credential.last_custodian': {
    status: 409,
    message: 'It is the last credential of a custodian, and without one nobody can administer the tenant.',
    fix: 'Issue a credential to another custodian first.',
  },
  'credential.expiry_required': {
    status: 400,
    message: 'A data-recovery credential needs an expiry date.',
    fix: 'Give expiresAt: the day on which the recovery is to be over.',
  },
  'credential.scope': {
    status: 400,
    message: 'The role and the keys of the credential do not fit together.',
    fix: 'A service needs a system and at least one key of it; other roles take neither.',
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
  ...ledgerErrors,
  'server.busy': {
    status: 503,
    message: 'The server has more requests waiting than it takes.',
    fix: 'Try again after a moment; nothing was done.',
    state: 'try-again',
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
