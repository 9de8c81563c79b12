/** What a reader of an error sees: one sentence, and what to do about it. */
export type ErrorText = { readonly message: string; readonly fix: string };

export type EvidenceErrorCode =
  | 'evidence.content_malformed'
  | 'evidence.file_size'
  | 'evidence.files_unexpected'
  | 'evidence.kind_unknown'
  | 'evidence.pdf_malformed'
  | 'evidence.proof_malformed'
  | 'evidence.too_large';

/** Every error of this package. docs/errors.md is generated from it. */
export const evidenceErrors: Readonly<Record<EvidenceErrorCode, ErrorText>> = {
  'evidence.content_malformed': {
    message: 'The content of the evidence document does not have the form of its kind.',
    fix: 'Get the document again from whoever made it; if it stays so, it was altered.',
  },
  'evidence.file_size': {
    message: 'The file is larger than an evidence document can be, or empty.',
    fix: 'Pass the PDF file as it was handed over.',
  },
  'evidence.files_unexpected': {
    message: 'The files inside the PDF are not those of an evidence document.',
    fix: 'Pass the PDF file as it was handed over; other PDF files cannot be verified.',
  },
  'evidence.kind_unknown': {
    message: 'The evidence document is of a kind or version that this program does not know.',
    fix: 'Verify it with a newer version of Trialkeep.',
  },
  'evidence.pdf_malformed': {
    message:
      'The file is not a PDF of the form that Trialkeep writes: it was altered, or made by something else.',
    fix: 'Pass the file as it was handed over: not printed, signed, merged or saved again by another program.',
  },
  'evidence.proof_malformed': {
    message: 'The proof of the listed entries does not have the length that their indexes ask for.',
    fix: 'Get the document again from whoever made it; if it stays so, it was altered.',
  },
  'evidence.too_large': {
    message: 'The content is larger than an evidence document can hold.',
    fix: 'Ask for less at a time, such as a shorter time; or export the log, which has no such limit.',
  },
};

/** The one error of this package. `code` is stable; `fix` says what to do. Carries no input bytes. */
export class EvidenceError extends Error {
  readonly code: EvidenceErrorCode;
  readonly fix: string;

  /** @param detail what exactly was wrong, in words of our own, never the input itself */
  constructor(code: EvidenceErrorCode, detail?: string) {
    const { message, fix } = evidenceErrors[code];
    super(detail === undefined ? message : `${message} (${detail})`);
    this.name = 'EvidenceError';
    this.code = code;
    this.fix = fix;
  }
}
