import type { ExportFinding, FindingText } from './export-finding.ts';

/** Everything that the verifier can find about the signatures of an export. docs/errors.md is generated from it. */
export const signatureFindingTexts = {
  'signature.document_altered': {
    severity: 'failure',
    message: 'the document is not the one that was signed',
    fix: 'Disregard the document: the signature is under another one.',
  },
  'signature.document_missing': {
    severity: 'warning',
    message: 'the document that was signed is not there any more',
    fix: 'Look for it in an earlier export; the signature itself stands.',
  },
  'signature.foreign': {
    severity: 'failure',
    message: 'the record stands in no entry of the verified log: it was altered, or belongs to another log',
    fix: 'Disregard the record, and take it from another export.',
  },
  'signature.malformed': {
    severity: 'failure',
    message: 'the line is not a signature record with its document',
    fix: 'Take the file from another export of the same log.',
  },
  'signature.mismatch': {
    severity: 'failure',
    message: 'the record says something else than the entry that it stands in',
    fix: 'Report it: the server that wrote both contradicts itself.',
  },
  'signature.missing': {
    severity: 'failure',
    message: 'it was signed, and the record of the signature is not there',
    fix: 'Take the record from another export; if none has it, somebody removed it from the database.',
  },
  'signature.repeated': {
    severity: 'failure',
    message: 'the record stands there before',
    fix: 'Disregard the second one.',
  },
  'signatures.not_exported': {
    severity: 'warning',
    message: 'entries are signed, and the export has no signature records; they were not checked',
    fix: 'Export again with a credential that may read signatures.',
  },
} as const satisfies Record<string, FindingText>;
export type SignatureFindingCode = keyof typeof signatureFindingTexts;

export type SignatureFinding = ExportFinding<SignatureFindingCode>;
