import { csvHead, csvLine } from './csv.ts';
import type { PlacedEntry } from './entry.ts';
import { fhirAuditEvent } from './fhir.ts';
import { ocsfEvent } from './ocsf.ts';

/** The forms in which entries leave for other tools; each is written entry by entry. */
export const entryFormats = ['csv', 'jsonl', 'fhir', 'ocsf'] as const;
export type EntryFormat = (typeof entryFormats)[number];

/** Writes entries in one form: the head once, then each entry. */
export interface EntryWriter {
  readonly head: string;
  line(placed: PlacedEntry): string;
}

/**
 * `csv`: RFC 4180. `jsonl`: an object a line, with `index`, `kind` and the `entry`. `fhir`: FHIR R4 AuditEvent, as newline-delimited JSON.
 * `ocsf`: OCSF events, one a line.
 */
export function entryWriter(format: EntryFormat, origin: string): EntryWriter {
  switch (format) {
    case 'csv':
      return { head: csvHead(), line: csvLine };
    case 'jsonl':
      return {
        head: '',
        line: ({ index, kind, text }) => `{"entry":${text},"index":${index},"kind":"${kind}"}\n`,
      };
    case 'fhir':
      return { head: '', line: (placed) => `${JSON.stringify(fhirAuditEvent(placed, origin))}\n` };
    case 'ocsf':
      return { head: '', line: (placed) => `${JSON.stringify(ocsfEvent(placed, origin))}\n` };
  }
}
