export { CryptoError, cryptoErrors, type CryptoErrorCode } from './errors.ts';
export {
  generateKey,
  keyAlgorithms,
  keyPurposes,
  type KeyAlgorithm,
  type KeyPurpose,
  type PasswordHashAlgorithm,
} from './registry.ts';
export { decodeContext, encodeContext, maximumContextBytes, type EncryptionContext } from './context.ts';
export {
  compactKeyVersionId,
  compactOverheadBytes,
  maximumCompactPlaintextBytes,
  openCompact,
  sealCompact,
  type CompactKey,
} from './compact.ts';
export {
  dataKeyBytes,
  dataKeyContext,
  generateDataKey,
  openDataKey,
  openDataKeyLayer,
  sealDataKey,
  type DataKeyLayer,
} from './data-key.ts';
export {
  decodeKeyStructure,
  encodeKeyStructure,
  unwrapKey,
  wrapKey,
  wrappedKeyBytes,
  type KeyPlace,
} from './wrapped-key.ts';
export { commitmentKeyBytes, commitPayload, verifyPayload } from './commitment.ts';
export {
  equalSecrets,
  generateCredential,
  generateSecret,
  hashCredential,
  hashSecret,
  randomId,
  secretKind,
  type SecretKind,
} from './secrets.ts';
export {
  hashPassword,
  maximumPasswordBytes,
  needsRehash,
  normalizePassword,
  passwordLength,
  verifyPassword,
  type PasswordHashing,
} from './password.ts';
export { encodeBase32 } from './base32.ts';
export { generateTotpSecret, totpStep, totpUri, verifyTotp } from './totp.ts';
export { ed25519PublicKey, signEd25519, verifyEd25519 } from './signature.ts';
export { parseMessageHeader, type EncryptedDataKey, type MessageHeader } from './message/header.ts';
export { defaultFrameBytes, maximumFrameBytes, type DataKey } from './message/frame.ts';
export type { ByteSource } from './message/reader.ts';
export { sealBytes, sealMessage, type SealOptions } from './message/seal.ts';
export { openBytes, openMessage, type OpenOptions } from './message/open.ts';
