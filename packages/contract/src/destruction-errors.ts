import type { ErrorDefinition } from './error-definition.ts';

/** Errors of destroying, erasing, and what stands against it. */
export const destructionErrors = {
  'key.destruction_pending': {
    status: 403,
    message: 'The key is going to be destroyed, so nobody uses it any more.',
    fix: 'If what it protects is still needed, have a custodian cancel the destruction before the date that is named.',
  },
  'key.destruction_none': {
    status: 409,
    message: 'No destruction of this key is waiting.',
    fix: 'Look at the key; what is destroyed does not come back.',
  },
  'study.erasing': {
    status: 403,
    message: 'The study is being erased, so nothing is protected or opened in it.',
    fix: 'While the erasure waits for its date, have a custodian cancel it; after that nothing brings the study back.',
  },
  'study.erasure_none': {
    status: 409,
    message: 'No erasure of this study is waiting.',
    fix: 'Look at the study; what is erased does not come back.',
  },
  'root_permit.root': {
    status: 400,
    message: 'To activate or to retire a root of trust takes its id, and to make one takes none.',
    fix: 'Look the id up with `trialkeep self root show`.',
  },
  'hold.applies': {
    status: 409,
    message: 'A hold keeps this from being destroyed or erased.',
    fix: 'List the holds with `trialkeep hold list`; wait for the end of the one that is named, or have it released.',
  },
  'hold.unknown': {
    status: 404,
    message: 'There is no such hold.',
    fix: 'List the holds and use the id of one.',
  },
  'hold.ended': {
    status: 409,
    message: 'The hold keeps nothing any more.',
    fix: 'Nothing is to be done: its date has passed, or it was released.',
  },
  'hold.until': {
    status: 400,
    message: 'A retention has a date at which it ends.',
    fix: 'Name the date as `until`; a hold without one is a legal hold.',
  },
  'hold.several_things': {
    status: 400,
    message: 'This is about one thing: a key, a study, a subject with its study, or everything.',
    fix: 'Name one of them; repeat the request for each other.',
  },
  'hold.too_many': {
    status: 409,
    message: 'The tenant has as many holds as it can have at once.',
    fix: 'Place holds on studies or on the tenant, which keep everything in them.',
  },
  'holder.unknown': {
    status: 404,
    message: 'There is no such holder.',
    fix: 'List the holders and use the id of one of your own; those of the instance are attested by its administrators.',
  },
  'holder.ended': {
    status: 409,
    message: 'The holder has no keys any more.',
    fix: 'Nothing is to be done; register a new copy as a holder of its own.',
  },
  'holder.key_in_use': {
    status: 409,
    message:
      'The key of that thing has not been destroyed, so nobody can say that a copy of it is gone for good.',
    fix: 'Attest after the erasure or the destruction; name no thing where the place has nothing any more.',
  },
  'holder.too_many': {
    status: 409,
    message: 'There are as many holders registered as there can be.',
    fix: 'Attest those that have nothing any more, or register a place once instead of each copy in it.',
  },
  'evidence.not_destroyed': {
    status: 409,
    message: 'This key has not been destroyed, so there is nothing to certify.',
    fix: 'Look at the key for the date of its destruction; make the certificate after it.',
  },
} as const satisfies Readonly<Record<string, ErrorDefinition>>;
