export { approvalStates } from './approvals.ts';
export { batchOperations, maxBatchBodyBytes, maxBatchItems } from './batches.ts';
export type { BatchId, ItemError, ItemOutcome } from './batches.ts';
export type { RequestDocument, SignatureRecord } from './documents.ts';
export {
  answerStatement,
  comparedMembers,
  entryKinds,
  kindOfEntry,
  outcomes,
  periods,
  question,
  rangeOfPeriod,
} from './conditions.ts';
export type { Conditions, EntryKind, Period, Question } from './conditions.ts';
export * from './errors.ts';
export { evidenceKinds } from './evidence.ts';
export type { EvidenceKind } from './evidence.ts';
export { holderAbouts, holderKinds, maxHolders } from './holders.ts';
export type { HolderAbout, HolderKind } from './holders.ts';
export { exitStates } from './exit.ts';
export type { ExitState } from './exit.ts';
export { holdAbouts, holdKinds, maxHolds } from './holds.ts';
export type { HoldAbout, HoldKind } from './holds.ts';
export {
  dataKeyPairAlgorithms,
  keyAlgorithms,
  keyPurposes,
  keyStates,
  maxMessageBytes,
  maxPlaintextBytes,
  maxSignatureBytes,
  revocationCauses,
  signatureAlgorithms,
} from './key-schemas.ts';
export type { KeyState } from './key-schemas.ts';
export { exportedDays, maxDestinations } from './key-export.ts';
export {
  importAlgorithms,
  importTokenHours,
  maxImportTries,
  maxWrappedMaterialBytes,
  transferWrap,
  wrappingAlgorithms,
} from './key-import.ts';
export { KeyHistory, isKeyChange, isKeyUse, isOverdue, keyChanges, keyUses, makings } from './key-history.ts';
export type { KeyAsOf, KeyEntry, KeyFacts } from './key-history.ts';
export { inventoryOrders, maxInventoryPage } from './key-inventory.ts';
export type { InventoryOrder } from './key-inventory.ts';
export { maxRandomBytes } from './key-uses.ts';
export { minimumPruneAgeDays, rotationOverlapDays } from './ledger-upkeep.ts';
export { openApiDocument } from './openapi.ts';
export { errorsOf, inputPlaces, isDoor, signatureMeanings } from './operation.ts';
export type { Approval, Door, Input, Operation, Output, SignatureMeaning } from './operation.ts';
export { operations } from './operations.ts';
export type { OperationId, Operations } from './operations.ts';
export { maxPayloadsOpened, maxPayloadsRedacted, payloadStates } from './payloads.ts';
export { personStates } from './people.ts';
export { maxDataKeysPerRequest, maxRegisteredDataKeys, rewrapStates } from './registered-data-keys.ts';
export type { RewrapState } from './registered-data-keys.ts';
export {
  conflictOf,
  conflictingPermissions,
  instancePersonRoles,
  issuableRoles,
  permissions,
  roles,
  tenantPersonRoles,
} from './roles.ts';
export type { Permission, Role } from './roles.ts';
export { maxSecondRecipients, recipientCovers, secondRecipientStates } from './second-recipients.ts';
export { maxLeaseSeconds, rootAnswers } from './tenant-root.ts';
export { reviewRisks, reviewerRoles } from './review-plans.ts';
export type { ReviewFilter, ReviewRisk } from './review-plans.ts';
export { maxCommented, maxReviewPage, reviewMarks, reviewOutcomes, reviewStates } from './reviews.ts';
export type { ReviewMark, ReviewOutcome } from './reviews.ts';
export { drillScopes, drillStates, maxPreviewed, revocationScopes } from './revocations.ts';
export type { RevocationScope, RevocationScopeKind } from './revocations.ts';
export { contextFields } from './schemas.ts';
export type { EncryptionContext } from './schemas.ts';
export { systemTypes } from './systems.ts';
export { maxMirrors, maxPolicyBytes, witnessingModes } from './witnessing.ts';
export { rootChanges } from './root-permits.ts';
export type { RootChange } from './root-permits.ts';
