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
  holdKinds,
  holderKinds,
  importAlgorithms,
  instancePersonRoles,
  issuableRoles,
  inventoryOrders,
  keyAlgorithms,
  keyPurposes,
  keyStates,
  maxLeaseSeconds,
  maxMessageBytes,
  maxPlaintextBytes,
  maxSignatureBytes,
  operations,
  outcomes,
  pendingStates,
  recipientCovers,
  reviewMarks,
  reviewOutcomes,
  reviewRisks,
  reviewStates,
  reviewerRoles,
  drillScopes,
  revocationCauses,
  revocationScopes,
  rootChanges,
  signatureAlgorithms,
  systemTypes,
  tenantPersonRoles,
  witnessingModes,
  wrappingAlgorithms,
} from '@trialkeep/contract';
export type {
  Input,
  OperationId,
  Operations,
  Output,
  PendingState,
  RequestDocument,
  RootChange,
} from '@trialkeep/contract';
