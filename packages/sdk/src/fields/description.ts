import { fieldTypes, indexForms, maximumPaddingStep } from '@trialkeep/crypto';
import type { EncryptionContext, FieldType, IndexForm } from '@trialkeep/crypto';
import { sdkError } from '../errors.ts';
import type { IndexPlace } from './fields.ts';
import { isName } from './sql.ts';

/** The blind index of a column: rows are found by equality, and equality is what it shows to whoever sees the table. */
export interface IndexDescription {
  /** The column of the tokens, 18 bytes each; the application neither reads nor writes it. */
  readonly column: string;
  /** How many different values the column will hold; fewer than 1,000 are refused, because their frequencies would tell them. */
  readonly distinctValues: number;
  /** Which texts are equal, for all versions or for each; `nfc` by default. */
  readonly form?: IndexForm | Readonly<Record<number, IndexForm>>;
  /** The versions that queries match, one or two, ascending, each 1 to 65,535; `[1]` by default. */
  readonly versions?: readonly number[];
  /** The version that is written; the last one by default. */
  readonly writes?: number;
  /** What the index key is bound to beside field and version, such as a study: the same for every row. Empty by default. */
  readonly context?: EncryptionContext;
}

/**
 * A column in clear that is being replaced (docs/how-to/encrypt-database-fields.md). Where it is not null it counts, whatever is sealed
 * beside it.
 */
export interface PlainDescription {
  readonly column: string;
  /** Which of the two columns writing fills; the other becomes null. */
  readonly writes: 'plain' | 'sealed';
  /** The value as the driver binds it; by default itself, and JSON as text. */
  toPlain?(value: never): unknown;
  /** The value from what the driver gives; by default itself, JSON parsed where it is text, and a date from text or ms. */
  fromPlain?(stored: never): unknown;
}

/** A sealed column, of type `bytea` or `blob`. */
export interface ColumnDescription {
  readonly type: FieldType;
  /** The logical field name, the same for good; `table.column` by default. */
  readonly field?: string;
  /** Hides lengths within steps of this many bytes, 2 to 4,096. */
  readonly padTo?: number;
  readonly index?: IndexDescription;
  readonly plain?: PlainDescription;
}

/** Which columns of a table are sealed, and what their values are bound to. */
export interface TableDescription {
  /** With or without its schema; a name without one is meant in every schema. */
  readonly table: string;
  /** The column that names the row; the application gives its value, and it never changes. */
  readonly rowId: string;
  /** The columns that `context` reads. They never change either. */
  readonly contextColumns?: readonly string[];
  /** What the values of a row are bound to. It is given the columns named above, and nothing else. */
  context(row: Readonly<Record<string, unknown>>): EncryptionContext;
  readonly columns: Readonly<Record<string, ColumnDescription>>;
}

/** A column with every default filled in. */
export interface Column {
  readonly name: string;
  readonly type: FieldType;
  readonly field: string;
  readonly padTo: number | undefined;
  readonly index: (IndexPlace & { readonly column: string; readonly writes: number }) | undefined;
  readonly plain: PlainDescription | undefined;
}

const leastDistinctValues = 1000;
const maximumFieldBytes = 255;
const maximumVersion = 65_535;

/** @throws TrialkeepError `fields.declaration_invalid`, `fields.index_refused` */
export function checkedColumns(description: TableDescription): Column[] {
  const { table, rowId, contextColumns = [], columns } = description;
  const named = Object.entries(columns);
  requireThat(isName(table), 'table');
  requireThat(named.length > 0, 'columns');
  const all = [
    rowId,
    ...contextColumns.filter((column) => column !== rowId),
    ...named.flatMap(([name, { index, plain }]) => [name, index?.column, plain?.column]),
  ].filter((name) => name !== undefined);
  for (const name of all) requireThat(isName(name) && !name.includes('.'), `column ${name}`);
  requireThat(new Set(all).size === all.length, 'one column with two meanings');
  return named.map(([name, column]) => checkedColumn(table, name, column));
}

function checkedColumn(table: string, name: string, column: ColumnDescription): Column {
  const { type, field = `${table}.${name}`, padTo, index, plain } = column;
  requireThat(Object.hasOwn(fieldTypes, type), `${name}: type`);
  const fieldBytes = typeof field === 'string' && field.isWellFormed() ? Buffer.byteLength(field) : 0;
  requireThat(fieldBytes >= 1 && fieldBytes <= maximumFieldBytes, `${name}: field`);
  const isStep =
    padTo === undefined || (Number.isInteger(padTo) && padTo >= 1 && padTo <= maximumPaddingStep);
  requireThat(isStep, `${name}: padTo`);
  if (plain !== undefined) requireThat(['plain', 'sealed'].includes(plain.writes), `${name}: plain.writes`);
  return { name, type, field, padTo, plain, index: index && checkedIndex(name, field, type, index) };
}

function checkedIndex(
  name: string,
  field: string,
  type: FieldType,
  index: IndexDescription,
): Column['index'] {
  const { column, distinctValues, form = 'nfc', versions = [1], context = {} } = index;
  if (type === 'boolean' || type === 'json') {
    throw sdkError('fields.index_refused', { detail: `${name} is ${type}` });
  }
  if (!(Number.isFinite(distinctValues) && distinctValues >= leastDistinctValues)) {
    throw sdkError('fields.index_refused', { detail: `${name} has ${distinctValues} different values` });
  }
  const forms = typeof form === 'string' ? [form] : Object.values(form);
  requireThat(
    forms.every((each) => Object.hasOwn(indexForms, each)),
    `${name}: form`,
  );
  const ascend = versions.every((version, i) => {
    return Number.isInteger(version) && version > (versions[i - 1] ?? 0) && version <= maximumVersion;
  });
  requireThat(ascend && versions.length >= 1 && versions.length <= 2, `${name}: versions`);
  const { writes = versions.at(-1) ?? 0 } = index;
  requireThat(versions.includes(writes), `${name}: writes`);
  const own = ['purpose', 'field', 'index-version'].filter((pair) => Object.hasOwn(context, pair));
  requireThat(own.length === 0, `${name}: context has ${own.join()}`);
  return { column, field, type, form, versions, writes, context };
}

function requireThat(holds: boolean, detail: string): void {
  if (!holds) throw sdkError('fields.declaration_invalid', { detail });
}
