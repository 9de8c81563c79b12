import type { Severity } from '@trialkeep/ledger';
import type { ErrorText } from '../errors.ts';

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
} as const satisfies Record<string, ErrorText & { readonly severity: Severity }>;
export type SignatureFindingCode = keyof typeof signatureFindingTexts;

/** Where in the export it is: an entry of the log, from 0, or a line of the file, from 1. */
export interface SignaturePlace {
  readonly index?: number;
  readonly line?: number;
}

export interface SignatureFinding extends SignaturePlace {
  readonly code: SignatureFindingCode;
  readonly severity: Severity;
  readonly sentence: string;
}

/** At most so many are listed; the rest is counted. */
const maxFindings = 1000;

/** Collects findings in bounded memory. */
export class SignatureFindings {
  readonly list: SignatureFinding[] = [];
  omitted = 0;
  /** Whether any finding, listed or not, is a failure. */
  failed = false;

  add(code: SignatureFindingCode, place: SignaturePlace = {}): void {
    const { severity, message } = signatureFindingTexts[code];
    if (severity === 'failure') this.failed = true;
    if (this.list.length === maxFindings) this.omitted++;
    else this.list.push({ code, severity, sentence: sentenceOf(message, place), ...place });
  }
}

function sentenceOf(message: string, { index, line }: SignaturePlace): string {
  const places = [
    ...(index === undefined ? [] : [`entry ${index}`]),
    ...(line === undefined ? [] : [`line ${line} of the signatures`]),
  ];
  const text = places.length === 0 ? message : `${places.join(', ')}: ${message}`;
  return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
}
