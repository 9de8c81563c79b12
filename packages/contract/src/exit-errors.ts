import type { ErrorDefinition } from './error-definition.ts';

/** Errors of tenants that leave. */
export const exitErrors = {
  'tenant.leaving': {
    status: 423,
    message: 'The tenant is leaving, so nothing of it is changed or protected any more.',
    fix: 'Look at the exit with `trialkeep exit state`; a custodian can call it off before the keys go.',
  },
  'tenant.shredded': {
    status: 410,
    message: 'The tenant has left, and its keys are destroyed.',
    fix: 'Open the data with the package that the tenant took along: `trialkeep exit open`.',
  },
  'exit.unknown': {
    status: 404,
    message: 'The tenant has no such exit.',
    fix: 'Ask for the state of the exit, and use its id.',
  },
  'exit.state': {
    status: 409,
    message: 'The exit is not at the step that this belongs to.',
    fix: 'Ask for the state of the exit: it is begun, copied, confirmed, and then shredded, in this order.',
  },
  'exit.page': {
    status: 409,
    message: 'This is not the next page of the copy.',
    fix: 'Begin the copy anew with page 0; two copies at a time are not made.',
  },
  'exit.too_large': {
    status: 409,
    message: 'The tenant has more than one package holds.',
    fix: 'Report it: the limits are those of docs/formats/tenant-exit.md.',
  },
  'evidence.not_copied': {
    status: 409,
    message: 'The tenant has not been copied out, so there is nothing to certify.',
    fix: 'Make the certificate once the copy is complete, and again after its confirmation and after the end of the keys.',
  },
  'exit.recipient_invalid': {
    status: 400,
    message: 'The recipient is not the public file of an escrow key.',
    fix: 'Make a pair with `trialkeep escrow create`, and give its public file.',
  },
  'exit.receipt_wrong': {
    status: 400,
    message: 'The receipt is not that of the copy that was made last.',
    fix: 'Make the receipt from the folder of the last copy, with the private file of the escrow key that it is sealed to.',
  },
} as const satisfies Readonly<Record<string, ErrorDefinition>>;
