import type { ErrorDefinition } from './error-definition.ts';

/** What goes wrong with a tenant's own root of trust, and with who else can open the tenant's data. */
export const tenantRootErrors = {
  'tenant.root_refused': {
    status: 423,
    message: "The tenant's own root of trust refuses the tenant's key, and nothing under it can be used.",
    fix: 'Ask whoever holds that root; where it was no decision, give the server back its rights or the key (docs/how-to/hold-your-own-key.md).',
    state: 'sealed',
  },
  'tenant.root_unreachable': {
    status: 503,
    message:
      "The tenant's own root of trust does not answer, and nothing under the tenant's key can be used.",
    fix: 'Try again; restore the way to it where it stays so (docs/how-to/hold-your-own-key.md).',
    state: 'try-again',
  },
  'tenant.root_unknown': {
    status: 404,
    message: 'The operator has put no such root of trust in place for this tenant.',
    fix: 'Have it made with `trialkeep self root make-tenant`, and its folder copied to every node.',
  },
  'tenant.root_unsuitable': {
    status: 409,
    message: "That root of trust cannot hold a tenant's key.",
    fix: 'Name one that opens by itself; under the regulated profile a module with its certificate.',
  },
  'tenant.root_current': {
    status: 409,
    message: "The tenant's key is there already.",
    fix: 'Name another root; the lease is set with `trialkeep tenant-root set-lease`.',
  },
  'tenant.root_none': {
    status: 409,
    message: 'The tenant has no root of trust of its own.',
    fix: 'Move its key to one first, with `trialkeep tenant-root move`.',
  },
  'second_recipient.unknown': {
    status: 404,
    message: 'The tenant has no such recipient.',
    fix: 'List the recipients with `trialkeep second-recipient list`.',
  },
  'second_recipient.removed': {
    status: 409,
    message: 'The recipient has been removed already.',
    fix: 'List the recipients with `trialkeep second-recipient list`.',
  },
  'second_recipient.too_many': {
    status: 409,
    message: 'So many recipients cannot be registered.',
    fix: 'Remove one that is not needed any more.',
  },
  'second_recipient.key_invalid': {
    status: 400,
    message: 'That is no public key of the suite that is named.',
    fix: 'Give the public key as `trialkeep escrow` or docs/formats/hpke-recipient.md makes it, and its suite.',
  },
  'second_recipient.required': {
    status: 409,
    message:
      'What is of this kind must be readable by a second, independent recipient, and this request leaves that one out.',
    fix: 'Ask for a data key with `recipients` set, and keep what comes for them beside the data; the SDK does it (docs/how-to/hold-your-own-key.md).',
  },
  'second_recipient.lost': {
    status: 409,
    message: 'The public key of a recipient that has to be able to read this was lost with the database.',
    fix: 'Register the recipient anew, then remove the lost one.',
  },
} as const satisfies Record<string, ErrorDefinition>;
