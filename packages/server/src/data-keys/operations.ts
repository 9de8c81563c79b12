import type { OperationId } from '@trialkeep/contract';
import type { Implementations } from '../platform/implementation.ts';
import type { DataKeyParts } from './parts.ts';
import * as registry from './registry.ts';
import * as rewraps from './rewraps.ts';

export type DataKeyOperationId = Extract<OperationId, `data-keys.${string}` | `rewraps.${string}`>;

/** Binds the operations on registered data keys to their behaviour. */
export function dataKeyImplementations(parts: DataKeyParts): Implementations<DataKeyOperationId> {
  return {
    'data-keys.register': (context) => registry.register(parts, context),
    'data-keys.current': (context) => registry.current(parts, context),
    'data-keys.forget': (context) => registry.forget(parts, context),
    'data-keys.list': (context) => registry.list(parts, context),
    'rewraps.start': (context) => rewraps.start(parts, context),
    'rewraps.pause': (context) => rewraps.pause(context),
    'rewraps.resume': (context) => rewraps.resume(parts, context),
    'rewraps.cancel': (context) => rewraps.cancel(context),
    'rewraps.list': (context) => rewraps.list(context),
    'rewraps.show': (context) => rewraps.show(context),
  };
}
