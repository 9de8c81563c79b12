import type { KeyPlace } from '@trialkeep/crypto';
import { idBytes, noTenant } from '../platform/ids.ts';

/** Where the instance key belongs: wrapped by the root of trust for exactly this instance. */
export function instancePlace(id: string): KeyPlace {
  return {
    kind: 'instance',
    tenantId: noTenant,
    keyId: idBytes(id),
    versionId: idBytes(id),
    purpose: 'wrap',
  };
}
