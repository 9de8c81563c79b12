export { payloadImplementations } from './operations.ts';
export type { PayloadOperationId } from './operations.ts';
export { recoverRedactions } from './recover.ts';
