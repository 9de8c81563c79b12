export { Effects, beginEffect, settleWith } from './effects.ts';
export type { EffectKind, EffectOutcome, EffectsParts, Intent } from './effects.ts';
export { sealedTables as effectTables } from './store.ts';
