export { holderImplementations } from './operations.ts';
export { registerExport } from './register-export.ts';
export { recoverHolders } from './recover.ts';
export { releasedKeysMs, remainingHolders } from './remaining.ts';
export type { Destroyed, Registries, Remaining } from './remaining.ts';
export { list as listHolders } from './store.ts';
export { sealedTables as holderTables } from './store.ts';
