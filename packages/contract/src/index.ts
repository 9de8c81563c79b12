export { approvalStates } from './approvals.ts';
export type { RequestDocument, SignatureRecord } from './documents.ts';
export * from './errors.ts';
export { keyAlgorithms, keyStates, maxPlaintextBytes, revocationCauses } from './keys.ts';
export type { KeyState } from './keys.ts';
export { outcomes } from './ledger.ts';
export { openApiDocument } from './openapi.ts';
export { errorsOf, inputPlaces, isDoor, signatureMeanings } from './operation.ts';
export type { Approval, Door, Input, Operation, Output, SignatureMeaning } from './operation.ts';
export { operations } from './operations.ts';
export type { OperationId, Operations } from './operations.ts';
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
export { contextFields } from './schemas.ts';
export type { EncryptionContext } from './schemas.ts';
export { systemTypes } from './systems.ts';
