import { EvidenceError } from '../errors.ts';

/** A value of a PDF file, ISO 32000-1 section 7.3, as far as evidence documents use them. Texts are bytes as Latin-1. */
export type PdfValue =
  null | boolean | number | PdfText | PdfName | PdfReference | readonly PdfValue[] | PdfDictionary;
export type PdfText = { readonly text: string };
export type PdfName = { readonly name: string };
export type PdfReference = { readonly reference: number };
export type PdfDictionary = ReadonlyMap<string, PdfValue>;

/** Deepest nesting of arrays and dictionaries. */
const maxDepth = 16;

/** Reads one object after another out of a piece of a file. Every byte comes from an attacker. */
export class PdfParser {
  readonly #source: string;
  #at = 0;

  /** @param source the bytes as Latin-1 */
  constructor(source: string) {
    this.#source = source;
  }

  /** Where the next byte is read, from the beginning of the source. */
  get position(): number {
    return this.#at;
  }

  /** Reads exactly these characters. */
  expect(text: string): void {
    if (!this.#source.startsWith(text, this.#at)) throw malformed();
    this.#at += text.length;
  }

  /** Whether these characters are next; reads them where they are. */
  take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  /** A whole number as PDF writes those that are not negative. */
  integer(): number {
    const match = this.#match(/(?:0|[1-9][0-9]{0,9})(?![0-9.])/y);
    return Number(match);
  }

  value(depth = 0): PdfValue {
    if (depth > maxDepth) throw malformed();
    this.#skipSpaces();
    if (this.take('<<')) return this.#dictionary(depth);
    if (this.take('[')) return this.#array(depth);
    if (this.take('(')) return { text: this.#literal() };
    if (this.take('<')) return { text: this.#hexadecimal() };
    if (this.take('/')) return { name: this.#name() };
    return this.#word();
  }

  #dictionary(depth: number): PdfDictionary {
    const members = new Map<string, PdfValue>();
    for (;;) {
      this.#skipSpaces();
      if (this.take('>>')) return members;
      this.expect('/');
      const name = this.#name();
      // A name that stands there twice is read differently by different readers.
      if (members.has(name)) throw malformed();
      members.set(name, this.value(depth + 1));
    }
  }

  #array(depth: number): PdfValue[] {
    const values: PdfValue[] = [];
    for (;;) {
      this.#skipSpaces();
      if (this.take(']')) return values;
      values.push(this.value(depth + 1));
    }
  }

  #word(): PdfValue {
    const reference = /([1-9][0-9]{0,9}) 0 R(?![A-Za-z0-9])/y;
    reference.lastIndex = this.#at;
    const number = reference.exec(this.#source)?.[1];
    if (number !== undefined) {
      this.#at = reference.lastIndex;
      return { reference: Number(number) };
    }
    const word = this.#match(/[^\s()<>[\]{}/%\0]{1,32}/y);
    if (word === 'true' || word === 'false') return word === 'true';
    if (word === 'null') return null;
    if (!/^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$/.test(word)) throw malformed();
    return Number(word);
  }

  #name(): string {
    const raw = this.#match(/[^\s()<>[\]{}/%\0]{0,127}/y);
    if (/#(?![0-9A-Fa-f]{2})/.test(raw)) throw malformed();
    return raw.replace(/#([0-9A-Fa-f]{2})/g, (_, code: string) => String.fromCharCode(parseInt(code, 16)));
  }

  #literal(): string {
    const start = this.#at;
    let open = 1;
    for (; open > 0; this.#at++) {
      const character = this.#source[this.#at];
      if (character === undefined) throw malformed();
      if (character === '\\') this.#at++;
      else if (character === '(') open++;
      else if (character === ')') open--;
    }
    const raw = this.#source.slice(start, this.#at - 1);
    const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', b: '\b', f: '\f' };
    return raw.replace(/\\([^])/g, (_, code: string) => escapes[code] ?? code);
  }

  #hexadecimal(): string {
    const digits = this.#match(/(?:[0-9A-Fa-f]{2})*(?=>)/y);
    this.expect('>');
    return digits.replace(/../g, (code) => String.fromCharCode(parseInt(code, 16)));
  }

  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#source)?.[0];
    if (found === undefined) throw malformed();
    this.#at = pattern.lastIndex;
    return found;
  }

  #skipSpaces(): void {
    while (isSpace(this.#source[this.#at])) this.#at++;
  }
}

function isSpace(character: string | undefined): boolean {
  return character !== undefined && '\0\t\n\f\r '.includes(character);
}

export function malformed(detail?: string): EvidenceError {
  return new EvidenceError('evidence.pdf_malformed', detail);
}

export function isDictionary(value: PdfValue | undefined): value is PdfDictionary {
  return value instanceof Map;
}
