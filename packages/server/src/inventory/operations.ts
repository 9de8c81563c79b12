import type { OperationId } from '@trialkeep/contract';
import type { Context, Implementations } from '../platform/implementation.ts';
import { keysAsOf } from './as-of.ts';
import { findKeys } from './live.ts';
import type { InventoryParts } from './live.ts';

export type InventoryOperationId = 'keys.list' | Extract<OperationId, `inventory.${string}`>;

const defaultPageKeys = 100;
const dayMs = 86_400_000;

/** Binds the operations on the inventory of keys to their behaviour. */
export function inventoryImplementations(parts: InventoryParts): Implementations<InventoryOperationId> {
  return {
    'keys.list': (context) => list(parts, context),
    'inventory.find': (context) => find(parts, context),
    'inventory.as-of': (context) => keysAsOf(parts, context),
  };
}

async function list(parts: InventoryParts, context: Context<'keys.list'>) {
  const { system, cursor } = context.input;
  const page = { order: 'created', cursor, limit: defaultPageKeys, question: { system } } as const;
  return findKeys(parts, context, { system }, page);
}

async function find(parts: InventoryParts, context: Context<'inventory.find'>) {
  const { input, now, record } = context;
  const { cursor, limit = defaultPageKeys, order, ...question } = input;
  const { expiresWithinDays, ...filter } = question;
  if (filter.system !== undefined) record.system = filter.system;
  if (filter.study !== undefined) record.study = filter.study;
  const expiresBefore = expiresWithinDays === undefined ? undefined : now + expiresWithinDays * dayMs;
  const asked = order ?? (expiresBefore === undefined ? 'created' : 'expires');
  const page = { order: asked, cursor, limit, question: { ...question, order: asked } };
  return findKeys(parts, context, { ...filter, expiresBefore }, page);
}
