export { approvalStates } from './approvals.ts';
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
export { keyAlgorithms, keyStates, revocationCauses } from './key-schemas.ts';
export type { KeyState } from './key-schemas.ts';
export { maxPlaintextBytes } from './key-uses.ts';
export { minimumPruneAgeDays, rotationOverlapDays } from './ledger-upkeep.ts';
export { openApiDocument } from './openapi.ts';
export { errorsOf, inputPlaces, isDoor, signatureMeanings } from './operation.ts';
export type { Approval, Door, Input, Operation, Output, SignatureMeaning } from './operation.ts';
export { operations } from './operations.ts';
export type { OperationId, Operations } from './operations.ts';
export { maxPayloadsOpened, maxPayloadsRedacted, payloadStates } from './payloads.ts';
export { personStates } from './people.ts';
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
export { reviewRisks, reviewerRoles } from './review-plans.ts';
export type { ReviewFilter, ReviewRisk } from './review-plans.ts';
export { maxCommented, maxReviewPage, reviewMarks, reviewOutcomes, reviewStates } from './reviews.ts';
export type { ReviewMark, ReviewOutcome } from './reviews.ts';
export { contextFields } from './schemas.ts';
export type { EncryptionContext } from './schemas.ts';
export { systemTypes } from './systems.ts';
export { maxMirrors, maxPolicyBytes, witnessingModes } from './witnessing.ts';
