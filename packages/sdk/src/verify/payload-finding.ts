import type { ExportFinding, FindingText } from './export-finding.ts';

/** Everything that the verifier can find about the payloads of an export. docs/errors.md is generated from it. */
export const payloadFindingTexts = {
  'payload.malformed': {
    severity: 'failure',
    message: 'the line is no payload, or not the next one in the order of the log',
    fix: 'Take the file from another export of the same log.',
  },
  'payload.mismatch': {
    severity: 'failure',
    message: 'the payload is not the one that the entry committed to',
    fix: 'Disregard the payload, and take it from another export.',
  },
  'payload.missing': {
    severity: 'failure',
    message: 'the export leaves the payload out, and does not say why',
    fix: 'Export again; if it stays out, ask the server for this payload alone.',
  },
  'payload.unfounded': {
    severity: 'failure',
    message: 'the payload is said to be erased or redacted, and no entry of the log says so',
    fix: 'Report it: whoever made the export hides the payload without a reason on the record.',
  },
  'payload.unexplained': {
    severity: 'warning',
    message: 'the payload is missing, or is not what was committed to, and the log does not say why',
    fix: 'Ask the security officer who removed it from the database.',
  },
} as const satisfies Record<string, FindingText>;
export type PayloadFindingCode = keyof typeof payloadFindingTexts;
export type PayloadFinding = ExportFinding<PayloadFindingCode>;
