import { EvidenceError } from '../errors.ts';
import { PdfParser, isDictionary, malformed, type PdfDictionary, type PdfValue } from './objects.ts';

/** Largest evidence document, bytes, and the most objects in one. */
export const maxFileBytes = 64 << 20;
const maxObjects = 200_000;

/** An object of the file: its value, and the bytes of its stream where it has one. */
export type PdfObject = { readonly value: PdfValue; readonly stream?: Uint8Array };

/** A PDF file of the one form that evidence documents have, with every byte accounted for. */
export type PdfFile = {
  /** By number, from 1 on. */
  readonly objects: ReadonlyMap<number, PdfObject>;
  readonly trailer: PdfDictionary;
};

/**
 * Reads a file whose objects fill the space between header and cross-reference table without a gap
 * (docs/formats/evidence-document.md). Whatever another PDF writer adds, changes or leaves out is refused.
 *
 * @throws EvidenceError `evidence.file_size`, `evidence.pdf_malformed`
 */
export function readPdf(file: Uint8Array): PdfFile {
  if (file.length === 0 || file.length > maxFileBytes) throw new EvidenceError('evidence.file_size');
  const tableAt = startOfTable(file);
  const { offsets, trailer } = readTable(latin1(file, tableAt, file.length), tableAt);
  const objects = new Map<number, PdfObject>();
  const order = [...offsets].sort(([, a], [, b]) => a - b);
  let at = headerLength(file);
  order.forEach(([number, offset], i) => {
    if (offset !== at) throw malformed('a gap between objects');
    at = order[i + 1]?.[1] ?? tableAt;
    objects.set(number, readObject(file, number, offset, at));
  });
  if (at !== tableAt) throw malformed('a gap between objects');
  return { objects, trailer };
}

/** The header is a version and a comment of four bytes that mark the file as binary (ISO 19005-3 section 6.1.2). */
function headerLength(file: Uint8Array): number {
  const length = 15;
  const binary = file.subarray(10, 14);
  if (latin1(file, 0, 10) !== '%PDF-1.7\n%' || !binary.every((byte) => byte >= 0x80) || file[14] !== 0x0a) {
    throw malformed('header');
  }
  return length;
}

function startOfTable(file: Uint8Array): number {
  const end = latin1(file, Math.max(0, file.length - 40), file.length);
  const match = /\nstartxref\n([1-9][0-9]{0,8})\n%%EOF\n$/.exec(end);
  const at = Number(match?.[1] ?? 0);
  if (at === 0 || at >= file.length) throw malformed('end of file');
  return at;
}

/** The cross-reference table, the trailer and the end; nothing lies behind them. */
function readTable(
  source: string,
  tableAt: number,
): { offsets: readonly (readonly [number: number, offset: number])[]; trailer: PdfDictionary } {
  const parser = new PdfParser(source);
  parser.expect('xref\n0 ');
  const count = parser.integer();
  if (count < 2 || count > maxObjects) throw malformed('number of objects');
  parser.expect('\n0000000000 65535 f \n');
  const rows = source.slice(parser.position, parser.position + (count - 1) * 20);
  if (rows.length !== (count - 1) * 20) throw malformed('cross-reference table');
  parser.expect(rows);
  const offsets = Array.from({ length: count - 1 }, (_, i) => {
    const row = /^([0-9]{10}) 00000 n \n$/.exec(rows.slice(i * 20, i * 20 + 20));
    if (row === null) throw malformed('cross-reference table');
    return [i + 1, Number(row[1])] as const;
  });
  parser.expect('trailer\n');
  const trailer = parser.value();
  parser.expect(`\nstartxref\n${tableAt}\n%%EOF\n`);
  if (!isDictionary(trailer) || parser.position !== source.length) throw malformed('trailer');
  const members = [...trailer.keys()].sort().join();
  if (members !== 'ID,Info,Root,Size' || trailer.get('Size') !== count) throw malformed('trailer');
  return { offsets, trailer };
}

function readObject(file: Uint8Array, number: number, start: number, end: number): PdfObject {
  // The dictionary is before the stream, whose length it says; streams are not read as text.
  const streamAt = indexOf(file, '\nstream\n', start, end);
  const parser = new PdfParser(latin1(file, start, streamAt ?? end));
  parser.expect(`${number} 0 obj\n`);
  const value = parser.value();
  if (streamAt === undefined) {
    parser.expect('\nendobj\n');
    if (parser.position !== end - start) throw malformed(`object ${number}`);
    return { value };
  }
  if (parser.position !== streamAt - start || !isDictionary(value)) throw malformed(`object ${number}`);
  const length = value.get('Length');
  const from = streamAt + 8;
  const to = typeof length === 'number' ? from + length : Number.NaN;
  const isWhole = Number.isSafeInteger(to) && to >= from && to < end;
  if (
    !isWhole ||
    latin1(file, to, end) !== '\nendstream\nendobj\n' ||
    value.has('Filter') ||
    value.has('F')
  ) {
    throw malformed(`stream ${number}`);
  }
  return { value, stream: file.subarray(from, to) };
}

/** Where `text` begins for the first time in a part of the file. */
function indexOf(file: Uint8Array, text: string, start: number, end: number): number | undefined {
  const first = text.charCodeAt(0);
  for (
    let at = file.indexOf(first, start);
    at >= 0 && at + text.length <= end;
    at = file.indexOf(first, at + 1)
  ) {
    if (latin1(file, at, at + text.length) === text) return at;
  }
  return undefined;
}

const decoder = new TextDecoder('latin1');

/** Bytes as characters of the same number: `latin1` of the platform is windows-1252, which keeps ASCII and the length. */
function latin1(file: Uint8Array, start: number, end: number): string {
  return decoder.decode(file.subarray(start, Math.max(start, end)));
}
