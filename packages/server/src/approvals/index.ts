export {
  countedApprovals,
  findApproval,
  keepRequest,
  moveApproval,
  openRequest,
  requestBytes,
} from './approvals.ts';
export type { ApprovedRequest } from './approvals.ts';
export { approvalImplementations, executionTask, recoverApproved } from './operations.ts';
export type { ApprovalOperationId } from './operations.ts';
export { recoverApprovals } from './recover.ts';
export { listApprovals } from './store.ts';
export { sealedTables as approvalTables } from './store.ts';
