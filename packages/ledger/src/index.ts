export { LedgerError, ledgerErrors, type ErrorText, type LedgerErrorCode } from './errors.ts';
export { EMPTY_ROOT, leafHash, nodeHash, type Sha256 } from './merkle.ts';
export {
  bundlePath,
  bundlesOfSize,
  decodeBundle,
  encodeBundle,
  maxEntryBytes,
  parseTilePath,
  tilePath,
  tilesOfSize,
  tileWidth,
  type BundleAddress,
  type ParsedTilePath,
  type Tile,
  type TileAddress,
  type TileReader,
} from './tile.ts';
export { Tree } from './tree.ts';
export {
  formatVerifierKey,
  keyId,
  maxNoteBytes,
  maxNoteSignatures,
  openNote,
  parseNote,
  parseVerifierKey,
  signNote,
  type Note,
  type NoteSignature,
  type Signer,
  type Verifier,
  type VerifierKey,
} from './note.ts';
export { formatCheckpoint, parseCheckpoint, type Checkpoint } from './checkpoint.ts';
export { consistencyProof, inclusionProof, verifyConsistency, verifyInclusion } from './proof.ts';
export { findingTexts, type Finding, type FindingCode, type Severity } from './finding.ts';
export { checkpointPath, type LogSource } from './source.ts';
export { verifyLog, type VerifyOptions, type VerifyResult } from './verify.ts';
