import type { ErrorCode } from '@trialkeep/contract';
import { errors } from '@trialkeep/contract';
import { OperationError } from '../../platform/errors.ts';

/** What the protocol answers instead of a result: the name that clients make an exception of, its HTTP status, one sentence. */
export class AwsError extends Error {
  readonly status: number;

  constructor(name: string, message: string, status = 400) {
    super(message);
    this.name = name;
    this.status = status;
  }
}

/** Names of the AWS KMS API Reference: those of the operations, and its "Common Errors". */
const names: { readonly [Code in ErrorCode]?: readonly [name: string, status?: number] } = {
  'access.denied': ['AccessDeniedException'],
  'access.person_required': ['AccessDeniedException'],
  'approval.needed': ['AccessDeniedException'],
  'reason.required': ['AccessDeniedException'],
  'auth.required': ['InvalidSignatureException'],
  'auth.signature_expired': ['InvalidSignatureException'],
  'auth.revoked': ['UnrecognizedClientException'],
  'auth.expired': ['UnrecognizedClientException'],
  'ciphertext.invalid': ['InvalidCiphertextException'],
  'key.unknown': ['NotFoundException'],
  'study.unknown': ['NotFoundException'],
  'subject.unknown': ['NotFoundException'],
  'key.unusable': ['DisabledException'],
  'key.revoked': ['DisabledException'],
  'key.wrong_purpose': ['InvalidKeyUsageException'],
  'key.use_logged': ['UnsupportedOperationException'],
  'key.algorithm_unapproved': ['UnsupportedOperationException'],
  'key.legacy_reason_required': ['UnsupportedOperationException'],
  'request.too_large': ['ValidationException'],
  'system.unknown': ['TagException'],
  'server.busy': ['ThrottlingException'],
};

/** What holds for all other codes. Clients repeat what has status 500 and above, and what is throttled. */
function nameByStatus(status: number): readonly [name: string, status?: number] {
  if (status === 401) return ['UnrecognizedClientException'];
  if (status === 403) return ['AccessDeniedException'];
  if (status === 404) return ['NotFoundException'];
  if (status === 409) return ['KMSInvalidStateException'];
  if (status === 429) return ['ThrottlingException'];
  if (status === 503) return ['ServiceUnavailableException', 503];
  if (status >= 500) return ['KMSInternalException', 500];
  return ['ValidationException'];
}

/** A refusal of ours in the words of the protocol; its sentence names our code, under which the fix is documented. */
export function awsError(error: unknown): AwsError {
  if (error instanceof AwsError) return error;
  if (!(error instanceof OperationError)) return awsErrorOfHttp(error);
  const { code } = error;
  const [name, status] = names[code] ?? nameByStatus(errors[code].status);
  return new AwsError(name, `${error.message} (${code})`, status);
}

/** What goes wrong before there is a request, in Fastify itself. */
function awsErrorOfHttp(error: unknown): AwsError {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined;
  if (status === 413) {
    return new AwsError('RequestEntityTooLargeException', errors['request.too_large'].message, 413);
  }
  if (typeof status === 'number' && status >= 400 && status < 500) {
    return new AwsError('MalformedHttpRequestException', errors['request.invalid'].message);
  }
  return new AwsError('KMSInternalException', errors['server.internal'].message, 500);
}
