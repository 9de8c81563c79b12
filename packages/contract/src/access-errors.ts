import type { ErrorDefinition } from './error-definition.ts';

/** What is answered about who somebody is, what they may do, and what others have to approve. */
export const accessErrors = {
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
  'auth.signature_expired': {
    status: 401,
    message: "The time in the request's signature is more than five minutes from the server's.",
    fix: 'Set the clock of the machine that signs, and sign the request anew.',
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
} as const satisfies Record<string, ErrorDefinition>;
