export { boundOfPast, takePast } from './as-of.ts';
export { findKeys } from './live.ts';
export type { InventoryKey, InventoryParts } from './live.ts';
export { inventoryImplementations } from './operations.ts';
export type { InventoryOperationId } from './operations.ts';
export { countKeys } from './store.ts';
