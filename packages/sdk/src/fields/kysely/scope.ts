import {
  AliasNode,
  ColumnNode,
  IdentifierNode,
  RawNode,
  ReferenceNode,
  SelectAllNode,
  SelectQueryNode,
  TableNode,
  ValueNode,
} from 'kysely';
import type { JoinNode, OperationNode } from 'kysely';
import { sdkError } from '../../errors.ts';
import type { TrialkeepError } from '../../errors.ts';
import type { Column } from '../description.ts';
import type { SqlDatabase } from '../sql.ts';
import type { FieldTable } from '../table.ts';

/** Something that rows come from, under the name by which the query speaks of it. */
export interface Source {
  readonly name: string;
  /** Where it is a table with sealed columns. */
  readonly table: FieldTable | undefined;
}

/** A column that the description of a table speaks of. */
export interface Declared {
  readonly source: Source & { readonly table: FieldTable };
  readonly column: Column;
  /** `kept`: the column of tokens, or of what is still in clear. */
  readonly kind: 'sealed' | 'kept';
}

export function unsupported(detail: string): TrialkeepError {
  return sdkError('fields.query_unsupported', { detail });
}

/** The nodes directly below a node. Values are not looked into: an application's object may look like a node. */
export function childrenOf(node: OperationNode): OperationNode[] {
  if (node.kind === 'ValueNode' || node.kind === 'PrimitiveValueListNode') return [];
  return Object.values(node)
    .flatMap((value: unknown) => (Array.isArray(value) ? (value as unknown[]) : [value]))
    .filter(isNode);
}

function isNode(value: unknown): value is OperationNode {
  return typeof value === 'object' && value !== null && 'kind' in value && typeof value.kind === 'string';
}

/** The tables with sealed columns, by the names that queries give them. */
export class DeclaredTables {
  readonly dialect: SqlDatabase['dialect'];
  readonly #tables: readonly FieldTable[];
  readonly #words: RegExp;

  constructor(tables: readonly FieldTable[], dialect: SqlDatabase['dialect']) {
    this.dialect = dialect;
    this.#tables = tables;
    const names = tables.map(({ name }) => (name.split('.').at(-1) ?? name).replaceAll('$', '\\$'));
    this.#words = new RegExp(`(?<![A-Za-z0-9_$])(?:${names.join('|')})(?![A-Za-z0-9_$])`, 'i');
  }

