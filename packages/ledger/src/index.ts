export { LedgerError, ledgerErrors, type ErrorText, type LedgerErrorCode } from './errors.ts';
export { EMPTY_ROOT, leafHash, leafHashes, merkleRoot, nodeHash, type Sha256 } from './merkle.ts';
export {
  bundlePath,
  bundlesOfSize,
  decodeBundle,
  encodeBundle,
  maxEntryBytes,
  parseTilePath,
  rightEdgeOfSize,
  tilePath,
  tilesOfSize,
  tileWidth,
  type BundleAddress,
  type ParsedTilePath,
  type Tile,
  type TileAddress,
  type TileReader,
} from './tile.ts';
export { canonicalText, isJsonObject, parseCanonicalObject, type JsonObject } from './canonical.ts';
export { decodeUtf8 } from './bytes.ts';
export {
  hasShape,
  isIndex,
  isOperationId,
  isSha256Hex,
  isTime,
  isUuid,
  matches,
  type Check,
  type Shape,
} from './shape.ts';
export { Tree } from './tree.ts';
export {
  addSignatures,
  formatSignatures,
  formatVerifierKey,
  keyId,
  maxNoteBytes,
  maxNoteSignatures,
  openNote,
  parseNote,
  parseSignatures,
  parseVerifierKey,
  signNote,
  type Note,
  type NoteSignature,
  type Signer,
  type Verifier,
  type VerifierKey,
} from './note.ts';
export { formatCheckpoint, parseCheckpoint, type Checkpoint } from './checkpoint.ts';
export { entriesSince, progressAtStart, type ContinuedEntries, type Progress } from './continue.ts';
export { consistencyProof, inclusionProof, verifyConsistency, verifyInclusion } from './proof.ts';
export { isSubtree, subtreeProof, subtreeRoot, verifySubtree, type EntryRange } from './subtree.ts';
export {
  cosignatureTime,
  cosigner,
  noteTypes,
  subtreeMessage,
  verifierOf,
  type CosignatureType,
  type CosignerKey,
  type KeyVerifier,
  type SignaturePrimitives,
} from './cosignature.ts';
export {
  maxPolicyBytes,
  meetsQuorum,
  noQuorum,
  parsePolicy,
  witnessesOfQuorum,
  type Policy,
  type PolicyGroup,
  type PolicyLog,
  type PolicyWitness,
} from './policy.ts';
export {
  openCheckpoint,
  trustOf,
  type Cosignature,
  type CosignedCheckpoint,
  type Trust,
  type Witness,
} from './trust.ts';
export {
  checkProof,
  formatProof,
  maxProofBytes,
  parseProof,
  proofExtension,
  type CheckedProof,
  type TlogProof,
} from './proof-file.ts';
export { maxProofHashes } from './lines.ts';
export {
  formatAddCheckpoint,
  formatSignSubtree,
  formatSize,
  maxSizeBytes,
  maxWitnessRequestBytes,
  parseAddCheckpoint,
  parseSignSubtree,
  parseSize,
  sizeMediaType,
  type AddCheckpoint,
  type SignSubtree,
} from './witness-messages.ts';
export {
  addEntriesMediaType,
  formatAddEntries,
  formatMirrorInfo,
  formatPackage,
  maxMirrorInfoBytes,
  maxRequestPackages,
  mirrorInfoMediaType,
  packagesBetween,
  parseMirrorInfo,
  readAddEntries,
  type AddEntriesHeader,
  type EntryPackage,
  type MirrorInfo,
  type PackagePlace,
} from './mirror-messages.ts';
export type { ByteChunks } from './byte-reader.ts';
export { findingTexts, type Finding, type FindingCode, type Severity } from './finding.ts';
export { checkpointPath, type LogSource } from './source.ts';
export { verifyLog, type VerifyOptions, type VerifyResult } from './verify.ts';
export { stampedNote } from './stamped-note.ts';
