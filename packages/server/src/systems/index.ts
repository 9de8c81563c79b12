export { registryImplementations } from './registry.ts';
export { refuseSealed, sealImplementations } from './seal.ts';
export { findAccount, findSeal } from './store.ts';
export { tenantImplementations } from './tenants.ts';
