import type { Severity } from '@trialkeep/ledger';
import type { ErrorText } from '../errors.ts';

/** What a kind of finding says, how bad it is, and what to do. */
export type FindingText = ErrorText & { readonly severity: Severity };

/** Where in an export it is: an entry of the log, from 0, or a line of the file beside it, from 1. */
export interface ExportPlace {
  readonly index?: number;
  readonly line?: number;
}

export interface ExportFinding<Code extends string> extends ExportPlace {
  readonly code: Code;
  readonly severity: Severity;
  readonly sentence: string;
}

/** At most so many are listed; the rest is counted. */
const maxFindings = 1000;

/** Collects what is found about a file beside an exported log, in bounded memory. */
export class ExportFindings<Code extends string> {
  readonly list: ExportFinding<Code>[] = [];
  omitted = 0;
  /** Whether any finding, listed or not, is a failure. */
  failed = false;
  readonly #texts: Readonly<Record<Code, FindingText>>;
  readonly #file: string;

  /** @param file what its lines are lines of, such as `signatures` */
  constructor(texts: Readonly<Record<Code, FindingText>>, file: string) {
    this.#texts = texts;
    this.#file = file;
  }

  add(code: Code, place: ExportPlace = {}): void {
    const { severity, message } = this.#texts[code];
    if (severity === 'failure') this.failed = true;
    if (this.list.length === maxFindings) this.omitted++;
    else this.list.push({ code, severity, sentence: this.#sentence(message, place), ...place });
  }

  #sentence(message: string, { index, line }: ExportPlace): string {
    const places = [
      ...(index === undefined ? [] : [`entry ${index}`]),
      ...(line === undefined ? [] : [`line ${line} of the ${this.#file}`]),
    ];
    const text = places.length === 0 ? message : `${places.join(', ')}: ${message}`;
    return `${text.slice(0, 1).toUpperCase()}${text.slice(1)}.`;
  }
}
