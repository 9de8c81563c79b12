import type { Block, Column } from '../blocks.ts';
import { styles, type Style, type Typefaces } from './typefaces.ts';

/** A4, and what of it is for the content; points, from the top left. */
export const page = { width: 595.28, height: 841.89, left: 48, right: 547.28, top: 84, bottom: 780 } as const;
const contentWidth = page.right - page.left;
const factNameWidth = 112;
export const cellPadding = 3.5;

/** Lines of text at their place in a box. */
export type Text = {
  readonly lines: readonly string[];
  readonly style: Style;
  readonly x: number;
  readonly width: number;
};

/** Something that is never divided between pages. */
export type Box = {
  readonly height: number;
  readonly before: number;
  readonly content:
    | { readonly type: 'title' | 'heading' | 'paragraph'; readonly text: Text }
    | { readonly type: 'fact'; readonly name: Text; readonly value: Text; readonly list: object }
    | { readonly type: 'row'; readonly cells: readonly Text[]; readonly table: Table };
};

/** A table, to know which rows belong together; its head stands on every page that has rows of it. */
export type Table = { readonly head: readonly Text[]; readonly headHeight: number };

/** A box at its place, y in points from the top; `head` where the table's head is to be repeated above it. */
export type Placed = { readonly box: Box; readonly y: number; readonly head: boolean };

/** Breaks blocks into boxes, and boxes into pages. */
export function layOut(blocks: readonly Block[], title: string, typefaces: Typefaces): Placed[][] {
  const titleText = textAt(typefaces, title, 'title', page.left, contentWidth);
  const first: Box = { height: heightOf(titleText), before: 0, content: { type: 'title', text: titleText } };
  return paginate([first, ...blocks.flatMap((block) => boxesOf(block, typefaces))]);
}

function paginate(boxes: readonly Box[]): Placed[][] {
  const pages: Placed[][] = [];
  let current: Placed[] = [];
  let y: number = page.top;
  let table: Table | undefined;
  const turn = (): void => {
    pages.push(current);
    current = [];
    y = page.top;
    table = undefined;
  };
  boxes.forEach((box, i) => {
    const head = headOf(box, table);
    const next = box.content.type === 'heading' ? boxes[i + 1] : undefined;
    const needed =
      box.before +
      head +
      box.height +
      (next === undefined ? 0 : next.before + next.height + headOf(next, undefined));
    if (current.length > 0 && y + needed > page.bottom) turn();
    const repeated = headOf(box, table);
    if (current.length > 0) y += box.before;
    current.push({ box, y, head: repeated > 0 });
    y += repeated + box.height;
    table = box.content.type === 'row' ? box.content.table : undefined;
  });
  pages.push(current);
  return pages;
}

/** The height of the head that has to stand above a row, where it is not there yet. */
function headOf({ content }: Box, current: Table | undefined): number {
  return content.type === 'row' && content.table !== current ? content.table.headHeight : 0;
}

function boxesOf(block: Block, typefaces: Typefaces): Box[] {
  if (block.type === 'facts') return factBoxes(block.facts, typefaces);
  if (block.type === 'table') return rowBoxes(block.columns, block.rows, typefaces);
  const isHeading = block.type === 'heading';
  const text = textAt(typefaces, block.text, isHeading ? 'heading' : 'body', page.left, contentWidth);
  return [{ height: heightOf(text), before: isHeading ? 16 : 6, content: { type: block.type, text } }];
}

function factBoxes(facts: Extract<Block, { type: 'facts' }>['facts'], typefaces: Typefaces): Box[] {
  const list = {};
  const valueX = page.left + factNameWidth + 8;
  return facts.map(({ name, value, mono }, i): Box => {
    const nameText = textAt(typefaces, name, 'strong', page.left, factNameWidth);
    const style = mono === true ? 'mono' : 'body';
    const valueText = textAt(typefaces, value, style, valueX, page.right - valueX);
    const height = Math.max(heightOf(nameText), heightOf(valueText));
    return {
      height,
      before: i === 0 ? 6 : 3,
      content: { type: 'fact', name: nameText, value: valueText, list },
    };
  });
}

function rowBoxes(
  columns: readonly Column[],
  rows: readonly (readonly string[])[],
  typefaces: Typefaces,
): Box[] {
  const places = columns.map(({ share }, i) => {
    const before = columns.slice(0, i).reduce((sum, column) => sum + column.share, 0);
    const x = page.left + (contentWidth * before) / 100 + cellPadding;
    return { x, width: (contentWidth * share) / 100 - 2 * cellPadding };
  });
  const cell = (text: string, style: Style, column: number): Text => {
    const { x, width } = places[column] ?? { x: page.left, width: contentWidth };
    return textAt(typefaces, text, style, x, width);
  };
  const head = columns.map(({ title }, i) => cell(title, 'strong', i));
  const table: Table = { head, headHeight: rowHeight(head) };
  return rows.map((row, i): Box => {
    const cells = row.map((text, column) =>
      cell(text, columns[column]?.mono === true ? 'cellMono' : 'cell', column),
    );
    return { height: rowHeight(cells), before: i === 0 ? 8 : 0, content: { type: 'row', cells, table } };
  });
}

function rowHeight(cells: readonly Text[]): number {
  return Math.max(...cells.map(heightOf)) + 2 * cellPadding;
}

function heightOf({ lines, style }: Text): number {
  return lines.length * styles[style].leading;
}

function textAt(typefaces: Typefaces, text: string, style: Style, x: number, width: number): Text {
  return { lines: typefaces.lines(text, style, width), style, x, width };
}
