import type { OperationId } from '@trialkeep/contract';
import type { Database } from '../platform/database.ts';
import { OperationError } from '../platform/errors.ts';
import type { Context, Implementations } from '../platform/implementation.ts';
import * as store from './store.ts';

type TimestampOperationId = Extract<OperationId, `timestamps.${string}`>;

const defaultPageSize = 20;

/** Binds the operations on timestamps of the contract to their behaviour. */
export function timestampImplementations(database: Database): Implementations<TimestampOperationId> {
  return { 'timestamps.list': (context) => list(database, context) };
}

async function list(database: Database, { input, caller }: Context<'timestamps.list'>) {
  const limit = input.limit ?? defaultPageSize;
  const after = input.cursor === undefined ? 0 : sizeOfCursor(input.cursor);
  const rows = await database.read((snapshot) => store.list(snapshot, caller.log.id, after, limit));
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return {
    timestamps: rows.map(({ size, time, authority, note, token }) => ({
      size,
      time,
      authority,
      checkpoint: note,
      token: Buffer.from(token).toString('base64'),
    })),
    next: last === undefined ? null : last.size.toString(36),
  };
}

/** A cursor is the size of the last timestamp before it, in base 36. */
function sizeOfCursor(cursor: string): number {
  const size = parseInt(cursor, 36);
  if (!Number.isSafeInteger(size) || size < 0 || size.toString(36) !== cursor) {
    throw new OperationError('request.invalid', { field: '/cursor' });
  }
  return size;
}
