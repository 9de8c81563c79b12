export { registryImplementations } from './registry.ts';
export { completeSeals, refuseSealed, sealImplementations } from './seal.ts';
export { recoverRegistry } from './recover.ts';
export { findAccount, findSeal, studyExists } from './store.ts';
export { tenantImplementations } from './tenants.ts';
export { sealedTables as tenantSealTables } from './store.ts';
