export { registryImplementations } from './registry.ts';
export { findAccount } from './store.ts';
export { tenantImplementations } from './tenants.ts';
