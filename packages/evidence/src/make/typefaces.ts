import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import type PDFDocument from 'pdfkit';

type Document = InstanceType<typeof PDFDocument>;

/** The styles of text in a document; sizes in points. */
export const styles = {
  title: { face: 'semibold', size: 19, leading: 24 },
  heading: { face: 'semibold', size: 11, leading: 15 },
  body: { face: 'regular', size: 9, leading: 13 },
  strong: { face: 'semibold', size: 8, leading: 11.5 },
  cell: { face: 'regular', size: 7.5, leading: 10 },
  cellMono: { face: 'mono', size: 6.5, leading: 10 },
  mono: { face: 'mono', size: 8, leading: 11.5 },
  margin: { face: 'regular', size: 7, leading: 9 },
  marginStrong: { face: 'semibold', size: 7, leading: 9 },
  marginMono: { face: 'mono', size: 6, leading: 9 },
} as const satisfies Record<string, { face: Face; size: number; leading: number }>;
export type Style = keyof typeof styles;

/** IBM Plex has Latin, Greek and Cyrillic; the monospaced one, which is for ids and hashes, no Greek. */
const faces = {
  regular: ['ibm-plex-sans', '400Regular', 'IBMPlexSans'],
  semibold: ['ibm-plex-sans', '600SemiBold', 'IBMPlexSans'],
  mono: ['ibm-plex-mono', '400Regular', 'IBMPlexMono'],
} as const;
type Face = keyof typeof faces;
type FaceFile = readonly [family: string, weight: string, name: string];

/** What pdfkit holds a font by; its types leave it out. */
type Embedded = { readonly font: { hasGlyphForCodePoint(codePoint: number): boolean } };

const loaded = new Map<Face, Promise<Buffer>>();

function load(face: Face): Promise<Buffer> {
  const font = loaded.get(face) ?? readFont(faces[face]);
  loaded.set(face, font);
  return font;
}

/** fontkit looks at the box of an empty glyph, which may begin where the file ends. */
async function readFont([family, weight, name]: FaceFile): Promise<Buffer> {
  const file = `@expo-google-fonts/${family}/${weight}/${name}_${weight}.ttf`;
  const path = createRequire(import.meta.url).resolve(file);
  return Buffer.concat([await readFile(path), Buffer.alloc(16)]);
}

/** Measures and breaks text in the fonts of one document. */
export class Typefaces {
  readonly #document: Document;
  readonly #shown = new Map<string, boolean>();

  private constructor(document: Document) {
    this.#document = document;
  }

  static async of(document: Document): Promise<Typefaces> {
    for (const face of Object.keys(faces) as Face[]) document.registerFont(face, await load(face));
    return new Typefaces(document);
  }

  /** Makes a style the current one of the document. */
  use(style: Style): void {
    const { face, size } = styles[style];
    this.#document.font(face).fontSize(size);
  }

  width(text: string, style: Style): number {
    this.use(style);
    return this.#document.widthOfString(text);
  }

  /** The lines of a text in a width, points; a word that does not fit is broken anywhere. */
  lines(text: string, style: Style, width: number): string[] {
    return text.split('\n').flatMap((line) => this.#broken(this.#visible(line, style), style, width));
  }

  #broken(text: string, style: Style, width: number): string[] {
    const lines: string[] = [];
    let line = '';
    for (const word of text.split(' ')) {
      const longer = line === '' ? word : `${line} ${word}`;
      if (this.width(longer, style) <= width) {
        line = longer;
        continue;
      }
      if (line !== '') lines.push(line);
      line = word;
      while (this.width(line, style) > width) {
        const fitting = this.#fitting(line, style, width);
        lines.push(fitting);
        line = line.slice(fitting.length);
      }
    }
    lines.push(line);
    return lines;
  }

  /** The longest beginning that fits, at least one character. */
  #fitting(word: string, style: Style, width: number): string {
    const characters = Array.from(word);
    let [fits, tooMany] = [1, characters.length];
    while (tooMany - fits > 1) {
      const middle = Math.floor((fits + tooMany) / 2);
      if (this.width(characters.slice(0, middle).join(''), style) <= width) fits = middle;
      else tooMany = middle;
    }
    return characters.slice(0, fits).join('');
  }

  /** What the font has no glyph for is shown as its code point. */
  #visible(text: string, style: Style): string {
    let visible = '';
    for (const character of text) {
      const codePoint = character.codePointAt(0) ?? 0;
      visible += this.#has(codePoint, style)
        ? character
        : `[U+${codePoint.toString(16).toUpperCase().padStart(4, '0')}]`;
    }
    return visible;
  }

  #has(codePoint: number, style: Style): boolean {
    const name = `${styles[style].face} ${codePoint}`;
    const known = this.#shown.get(name);
    if (known !== undefined) return known;
    this.use(style);
    const { font } = Reflect.get(this.#document, '_font') as Embedded;
    const isShown = font.hasGlyphForCodePoint(codePoint);
    this.#shown.set(name, isShown);
    return isShown;
  }
}
