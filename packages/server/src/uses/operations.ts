import type { OperationId } from '@trialkeep/contract';
import type { Hierarchy } from '../keys/index.ts';
import type { Implementations } from '../platform/implementation.ts';
import { report } from './report.ts';

export type UseOperationId = Extract<OperationId, `uses.${string}`>;

/** Binds the operations on uses to their behaviour. */
export function useImplementations(hierarchy: Hierarchy): Implementations<UseOperationId> {
  return { 'uses.report': (context) => report(hierarchy, context) };
}
