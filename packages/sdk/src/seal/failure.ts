import { CryptoError } from '@trialkeep/crypto';
import type { CryptoErrorCode } from '@trialkeep/crypto';
import { SealError } from '../errors.ts';
import type { FileErrorCode } from '../errors.ts';

type Meanings = Partial<Record<CryptoErrorCode, FileErrorCode>>;

/** What an error of the message format means to somebody who seals. */
export const sealingFailures: Meanings = { 'crypto.context_invalid': 'seal.context_invalid' };

/** What an error of the message format means to somebody who opens a sealed file. */
export const openingFailures: Meanings = {
  'crypto.version_unknown': 'seal.not_sealed',
  'crypto.suite_unknown': 'seal.not_sealed',
  'crypto.context_invalid': 'seal.not_sealed',
  'crypto.recipients_invalid': 'seal.not_sealed',
  'crypto.message_malformed': 'seal.not_sealed',
  'crypto.frame_too_long': 'seal.not_sealed',
  'crypto.ciphertext_invalid': 'seal.damaged',
  'crypto.message_truncated': 'seal.damaged',
  'crypto.message_trailing_data': 'seal.damaged',
  'crypto.message_frame_misplaced': 'seal.damaged',
  'crypto.signature_invalid': 'seal.damaged',
  'crypto.signature_missing': 'seal.signature_missing',
  'crypto.signature_unchecked': 'seal.signature_unchecked',
  'crypto.context_mismatch': 'seal.context_mismatch',
  'crypto.data_key_missing': 'seal.no_key',
};

/** The error as the SDK gives it: `meanings` names the code for an error of the format, any other error stays itself. */
export function meaningOf(error: unknown, meanings: Meanings, path?: string): unknown {
  if (!(error instanceof CryptoError)) return error;
  const code = meanings[error.code];
  return code === undefined ? error : new SealError(code, path, { detail: error.message, cause: error });
}
