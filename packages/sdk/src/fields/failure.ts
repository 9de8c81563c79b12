import { CryptoError } from '@trialkeep/crypto';
import type { CryptoErrorCode } from '@trialkeep/crypto';
import { sdkError } from '../errors.ts';
import type { SdkErrorCode } from '../errors.ts';

/** What an error of the format means to somebody whose column it is. */
const meanings: Partial<Record<CryptoErrorCode, SdkErrorCode>> = {
  'crypto.field_value_invalid': 'fields.value_invalid',
  'crypto.field_too_long': 'fields.value_invalid',
  'crypto.argument_invalid': 'fields.value_invalid',
  'crypto.version_unknown': 'fields.not_sealed',
  'crypto.ciphertext_truncated': 'fields.not_sealed',
  'crypto.ciphertext_malformed': 'fields.not_sealed',
  'crypto.ciphertext_invalid': 'fields.damaged',
  'crypto.field_encoding_invalid': 'fields.damaged',
  'crypto.field_type_mismatch': 'fields.type_mismatch',
};

/** The error as the SDK gives it. `place` says which column, and of which row of those that were passed; never its value. */
export function meaningOf(error: unknown, place: string): unknown {
  if (!(error instanceof CryptoError)) return error;
  const code = meanings[error.code];
  return code === undefined ? error : sdkError(code, { detail: `${place}: ${error.message}`, cause: error });
}
