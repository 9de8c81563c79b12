export { registryImplementations } from './registry.ts';
export { completeSeals, refuseSealed, sealImplementations } from './seal.ts';
export { recoverRegistry } from './recover.ts';
export { findAccount, findSeal } from './store.ts';
export { tenantImplementations } from './tenants.ts';
