import type PDFDocument from 'pdfkit';
import { cellPadding, page, type Box, type Placed, type Table, type Text } from './layout.ts';
import { styles, type Typefaces } from './typefaces.ts';

type Document = InstanceType<typeof PDFDocument>;
type Element = ReturnType<Document['struct']>;

/** What stands above and below the content of every page. */
export type Margins = {
  readonly title: string;
  readonly origin: string;
  readonly hash: string;
  readonly foot: string;
};

const ink = {
  text: '#1a1f26',
  faint: '#5b6673',
  rule: '#c4ccd6',
  head: '#eef1f5',
  accent: '#0b4f6c',
} as const;

/** Draws placed boxes with their tags (ISO 32000-1 section 14.8), which a reader of the screen goes by. */
export class Artist {
  readonly #document: Document;
  readonly #typefaces: Typefaces;
  readonly #root: Element;
  /** The list or table that the last box belonged to. */
  #open: { readonly of: object; readonly element: Element } | undefined;

  constructor(document: Document, typefaces: Typefaces) {
    this.#document = document;
    this.#typefaces = typefaces;
    this.#root = document.struct('Document');
    document.addStructure(this.#root);
  }

  /** One page; `number` from 1 on. */
  drawPage(placed: readonly Placed[], margins: Margins, number: number, pages: number): void {
    this.#document.addPage();
    this.#margins(margins, `Page ${number} of ${pages}`);
    for (const { box, y, head } of placed) this.#box(box, y, head);
  }

  /** Ends the structure; nothing can be drawn any more. */
  end(): void {
    this.#close();
    this.#root.end();
  }

  #box({ content, height }: Box, y: number, head: boolean): void {
    if (content.type === 'fact') {
      const list = this.#opened(content.list, 'L');
      const item = this.#child(list, 'LI');
      this.#marked(this.#child(item, 'Lbl'), () => this.#text(content.name, y + 0.5, ink.faint));
      this.#marked(this.#child(item, 'LBody'), () => this.#text(content.value, y, ink.text));
      item.end();
      return;
    }
    if (content.type === 'row') {
      this.#row(content.cells, content.table, { y, height, head });
      return;
    }
    this.#close();
    const tag = { title: 'H1', heading: 'H2', paragraph: 'P' }[content.type];
    const color = content.type === 'paragraph' ? ink.text : ink.accent;
    this.#marked(this.#child(this.#root, tag), () => this.#text(content.text, y, color));
  }

  #row(cells: readonly Text[], table: Table, place: { y: number; height: number; head: boolean }): void {
    const isFirst = this.#open?.of !== table;
    const element = this.#opened(table, 'Table');
    if (place.head) this.#head(table, place.y, isFirst ? element : undefined);
    const y = place.y + (place.head ? table.headHeight : 0);
    const row = this.#child(element, 'TR');
    for (const cell of cells) {
      this.#marked(this.#child(row, 'TD'), () => this.#text(cell, y + cellPadding, ink.text));
    }
    row.end();
    this.#rule(y + place.height, 0.4);
  }

  /** The head of a table: part of its structure once, and repeated for the eye on the pages behind. */
  #head(table: Table, y: number, element: Element | undefined): void {
    this.#artifact('Layout', () => {
      this.#document.rect(page.left, y, page.right - page.left, table.headHeight).fill(ink.head);
    });
    if (element === undefined) {
      this.#artifact('Pagination', () =>
        table.head.forEach((cell) => this.#text(cell, y + cellPadding, ink.faint)),
      );
    } else {
      const row = this.#child(element, 'TR');
      for (const cell of table.head) {
        const th = this.#document.struct('TH', { scope: 'Column' } as object);
        row.add(th);
        this.#marked(th, () => this.#text(cell, y + cellPadding, ink.faint));
      }
      row.end();
    }
    this.#rule(y + table.headHeight, 0.8);
  }

  #margins({ title, origin, hash, foot }: Margins, pageOf: string): void {
    const line = (
      text: string,
      style: 'margin' | 'marginStrong' | 'marginMono',
      y: number,
      right = false,
    ): void => {
      const width = page.right - page.left;
      const shown = this.#typefaces.lines(text, style, width * (right ? 0.4 : 0.75))[0] ?? '';
      const x = right ? page.right - this.#typefaces.width(shown, style) : page.left;
      this.#text({ lines: [shown], style, x, width }, y, ink.faint);
    };
    this.#artifact('Pagination', () => {
      line(title, 'marginStrong', 36);
      line('Evidence document', 'margin', 36, true);
      line(origin, 'margin', 46);
      line(`SHA-256 ${hash}`, 'marginMono', 56);
      line(foot, 'margin', 798);
      line(pageOf, 'marginStrong', 798, true);
    });
    this.#rule(68, 0.8);
    this.#rule(792, 0.8);
  }

  #text({ lines, style, x }: Text, y: number, color: string): void {
    this.#typefaces.use(style);
    this.#document.fillColor(color);
    const { leading } = styles[style];
    lines.forEach((text, i) => {
      if (text !== '') this.#document.text(text, x, y + i * leading, { lineBreak: false });
    });
  }

  #rule(y: number, width: number): void {
    this.#artifact('Layout', () => {
      this.#document.lineWidth(width).moveTo(page.left, y).lineTo(page.right, y).stroke(ink.rule);
    });
  }

  #artifact(type: 'Pagination' | 'Layout', draw: () => void): void {
    this.#document.markContent('Artifact', { type });
    draw();
    this.#document.endMarkedContent();
  }

  #marked(element: Element, draw: () => void): void {
    element.add(this.#document.markStructureContent(this.#tagOf(element)));
    draw();
    this.#document.endMarkedContent();
    element.end();
  }

  #tagOf(element: Element): string {
    return (element as unknown as { dictionary: { data: { S: string } } }).dictionary.data.S;
  }

  #child(parent: Element, tag: string): Element {
    const element = this.#document.struct(tag);
    parent.add(element);
    return element;
  }

  #opened(of: object, tag: string): Element {
    if (this.#open?.of === of) return this.#open.element;
    this.#close();
    const element = this.#child(this.#root, tag);
    this.#open = { of, element };
    return element;
  }

  #close(): void {
    this.#open?.element.end();
    this.#open = undefined;
  }
}
