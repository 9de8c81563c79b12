import type { OperationId } from '@trialkeep/contract';
import type { Implementations } from '../platform/implementation.ts';
import * as destinations from './destinations.ts';
import * as exports from './export.ts';
import type { ExportParts } from './export.ts';

export type ExportOperationId = Extract<
  OperationId,
  `destinations.${string}` | `exports.${string}` | 'keys.export'
>;

/** Binds the operations on exported keys and their destinations to their behaviour. */
export function exportImplementations(parts: ExportParts): Implementations<ExportOperationId> {
  return {
    'destinations.register': (context) => destinations.register(parts, context),
    'destinations.retire': (context) => destinations.retire(parts, context),
    'destinations.list': (context) => destinations.list(parts, context),
    'keys.export': (context) => exports.exportKey(parts, context),
    'exports.list': (context) => exports.list(parts, context),
    'exports.fetch': (context) => exports.fetch(parts, context),
  };
}
