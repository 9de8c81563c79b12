import type { ErrorDefinition } from './error-definition.ts';

/** What revocation, its drills and cryptoperiods answer. */
export const revocationErrors = {
  'study.closed': {
    status: 403,
    message: 'The study was closed by an emergency revocation: no key is used in its context.',
    fix: 'Data recovery reads with a reason; two people can have the study reopened.',
  },
  'study.not_closed': {
    status: 409,
    message: 'The study is not closed, or that closure is not the one that holds now.',
    fix: 'Preview its revocation, and give the time at which it says that the study was closed.',
  },
  'vendor.unknown': {
    status: 404,
    message: 'No system of the tenant names that vendor.',
    fix: 'List the systems and write the vendor as they name it.',
  },
  'revocation.preview_outdated': {
    status: 409,
    message: 'What would end is not what the preview said any more. Nothing was revoked.',
    fix: 'Look at a new preview, or revoke without one.',
  },
  'drill.unknown': {
    status: 404,
    message: 'The tenant has no such drill.',
    fix: 'List the drills and use the id of one.',
  },
  'drill.running': {
    status: 409,
    message: 'The drill has not ended.',
    fix: 'Wait until it has, some seconds; the list of drills shows it.',
  },
  'key.recipient_period_over': {
    status: 403,
    message: 'The time for which this version of the key may process is over.',
    fix: 'Have data recovery read it with a reason, or a custodian lengthen the period.',
  },
} as const satisfies Readonly<Record<string, ErrorDefinition>>;
