import { AliasNode, IdentifierNode, ReferenceNode, SelectAllNode } from 'kysely';
import type { OperationNode, SelectionNode } from 'kysely';
import { sdkError } from '../../errors.ts';
import type { FieldTable, Row } from '../table.ts';
import { unsupported } from './scope.ts';
import type { Scope, Source } from './scope.ts';

/** The columns of a result that come from one table with sealed columns. */
interface Part {
  readonly table: FieldTable;
  /** All of the table's columns are there, under their own names. */
  isWhole: boolean;
  /** Names in the result, by column; a column can be asked for more than once. */
  readonly names: Map<string, string[]>;
}

/** What a query gives, so far as sealed columns are concerned. */
export class ResultPlan {
  readonly #parts = new Map<string, Part>();

  /**
   * @param selections what is selected or returned
   * @throws TrialkeepError `fields.row_invalid` where what sealed columns need for opening is not selected with them,
   * `fields.query_unsupported`
   */
  constructor(selections: readonly SelectionNode[], scope: Scope) {
    for (const { selection } of selections) this.#take(selection, scope);
    for (const { table, isWhole, names } of this.#parts.values()) {
      const sealed = [...table.columns.values()].filter(({ name }) => names.has(name));
      if (isWhole || sealed.length === 0) continue;
      const plain = sealed.flatMap((column) => column.plain?.column ?? []);
      const missing = [table.rowId, ...table.contextColumns, ...plain].filter((name) => !names.has(name));
      if (missing.length > 0) {
        throw sdkError('fields.row_invalid', { detail: `select ${missing.join(', ')} of ${table.name} too` });
      }
    }
  }

  get givesSealed(): boolean {
    return [...this.#parts.values()].some(({ table, isWhole, names }) => {
      return isWhole || [...table.columns.keys()].some((name) => names.has(name));
    });
  }

  /** The names under which sealed columns are selected, other than their own. */
  get sealedNames(): string[] {
    return [...this.#parts.values()].flatMap(({ table, names }) =>
      [...table.columns.values()].flatMap(({ name, plain }) =>
        [name, plain?.column ?? ''].flatMap((column) =>
          (names.get(column) ?? []).filter((under) => under !== column),
        ),
      ),
    );
  }

  #take(selection: OperationNode, scope: Scope): void {
    if (SelectAllNode.is(selection)) {
      const [only, ...others] = scope.sources;
      if (others.length > 0) throw unsupported('all columns of several tables: say of which');
      if (only !== undefined) this.#part(only, (part) => (part.isWhole = true));
      return;
    }
    if (ReferenceNode.is(selection) && SelectAllNode.is(selection.column)) {
      const source = selection.table && scope.named(selection.table);
      if (source === undefined) throw unsupported('all columns of an unknown table');
      this.#part(source, (part) => (part.isWhole = true));
      return;
    }
    const isAlias = AliasNode.is(selection) && IdentifierNode.is(selection.alias);
    const reference = isAlias ? selection.node : selection;
    if (!ReferenceNode.is(reference)) return scope.refuseIn(selection);
    const declared = scope.resolve(reference);
    if (declared?.kind === 'kept' && declared.column.plain?.column !== columnOf(reference)) {
      throw unsupported(`${declared.column.name} in this place`);
    }
    const place =
      declared === undefined ? scope.place(reference) : { ...declared, column: columnOf(reference) };
    if (place === undefined) return;
    const name = isAlias && IdentifierNode.is(selection.alias) ? selection.alias.name : place.column;
    this.#part(place.source, ({ names }) =>
      names.set(place.column, [...(names.get(place.column) ?? []), name]),
    );
  }

  #part({ name, table }: Source, change: (part: Part) => void): void {
    if (table === undefined) return;
    const part = this.#parts.get(name) ?? { table, isWhole: false, names: new Map<string, string[]>() };
    this.#parts.set(name, part);
    change(part);
  }

  /** The rows of the result, with sealed columns opened and kept ones left out. */
  async open<R>(rows: readonly R[]): Promise<R[]> {
    const opened = rows.map((row) => ({ ...row }) as Record<string, unknown>);
    for (const part of this.#parts.values()) {
      const own = await part.table.open(opened.map((row) => ownColumns(part, row)));
      for (const [i, row] of opened.entries()) writeBack(part, row, own[i] ?? {});
    }
    return opened as R[];
  }
}

function columnOf({ column }: ReferenceNode): string {
  return SelectAllNode.is(column) ? '' : column.column.name;
}

/** A row of a result, as the part that is of one table: under the table's own names. */
function ownColumns({ table, isWhole, names }: Part, row: Row): Row {
  const own: Record<string, unknown> = {};
  const described = [...table.columns.values()].flatMap(({ name, plain }) => [name, plain?.column]);
  for (const column of [table.rowId, ...table.contextColumns, ...described]) {
    if (column === undefined) continue;
    const [name = isWhole ? column : undefined] = names.get(column) ?? [];
    if (name !== undefined && row[name] !== undefined) own[column] = row[name];
  }
  return own;
}

function writeBack({ table, isWhole, names }: Part, row: Record<string, unknown>, own: Row): void {
  for (const { name, index, plain } of table.columns.values()) {
    for (const under of names.get(name) ?? []) row[under] = own[name];
    if (isWhole && own[name] !== undefined) row[name] = own[name];
    for (const kept of [index?.column, plain?.column]) {
      if (kept === undefined) continue;
      for (const under of names.get(kept) ?? []) delete row[under];
      if (isWhole) delete row[kept];
    }
  }
}
