export { createClient } from './client.ts';
export type { CallOptions, Client, ClientOptions } from './client.ts';
export { sdkErrors, SealError, TrialkeepError } from '../errors.ts';
export type { FileErrorCode, SdkErrorCode } from '../errors.ts';
export {
  issuableRoles,
  keyAlgorithms,
  maxPlaintextBytes,
  operations,
  outcomes,
  revocationCauses,
  systemTypes,
} from '@trialkeep/contract';
export type { Input, OperationId, Operations, Output } from '@trialkeep/contract';
