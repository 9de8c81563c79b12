export { CryptoError, cryptoErrors, type CryptoErrorCode } from './errors.ts';
export {
  escrowProfiles,
  generateKey,
  isForPurpose,
  keyAlgorithm,
  keyAlgorithms,
  keyPurposes,
  signatureAlgorithms,
  type KeyAlgorithm,
  type KeyPurpose,
  type SignatureAlgorithm,
  type SystemKeyPurpose,
  type EscrowProfile,
  type HpkeSuite,
  type PasswordHashAlgorithm,
  type RsaOaepHash,
} from './registry.ts';
export { compactKeyOfExit, decodeExitKeys, encodeExitKey, type ExitKey } from './exit/key-record.ts';
export {
  exitPageContext,
  exitParts,
  firstOpened,
  isExitReceipt,
  maximumExitPageBytes,
  maximumExitPages,
  nextOpened,
  signExitReceipt,
  type ExitOpened,
  type ExitPart,
} from './exit/package.ts';
export { decodeContext, encodeContext, maximumContextBytes, type EncryptionContext } from './context.ts';
export {
  compactKeyVersionId,
  compactOverheadBytes,
  maximumCompactPlaintextBytes,
  openCompact,
  openCompactRemote,
  sealCompact,
  sealCompactRemote,
  type CompactKey,
  type RemoteCompactKey,
} from './compact.ts';
export {
  dataKeyBytes,
  dataKeyContext,
  generateDataKey,
  openDataKey,
  openDataKeyLayer,
  openDataKeyRemote,
  rewrapDataKey,
  sealDataKey,
  sealDataKeyRemote,
  type DataKeyLayer,
} from './data-key.ts';
export {
  decodeKeyStructure,
  encodeKeyStructure,
  parseKeyStructure,
  unwrapKey,
  wrapKey,
  wrappedKeyBytes,
  type KeyPlace,
} from './wrapped-key.ts';
export { decapsulateMlKem768, deriveSharedSecret, mlKem768CiphertextBytes } from './keys/agree.ts';
export { isMac, macWith } from './keys/mac.ts';
export {
  encodePublicKey,
  exportSecret,
  generateKeyMaterial,
  importSecret,
  parsePublicKey,
  type KeyMaterial,
} from './keys/material.ts';
export { decodeOaep, decryptOaep, encryptOaep } from './keys/oaep.ts';
export {
  ecdsaDer,
  signatureAlgorithmsOf,
  signWith,
  verifyWith,
  type EcdsaEncoding,
  type Signed,
} from './keys/sign.ts';
export {
  importableAlgorithms,
  maximumMaterialBytes,
  readMaterial,
  type ImportableAlgorithm,
} from './keys/imported.ts';
export { unwrapKwp, unwrapRsaAes, wrapKwp, wrapRsaAes } from './keys/key-wrap.ts';
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
export { mlDsa44PublicKey, signMlDsa44, verifyMlDsa44 } from './ml-dsa.ts';
export {
  encodeReceipt,
  maximumReceiptCount,
  noReceipt,
  parseReceipt,
  receiptContext,
  type AttestedUse,
  type ChainedReceipt,
  type Receipt,
} from './receipt/receipt.ts';
export {
  chainUses,
  maximumBatchReceipts,
  signUses,
  verifyBatch,
  type ReceiptBatch,
} from './receipt/batch.ts';
export {
  maximumEncryptedDataKeys,
  parseMessageHeader,
  type EncryptedDataKey,
  type MessageHeader,
} from './message/header.ts';
export { defaultFrameBytes, maximumFrameBytes, type DataKey } from './message/frame.ts';
export type { ByteSource } from './message/reader.ts';
export { sealBytes, sealMessage, type SealOptions } from './message/seal.ts';
export { openBytes, openMessage, type OpenOptions } from './message/open.ts';
export { type HeaderOptions } from './message/authentic-header.ts';
export {
  openRanges,
  type MessageRanges,
  type RandomAccessSource,
  type RangeOptions,
} from './message/ranges.ts';
export { generateMessageSigner, type MessageSigner } from './message/signature.ts';
export {
  checkRecipients,
  type Identity,
  type Recipient,
  type RecipientKind,
} from './recipients/recipient.ts';
export { rawAes } from './recipients/raw-aes.ts';
export { rsaOaepIdentity, rsaOaepRecipient } from './recipients/rsa-oaep.ts';
export {
  generateHpkeKey,
  hpkeIdentity,
  hpkeRecipient,
  type HpkeIdentity,
  type HpkeParts,
  type HpkeRecipient,
} from './recipients/hpke.ts';
export {
  createEscrowKey,
  minimumPassphraseCharacters,
  openEscrowKey,
  parseEscrowRecipient,
  type EscrowKey,
  type EscrowRecipient,
} from './recipients/escrow-key.ts';
export {
  formatShare,
  isShareSet,
  maximumShareCharacters,
  maximumShares,
  parseShare,
  shareFingerprint,
  sharedSecretBytes,
  type Share,
} from './shares/share.ts';
export { combineShares, commitToSecret, splitSecret, type ShareSizes } from './shares/split.ts';
export { fieldKeyReference, FieldKey, fieldOverheadBytes, keyReferenceBytes } from './field/field-key.ts';
export {
  BlindIndex,
  indexForms,
  indexTokenBytes,
  indexTokenRange,
  type IndexedType,
  type IndexForm,
} from './field/blind-index.ts';
export { decodeFieldKeyRecord, encodeFieldKeyRecord, type FieldKeyRecord } from './field/record.ts';
export type { FieldPlace, RowId } from './field/place.ts';
export type { JsonValue } from './field/json.ts';
export {
  encodeFieldValue,
  fieldTypes,
  maximumPaddingStep,
  type FieldType,
  type FieldValue,
  type FieldValues,
} from './field/value.ts';
export {
  formatTimestampRequest,
  formatTimestampResponse,
  maximumResponseBytes,
  maximumTokenBytes,
  nodeTimestampPrimitives,
  parseCertificates,
  parseTimestampResponse,
  timestampHashes,
  timestampMediaTypes,
  timestampNonceBytes,
  verifyTimestamp,
  type Certificate,
  type SignatureScheme,
  type TimestampExpectation,
  type TimestampHash,
  type TimestampPrimitives,
  type TimestampQuestion,
  type VerifiedTimestamp,
} from './timestamp/index.ts';
