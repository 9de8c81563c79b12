export { refuseClosedStudy } from './closure.ts';
export { changeClosure, findClosure, listClosures } from './closure-store.ts';
export { findStudyErasure, listStudyErasures, putStudyErasure } from './study-erasure-store.ts';
export type { StudyErasure } from './study-erasure-store.ts';
export { recordContext } from './context.ts';
export { endKey, revocableKeys, stateAfterRevocation } from './end.ts';
export { destructionHandler, destructionTask } from './destruction.ts';
export type { KeyHolds } from './destruction.ts';
export type { FurtherRecipient, FurtherRecipients } from './further-recipients.ts';
export { pagesOfKeys } from './key-pages-store.ts';
export { Hierarchy, underEpoch } from './hierarchy.ts';
export type { KeyKind, NewKey, SigningPurpose } from './hierarchy.ts';
export {
  importEndHandler,
  importEndTask,
  importTables,
  listImports,
  noteMaterial,
  recoverImports,
} from './import/index.ts';
export { fingerprintOf } from './material-index.ts';
export { keyImplementations } from './operations.ts';
export type { KeyOperationId } from './operations.ts';
export { destroyMadeUpKey, insertMadeUpKey } from './made-up.ts';
export { permitUse, processingWindow } from './permit.ts';
export type { KeyUse } from './permit.ts';
export { recordedKey } from './recorded-key.ts';
export { ObjectWatch } from './object-watch.ts';
export { chooseProtection, demandsHsm, protectionPolicy } from './protection.ts';
export type { ProtectionPolicy } from './protection.ts';
export { isRootAway, recoverKeys } from './recover.ts';
export { objectEffect, objectSettlement } from './resident.ts';
export type { ResidentVersion, TokenKeys } from './token-keys.ts';
export { authenticatorPlace, payloadPlace, shreddablePlace, systemPlace } from './places.ts';
export { policyDays, usualDays } from './rotation-policy-store.ts';
export { rotationHandler, rotationTask } from './rotation.ts';
export { policyHandler, policyTask } from './rotation-settings.ts';
export { checkRow, deriveRowKey, isSealed, sealRow } from './row-seal.ts';
export { stateAt } from './states.ts';
export { destroyKeysLeft, destroyTenantKey, rehang } from './tenant-end.ts';
export {
  checkKey,
  findKey,
  findWrappings,
  keysKnown,
  listVersions,
  putWrappings,
  systemExists,
} from './store.ts';
export type { KeyRow, KeyVersion, TenantKeyRow, TenantRootRow } from './store.ts';
export { checkTenantRoot, tenantRootFields } from './tenant-keys.ts';
export type { OwnRoots, OwnWrapping } from './tenant-keys.ts';
export { keyArn, keyView } from './view.ts';
export type { KeyNaming } from './view.ts';
export { closureTables } from './closure-store.ts';
export { policyTables } from './rotation-policy-store.ts';
export { studyErasureTables } from './study-erasure-store.ts';
export { keyTables } from './store.ts';
export { renewVersions } from './renew-versions.ts';
export type { SealedFields, SealedTable } from './row-seal.ts';
export { openTenantKeyOf, tenantPlace, wrappingOf, wrapRowKey, tenantRootTables } from './tenant-keys.ts';
export {
  authenticatorAnew,
  payloadKeyAnew,
  shreddableAnew,
  signingKeyAnew,
  versionAnew,
} from './wrap-anew.ts';
export type { WrappingChange } from './wrap-anew.ts';