  /** A table that is declared without its schema is meant in every schema, and one that is named without it may be that one. */
  find(node: TableNode): FieldTable | undefined {
    const { identifier, schema } = node.table;
    const found = this.#tables.find(({ name }) => {
      const [own = '', ownSchema] = name.toLowerCase().split('.').reverse();
      const isOfSchema =
        ownSchema === undefined || schema === undefined || ownSchema === schema.name.toLowerCase();
      return own === identifier.name.toLowerCase() && isOfSchema;
    });
    // SQLite takes names in other letters for the same, and PostgreSQL does not.
    if (found !== undefined && found.name.split('.').at(-1) !== identifier.name) {
      throw unsupported(`${identifier.name} is declared in other letters`);
    }
    return found;
  }

  /** Whether a query says the name of a declared table anywhere, in SQL of its own too. */
  areNamedIn(node: OperationNode): boolean {
    if (TableNode.is(node)) return this.find(node) !== undefined;
    if (RawNode.is(node) && this.#areSaidIn(node)) return true;
    return childrenOf(node).some((child) => this.areNamedIn(child));
  }

  /** Of SQL of its own any identifier may be a table, and on SQLite so may a text that is written into it. */
  #areSaidIn(node: OperationNode): boolean {
    if (IdentifierNode.is(node)) return this.#words.test(node.name);
    if (ValueNode.is(node)) return node.immediate === true && this.#words.test(String(node.value));
    if (RawNode.is(node) && node.sqlFragments.some((text) => this.#words.test(text))) return true;
    return childrenOf(node).some((child) => this.#areSaidIn(child));
  }
}

/** What the names in one query mean. */
export class Scope {
  readonly sources: readonly Source[];
  readonly #tables: DeclaredTables;
  #sealedNames: ReadonlySet<string> = new Set();

  /** @param from what rows come from: tables, under their own name or another, and anything that names no declared table */
  constructor(tables: DeclaredTables, from: readonly OperationNode[], joins: readonly JoinNode[] = []) {
    this.#tables = tables;
    this.sources = [...from, ...joins.map(({ table }) => table)].map((node) => this.#source(node));
    const names = new Set(this.sources.map(({ name }) => name));
    if (names.size !== this.sources.length) throw unsupported('two tables of one name');
    // What is computed for each row, and not only a lateral join, can say columns of the tables beside it.
    for (const node of from) if (!isOwnQuery(node)) this.refuseIn(node);
    for (const { joinType, table, on } of joins) {
      if (/Lateral|Apply/.test(joinType) || !isOwnQuery(table)) this.refuseIn(table);
      this.refuseIn(on);
    }
  }

  get dialect(): SqlDatabase['dialect'] {
    return this.#tables.dialect;
  }

  /** The names under which sealed columns are selected: SQLite takes them in conditions too. */
  setSealedNames(names: readonly string[]): void {
    this.#sealedNames = new Set(names.map((name) => name.toLowerCase()));
  }

  #source(node: OperationNode): Source {
    if (TableNode.is(node)) return { name: node.table.identifier.name, table: this.#tables.find(node) };
    if (AliasNode.is(node) && IdentifierNode.is(node.alias)) {
      const name = node.alias.name;
      if (TableNode.is(node.node)) return { name, table: this.#tables.find(node.node) };
      if (!this.#tables.areNamedIn(node.node)) return { name, table: undefined };
    }
    throw unsupported('a table with sealed columns within another query');
  }

  /** The source that a name stands for. */
  named(node: TableNode): Source | undefined {
    return this.sources.find(({ name }) => name === node.table.identifier.name);
  }

  /** What a reference means, where it is to a column of a description. */
  resolve(reference: ReferenceNode | ColumnNode): Declared | undefined {
    const column = ReferenceNode.is(reference) ? reference.column : reference;
    if (SelectAllNode.is(column)) throw unsupported('all columns as a value');
    const qualifier = ReferenceNode.is(reference) ? reference.table : undefined;
    if (qualifier === undefined && this.#sealedNames.has(column.column.name.toLowerCase())) {
      throw unsupported(`${column.column.name} is another name of a sealed column here`);
    }
    const source = qualifier === undefined ? undefined : this.named(qualifier);
    if (qualifier !== undefined && source === undefined && this.#tables.find(qualifier) !== undefined) {
      throw unsupported(`${qualifier.table.identifier.name} goes by another name here`);
    }
    const candidates = qualifier === undefined ? this.sources : source === undefined ? [] : [source];
    const found = candidates
      .map((each) => declaredIn(each, column.column.name))
      .filter((each) => each !== undefined);
    if (found.length > 1) throw unsupported(`${column.column.name} is a column of two tables`);
    return found[0];
  }

  /** Which column of which source a plain reference is to, described or not; undefined where the query leaves that open. */
  place(reference: ReferenceNode): { readonly source: Source; readonly column: string } | undefined {
    if (SelectAllNode.is(reference.column)) return undefined;
    const [only] = this.sources;
    const source =
      reference.table !== undefined
        ? this.named(reference.table)
        : this.sources.length === 1
          ? only
          : undefined;
    return source && { source, column: reference.column.column.name };
  }

  /**
   * Refuses a part of a query that says a described column or a declared table, or may: SQL of the application's own says what it likes.
   *
   * @throws TrialkeepError `fields.query_unsupported`
   */
  refuseIn(part: unknown): void {
    if (Array.isArray(part)) {
      for (const each of part as unknown[]) this.refuseIn(each);
    } else if (isNode(part)) {
      this.#refuse(part);
    }
  }

  #refuse(node: OperationNode): void {
    if (ReferenceNode.is(node) && SelectAllNode.is(node.column)) return;
    if (ReferenceNode.is(node) || ColumnNode.is(node)) {
      const declared = this.resolve(node);
      if (declared !== undefined) throw unsupported(`${declared.column.name} in this place`);
      return;
    }
    if (TableNode.is(node) && this.#tables.find(node) !== undefined) {
      throw unsupported('a table with sealed columns within another query');
    }
    if (RawNode.is(node) && !isDirection(node)) throw unsupported('SQL of your own beside sealed columns');
    for (const child of childrenOf(node)) this.#refuse(child);
  }
}

/** A table, or a query that is done by itself. */
function isOwnQuery(node: OperationNode): boolean {
  const source = AliasNode.is(node) ? node.node : node;
  return TableNode.is(source) || SelectQueryNode.is(source);
}

function declaredIn(source: Source, name: string): Declared | undefined {
  const { table } = source;
  const kind = table?.meaningOf(name);
  if (table === undefined || kind === undefined || kind === 'bound') return undefined;
  for (const column of table.columns.values()) {
    const names = [column.name, column.index?.column, column.plain?.column];
    if (names.includes(name)) return { source: { ...source, table }, column, kind };
  }
  return undefined;
}

/** How Kysely says in which direction rows are sorted. */
function isDirection({ sqlFragments, parameters }: RawNode): boolean {
  return parameters.length === 0 && sqlFragments.length === 1 && /^(?:asc|desc)$/.test(sqlFragments[0] ?? '');
}
