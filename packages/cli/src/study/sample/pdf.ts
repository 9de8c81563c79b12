/** A page of text, already broken into lines, or a scanned image that fills the page. */
export type Page = { readonly lines: readonly string[] } | { readonly scan: Scan };

/** An 8-bit greyscale image, rows from the top. */
export interface Scan {
  readonly width: number;
  readonly height: number;
  readonly pixels: Buffer;
}

/** A4, in points of 1/72 inch. */
const pageWidth = 595;
const pageHeight = 842;
const margin = 56;
const leading = 14;
/** What fits between the margins. */
export const linesPerPage = 52;
export const charactersPerLine = 88;

/**
 * A PDF 1.7 file (ISO 32000-1) of those pages. Streams are not compressed: zlib's output differs from one build to the next, and the
 * file must not. Lines in ASCII are set in Helvetica; all others in a Japanese font of the viewer's, which has the Latin letters of
 * Europe as well, as UTF-16.
 */
export function pdf(title: string, pages: readonly Page[]): Buffer {
  const objects = new ObjectFile();
  const pageNumbers = pages.map((_, at) => firstPage + at * objectsPerPage);
  objects.add(catalog, `<< /Type /Catalog /Pages ${pageTree} 0 R >>`);
  objects.add(
    pageTree,
    `<< /Type /Pages /Count ${pages.length} /Kids [${pageNumbers.map((number) => `${number} 0 R`).join(' ')}] >>`,
  );
  objects.add(information, `<< /Title <FEFF${utf16Hex(title)}> /Producer (Trialkeep sample study) >>`);
  addFonts(objects);
  for (const [at, page] of pages.entries()) addPage(objects, firstPage + at * objectsPerPage, page);
  return objects.finish();
}

/** Object numbers. Each page has three: the page, what is drawn on it, its image (or nothing). */
const catalog = 1;
const pageTree = 2;
const information = 3;
const asciiFont = 4;
const unicodeFont = 5;
const unicodeGlyphs = 6;
const unicodeDescriptor = 7;
const firstPage = 8;
const objectsPerPage = 3;

function addFonts(objects: ObjectFile): void {
  objects.add(asciiFont, '<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>');
  objects.add(
    unicodeFont,
    '<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiKakuGo-W5-UniJIS-UTF16-H /Encoding /UniJIS-UTF16-H ' +
      `/DescendantFonts [${unicodeGlyphs} 0 R] >>`,
  );
  objects.add(
    unicodeGlyphs,
    '<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HeiseiKakuGo-W5 /CIDSystemInfo ' +
      `<< /Registry (Adobe) /Ordering (Japan1) /Supplement 6 >> /FontDescriptor ${unicodeDescriptor} 0 R >>`,
  );
  objects.add(
    unicodeDescriptor,
    '<< /Type /FontDescriptor /FontName /HeiseiKakuGo-W5 /Flags 4 /FontBBox [-92 -250 1010 922] /ItalicAngle 0 ' +
      '/Ascent 752 /Descent -221 /CapHeight 737 /StemV 114 >>',
  );
}

function addPage(objects: ObjectFile, number: number, page: Page): void {
  const head = `/Type /Page /Parent ${pageTree} 0 R /MediaBox [0 0 ${pageWidth} ${pageHeight}] /Contents ${number + 1} 0 R`;
  if ('lines' in page) {
    const fonts = `/F1 ${asciiFont} 0 R /F2 ${unicodeFont} 0 R`;
    objects.add(number, `<< ${head} /Resources << /Font << ${fonts} >> >> >>`);
    objects.addStream(number + 1, '', Buffer.from(typeset(page.lines), 'latin1'));
    return;
  }
  const { width, height, pixels } = page.scan;
  objects.add(number, `<< ${head} /Resources << /XObject << /Scan ${number + 2} 0 R >> >> >>`);
  objects.addStream(number + 1, '', Buffer.from(`q ${pageWidth} 0 0 ${pageHeight} 0 0 cm /Scan Do Q\n`));
  objects.addStream(
    number + 2,
    `/Type /XObject /Subtype /Image /Width ${width} /Height ${height} /ColorSpace /DeviceGray /BitsPerComponent 8`,
    pixels,
  );
}

function typeset(lines: readonly string[]): string {
  const begin = `BT ${leading} TL ${margin} ${pageHeight - margin} Td`;
  return [begin, ...lines.map(typesetLine), 'ET', ''].join('\n');
}

function typesetLine(line: string): string {
  if (line === '') return 'T*';
  if (/^[\x20-\x7e]*$/.test(line)) return `/F1 10 Tf (${line.replace(/[\\()]/g, '\\$&')}) Tj T*`;
  return `/F2 10 Tf <${utf16Hex(line)}> Tj T*`;
}

function utf16Hex(text: string): string {
  return Buffer.from(text, 'utf16le').swap16().toString('hex').toUpperCase();
}

/** Writes numbered objects one after the other and, at the end, the table of where each begins (ISO 32000-1, 7.5). */
class ObjectFile {
  readonly #parts: Buffer[] = [];
  readonly #offsets = new Map<number, number>();
  #bytes = 0;

  constructor() {
    // The comment of four bytes above 127 tells programs that the file is not text.
    this.#write(Buffer.from('%PDF-1.7\n%\xe2\xe3\xcf\xd3\n', 'latin1'));
  }

  add(number: number, body: string): void {
    this.#offsets.set(number, this.#bytes);
    this.#write(Buffer.from(`${number} 0 obj\n${body}\nendobj\n`, 'latin1'));
  }

  addStream(number: number, entries: string, content: Buffer): void {
    this.#offsets.set(number, this.#bytes);
    this.#write(
      Buffer.from(`${number} 0 obj\n<< ${entries} /Length ${content.length} >>\nstream\n`, 'latin1'),
    );
    this.#write(content);
    this.#write(Buffer.from('\nendstream\nendobj\n'));
  }

  finish(): Buffer {
    const size = Math.max(...this.#offsets.keys()) + 1;
    const table = [`xref\n0 ${size}\n`, '0000000000 65535 f \n'];
    for (let number = 1; number < size; number++) {
      const offset = this.#offsets.get(number);
      table.push(
        offset === undefined ? '0000000000 00001 f \n' : `${String(offset).padStart(10, '0')} 00000 n \n`,
      );
    }
    const trailer = `trailer\n<< /Size ${size} /Root ${catalog} 0 R /Info ${information} 0 R >>\n`;
    this.#write(Buffer.from(`${table.join('')}${trailer}startxref\n${this.#bytes}\n%%EOF\n`));
    return Buffer.concat(this.#parts);
  }

  #write(part: Buffer): void {
    this.#parts.push(part);
    this.#bytes += part.length;
  }
}
