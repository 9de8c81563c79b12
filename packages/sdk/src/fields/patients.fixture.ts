import type { ColumnDescription, TableDescription } from './index.ts';

/** A table whose columns in clear are being replaced: what the tests of migration, and the process they kill, work on. */

export type PatientRow = Readonly<{
  id: string;
  subject: string;
  name_sealed: string | null;
  weight_sealed: number | null;
  seen_sealed: Date | null;
  answers_sealed: unknown;
  scan_sealed: Uint8Array | null;
  active_sealed: boolean | null;
}>;

/** The columns in clear, by the sealed ones. */
export const patientColumns = {
  name_sealed: 'name',
  weight_sealed: 'weight',
  seen_sealed: 'seen',
  answers_sealed: 'answers',
  scan_sealed: 'scan',
  active_sealed: 'active',
} as const;

export function patients(dialect: 'postgres' | 'sqlite', writes: 'plain' | 'sealed'): TableDescription {
  const toText = { toPlain: (date: Date) => date.toISOString() };
  const columns: Record<keyof typeof patientColumns, ColumnDescription> = {
    name_sealed: {
      type: 'text',
      index: { column: 'name_index', distinctValues: 100_000 },
      plain: { column: 'name', writes },
    },
    weight_sealed: { type: 'number', plain: { column: 'weight', writes } },
    seen_sealed: {
      type: 'date',
      plain: { column: 'seen', writes, ...(dialect === 'sqlite' && (toText as object)) },
    },
    answers_sealed: { type: 'json', plain: { column: 'answers', writes } },
    scan_sealed: { type: 'bytes', plain: { column: 'scan', writes } },
    active_sealed: { type: 'boolean', plain: { column: 'active', writes } },
  };
  return {
    table: 'patient',
    rowId: 'id',
    contextColumns: ['subject'],
    context: ({ subject }) => ({ subject: String(subject) }),
    columns,
  };
}

export function createPatients(dialect: 'postgres' | 'sqlite'): string {
  const sealed = Object.keys(patientColumns).map(
    (name) => `${name} ${dialect === 'postgres' ? 'bytea' : 'blob'}`,
  );
  const clear =
    dialect === 'postgres'
      ? 'name text, weight numeric, seen timestamptz, answers jsonb, scan bytea, active boolean, name_index bytea'
      : 'name text, weight real, seen text, answers text, scan blob, active integer, name_index blob';
  return `create table patient (id text primary key, subject text not null, ${clear}, ${sealed.join(', ')})`;
}
