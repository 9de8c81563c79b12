export { timestampHashes } from './algorithms.ts';
export type { SignatureScheme, TimestampHash } from './algorithms.ts';
export { parseCertificates } from './certificate.ts';
export type { Certificate } from './certificate.ts';
export { nodeTimestampPrimitives } from './primitives.ts';
export type { TimestampPrimitives } from './primitives.ts';
export {
  formatTimestampRequest,
  formatTimestampResponse,
  parseTimestampResponse,
  timestampMediaTypes,
  timestampNonceBytes,
} from './request.ts';
export type { TimestampQuestion } from './request.ts';
export { maximumResponseBytes, maximumTokenBytes } from './token.ts';
export { verifyTimestamp } from './verify.ts';
export type { TimestampExpectation, VerifiedTimestamp } from './verify.ts';
