import type { ShredStore } from '../shred/index.ts';
import type { EffectKind } from './effects.ts';

/** The subject whose key goes. */
export type ShredRemovalInput = Readonly<Record<'tenant' | 'study' | 'subject', string>>;

/**
 * Removes a subject's key from the shred store. The subject stays in state `erasing`: until the next epoch key, older copies of
 * the store still open (design section 5).
 *
 * @param parts.forget drops the tenant's keys from this process's memory
 */
export function shredRemoval(parts: {
  readonly shred: ShredStore;
  readonly forget: (tenant: string) => void;
}): EffectKind<ShredRemovalInput> {
  return {
    operation: 'subjects.erase',
    act: async ({ tenant, study, subject }) => {
      await parts.shred.remove(tenant, 'subject', subject);
      parts.forget(tenant);
      return { outcome: 'success', recorded: { study, subject, state: 'erasing' }, payload: {} };
    },
  };
}
