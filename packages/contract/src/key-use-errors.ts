import type { ErrorDefinition } from './error-definition.ts';

/** What goes wrong with the purpose, the algorithm or the version of a key. */
export const keyUseErrors = {
  'key.wrong_purpose': {
    status: 409,
    message: 'The key is for another purpose than this.',
    fix: 'Use a key whose algorithm and purpose allow it; docs/key-algorithms.md says which.',
  },
  'key.version_unknown': {
    status: 404,
    message: 'The key has no such version.',
    fix: 'Look at its versions with `trialkeep key show`.',
  },
  'key.use_logged': {
    status: 409,
    message: 'The key is use-logged: it can only do what is reported use by use.',
    fix: 'Use a key that is not use-logged.',
  },
  'key.purpose_unsuitable': {
    status: 400,
    message: 'A key of this algorithm cannot have this purpose, or can have several and none is named.',
    fix: 'Name algorithm and purpose as docs/key-algorithms.md lists them together.',
  },
  'key.legacy_reason_required': {
    status: 400,
    message: 'The algorithm is a legacy exception, and no reason for it is given.',
    fix: 'Use RSA_3072 or longer, or say why a partner can do nothing else.',
  },
  'key.algorithm_unapproved': {
    status: 409,
    message: 'The algorithm is not approved by FIPS, and this installation runs the regulated profile.',
    fix: 'Use an approved algorithm of the same purpose; docs/key-algorithms.md lists them.',
  },
  'signature.algorithm_unsuitable': {
    status: 400,
    message: 'A key of this algorithm does not sign in this way.',
    fix: 'Leave the signature algorithm out, or name one that docs/key-algorithms.md lists for the key.',
  },
  'signature.input_invalid': {
    status: 400,
    message: 'What is to be signed is not given in a form that the algorithm takes.',
    fix: 'Give the message, of at most 4,096 bytes; or for RSA, in its place, its digest under the hash of the algorithm.',
  },
  'agreement.public_key_unsuitable': {
    status: 400,
    message: "The other side's public key is not one that this key can agree with.",
    fix: 'Give a public key of the same algorithm as SubjectPublicKeyInfo in DER, with an uncompressed point.',
  },
} as const satisfies Record<string, ErrorDefinition>;
