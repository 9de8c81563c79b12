export { signatureImplementations } from './operations.ts';
export type { SignatureOperationId } from './operations.ts';
export { sign } from './sign.ts';
export { lostSignatures } from './recover.ts';
export { sealedTables as signatureTables } from './store.ts';
