import type { ErrorDefinition } from './error-definition.ts';

/** Errors of bringing keys from elsewhere, and of exporting them. */
export const keyTransferErrors = {
  'import.token_invalid': {
    status: 403,
    message: 'The import token is unknown, spent, expired, of somebody else or for another key.',
    fix: 'Ask for parameters anew with `trialkeep key import-parameters`; a token is good once, for 24 hours and five tries, for whoever asked for it.',
  },
  'import.too_many': {
    status: 409,
    message: 'As many imports are open as there can be at once.',
    fix: 'Complete them, or wait until their tokens expire.',
  },
  'import.unwrap_failed': {
    status: 400,
    message: 'The material does not open.',
    fix: 'Wrap it under the public key of these parameters, as docs/formats/key-transfer.md says, and bring all of it.',
  },
  'import.material_invalid': {
    status: 400,
    message: 'What was wrapped is not a valid key of the algorithm.',
    fix: 'Bring the raw key of a symmetric algorithm, or the private key as PKCS #8 in DER, unencrypted, with nothing behind it.',
  },
  'import.material_weak': {
    status: 400,
    message: 'The material can be guessed, or is published.',
    fix: 'Make a new key with a random generator that is meant for keys.',
  },
  'import.material_known': {
    status: 409,
    message: 'This material was imported or exported here before, so it is not a key of one thing alone.',
    fix: 'Make a new key; what was once a key of something, even if it was destroyed, does not become the key of something else.',
  },
  'key.imported': {
    status: 409,
    message: 'The key was made elsewhere, so its versions are not made here.',
    fix: 'Bring its next version: `trialkeep key import-parameters --key`, then `trialkeep key import`.',
  },
  'key.not_imported': {
    status: 409,
    message: 'The key was made here, so its versions are not brought from elsewhere.',
    fix: 'Rotate it, or import a key of its own.',
  },
  'key.not_exportable': {
    status: 403,
    message: 'The key was not made to leave this installation.',
    fix: 'Nothing makes it exportable later; make or import another key with that property where keys have to leave.',
  },
  'destination.unknown': {
    status: 404,
    message: 'There is no such destination.',
    fix: 'List the destinations with `trialkeep destination list`, or register one.',
  },
  'destination.retired': {
    status: 409,
    message: 'The destination is retired: no key is exported to it any more.',
    fix: 'Register the key that it uses now.',
  },
  'destination.mismatch': {
    status: 409,
    message: 'The destination is not registered with that name and that public key.',
    fix: 'Compare name and fingerprint with what the destination told you, and with `trialkeep destination list`.',
  },
  'destination.key_unsuitable': {
    status: 400,
    message: 'The public key is not one that keys can be wrapped under.',
    fix: 'Bring an RSA public key of 3,072 or 4,096 bits with exponent 65,537, as SubjectPublicKeyInfo.',
  },
  'destination.known': {
    status: 409,
    message: 'A destination with this public key is registered already.',
    fix: 'Use that one; one key has one name.',
  },
  'destination.too_many': {
    status: 409,
    message: 'There are as many destinations registered as there can be.',
    fix: 'Retire those that get no keys any more.',
  },
  'export.unknown': {
    status: 404,
    message: 'There is no such exported key, or it is not kept any more.',
    fix: 'List those that can be fetched with `trialkeep key exports`; have the export approved anew where it is over.',
  },
} as const satisfies Readonly<Record<string, ErrorDefinition>>;
