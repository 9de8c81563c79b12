import type { ErrorDefinition } from './error-definition.ts';

/** What goes wrong with keys that are made in an HSM, and stay there. */
export const keyProtectionErrors = {
  'key.module_unreachable': {
    status: 503,
    message: 'The HSM that keeps the key does not answer, refuses its PIN, or is not configured here.',
    fix: 'Try again later; whoever runs the server sees the reason in its log (docs/how-to/keys-in-an-hsm.md).',
    state: 'try-again',
  },
  'key.module_gone': {
    status: 409,
    message: 'The HSM answers, but has no longer what this version of the key was.',
    fix: "Restore the object by the vendor's means, or rotate the key: newer versions work (docs/how-to/keys-in-an-hsm.md).",
  },
  'key.hsm_required': {
    status: 409,
    message: 'Keys of a system of this type have to be made in an HSM.',
    fix: 'Leave the protection out or name hsm; where no HSM is configured, docs/how-to/keys-in-an-hsm.md says how.',
  },
  'key.hsm_missing': {
    status: 409,
    message: 'No HSM for keys is configured here.',
    fix: 'Have one configured as docs/how-to/keys-in-an-hsm.md says, or make a software key.',
  },
  'key.hsm_unsupported': {
    status: 400,
    message: 'A key of this algorithm and purpose cannot be made in the HSM.',
    fix: 'Take one that docs/how-to/keys-in-an-hsm.md lists.',
  },
  'key.resident': {
    status: 409,
    message: 'The key stays in an HSM: nothing that needs its material here is done with it.',
    fix: 'Use a software key for this, or decrypt and encrypt again, which the HSM takes part in.',
  },
} as const satisfies Record<string, ErrorDefinition>;
