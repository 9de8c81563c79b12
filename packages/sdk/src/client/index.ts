export { awaitApproval, checkedDocument } from './approval.ts';
export type { Approval, AwaitOptions, SettledApproval, SettledState } from './approval.ts';
export { createClient } from './client.ts';
export type { Attempt, Caller, CallOptions, Client, ClientOptions } from './client.ts';
export { pagesOf } from './pages.ts';
export { checkedReviewRecord } from './review-record.ts';
export type { ReviewRecord } from './review-record.ts';
export { pendingOf } from './pending.ts';
export type { Pending } from './pending.ts';
export { sdkErrors, SealError, TrialkeepError } from '../errors.ts';
export type { FileErrorCode, SdkErrorCode } from '../errors.ts';
export {
  approvalStates,
  instancePersonRoles,
  issuableRoles,
  keyAlgorithms,
  maxPlaintextBytes,
  operations,
  outcomes,
  pendingStates,
  reviewMarks,
  reviewOutcomes,
  reviewRisks,
  reviewStates,
  reviewerRoles,
  revocationCauses,
  systemTypes,
  tenantPersonRoles,
  witnessingModes,
} from '@trialkeep/contract';
export type {
  Input,
  OperationId,
  Operations,
  Output,
  PendingState,
  RequestDocument,
} from '@trialkeep/contract';
