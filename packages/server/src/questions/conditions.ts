import { entryKinds, rangeOfPeriod } from '@trialkeep/contract';
import type { Conditions, Question } from '@trialkeep/contract';
import type { Recorded } from '../platform/implementation.ts';
import { OperationError } from '../platform/errors.ts';

/**
 * What a question asks for at a time, ms: its period as a range, its kinds in their order.
 *
 * @throws OperationError `question.times` where the times contain nothing, or a period stands beside others
 */
export function conditionsAt({ period, ...conditions }: Question, at: number): Conditions {
  const { from, to, kinds } = conditions;
  if (period !== undefined && (from !== undefined || to !== undefined)) {
    throw new OperationError('question.times', { field: '/period' });
  }
  if (from !== undefined && to !== undefined && from >= to) {
    throw new OperationError('question.times', { field: '/to' });
  }
  return {
    ...conditions,
    ...(kinds !== undefined && { kinds: entryKinds.filter((kind) => kinds.includes(kind)) }),
    ...(period !== undefined && rangeOfPeriod(period, at)),
  };
}

/** Says on the record what was asked about. */
export function recordAsked(conditions: Conditions, record: Recorded): void {
  for (const name of ['subject', 'class', 'key', 'study', 'system'] as const) {
    const value = conditions[name];
    if (value !== undefined) record[name] = value;
  }
}
