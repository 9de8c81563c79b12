export { makeTenantRoot, TenantRootFolder } from './folder.ts';
export { RootLeases } from './leases.ts';
export type { LeaseState } from './leases.ts';
export { tenantRootImplementations } from './operations.ts';
export type { TenantRootOperationId } from './operations.ts';
export { compareTenantRoot } from './reconcile.ts';
export { RootRecorder } from './record.ts';
export { recoverTenantRoot } from './recover.ts';
