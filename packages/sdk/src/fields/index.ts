export { createFields } from './fields.ts';
export type { FieldBounds, Fields, FieldsOptions, FieldToOpen, FieldToSeal, IndexPlace } from './fields.ts';
export { fieldKeyStore, fieldKeyTable, memoryFieldKeyStore } from './key-store.ts';
export type { FieldKeyRow, FieldKeyStore } from './key-store.ts';
export { pgDatabase, sqliteDatabase } from './sql.ts';
export type { PgPool, SqlAnswer, SqlDatabase, SqlValue } from './sql.ts';
export { fieldTable } from './table.ts';
export type { FieldTable, IndexMatch } from './table.ts';
export { sqlTable } from './sql-table.ts';
export type { FindOptions, SqlTable } from './sql-table.ts';
export type {
  ColumnDescription,
  IndexDescription,
  PlainDescription,
  TableDescription,
} from './description.ts';
export { migrateToSealed } from './migrate.ts';
export { reindex } from './reindex.ts';
export type { PassOptions, PassProgress, PassResult } from './passes.ts';
export { sdkErrors, TrialkeepError } from '../errors.ts';
export type { SdkErrorCode } from '../errors.ts';
export type {
  EncryptionContext,
  FieldType,
  FieldValue,
  IndexForm,
  JsonValue,
  RowId,
} from '@trialkeep/crypto';
