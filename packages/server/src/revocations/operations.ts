import type { OperationId } from '@trialkeep/contract';
import type { Implementations } from '../platform/implementation.ts';
import { drill, listDrills, scheduleDrill } from './drills.ts';
import { preview } from './preview.ts';
import { reopenStudy } from './reopen.ts';
import { revoke } from './revoke.ts';
import type { RevocationParts } from './revoke.ts';

export type RevocationOperationId = Extract<OperationId, `revocations.${string}`>;

/** Binds emergency revocation and its drills to their behaviour. */
export function revocationImplementations(parts: RevocationParts): Implementations<RevocationOperationId> {
  return {
    'revocations.preview': (context) => preview(parts, context),
    'revocations.revoke': (context) => revoke(parts, context),
    'revocations.reopen-study': (context) => reopenStudy(parts, context),
    'revocations.drill': (context) => drill(parts, context),
    'revocations.schedule-drill': (context) => scheduleDrill(parts, context),
    'revocations.drills': (context) => listDrills(parts, context),
  };
}
