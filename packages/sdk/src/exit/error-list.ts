import type { ErrorText } from '../error-list.ts';

/** Errors of packages of tenants that leave. */
export const exitErrors = {
  'exit.package_present': {
    message: 'The folder has a package already.',
    fix: 'Name an empty folder; verify what is in this one with `trialkeep exit verify`.',
  },
  'exit.package_unwritable': {
    message: 'The package cannot be written, so there is none.',
    fix: 'Check space and rights of the folder, then run the copy again: it begins anew.',
  },
  'exit.package_unreadable': {
    message: 'The package cannot be read.',
    fix: 'Name the folder that has manifest.json, with rights to read all of it.',
  },
  'exit.package_invalid': {
    message: 'The package is not what was copied out: it is damaged, not complete, or of another tenant.',
    fix: 'Take another copy of the folder; before the keys are destroyed the tenant can be copied out again.',
  },
  'exit.recipient_other': {
    message: 'The package is sealed to another escrow key.',
    fix: 'Use the private file of the pair whose public file is recipient.json in the folder.',
  },
} as const satisfies Readonly<Record<string, ErrorText>>;
