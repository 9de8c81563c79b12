import type { ExportFinding, FindingText } from './export-finding.ts';

/** Everything that the verifier can find about the timestamps of an export. docs/errors.md is generated from it. */
export const timestampFindingTexts = {
  'timestamp.malformed': {
    severity: 'failure',
    message: 'a file of the timestamps is not what an export writes, or its counterpart is missing',
    fix: 'Take the folder "timestamps" from another export of the same log.',
  },
  'timestamp.foreign': {
    severity: 'failure',
    message: 'the stamped checkpoint that ends here is not proven to be one of this log',
    fix: 'Treat it as evidence of a second history, and compare with a mirror; take the timestamp from another export.',
  },
  'timestamp.invalid': {
    severity: 'failure',
    message: 'the timestamp of the checkpoint that ends here does not verify',
    fix: 'Treat the timestamp as altered, and take it from another export.',
  },
  'timestamp.certificate': {
    severity: 'failure',
    message:
      'the certificate under the timestamp of the checkpoint that ends here was not good for time-stamping then',
    fix: 'Disregard the timestamp; later ones cover the same entries.',
  },
  'timestamp.untrusted': {
    severity: 'failure',
    message: 'the timestamp of the checkpoint that ends here leads to none of the given roots',
    fix: 'Check that the roots are those of the authority; give those of every authority that has stamped the log.',
  },
} as const satisfies Record<string, FindingText>;
export type TimestampFindingCode = keyof typeof timestampFindingTexts;
export type TimestampFinding = ExportFinding<TimestampFindingCode>;
