export { Effects, beginEffect } from './effects.ts';
export type { EffectKind, EffectOutcome, EffectsParts, Intent } from './effects.ts';
export { shredRemoval } from './shred-removal.ts';
export type { ShredRemovalInput } from './shred-removal.ts';
