import { errors } from '@trialkeep/contract';
import type { ErrorBody, ErrorCode, ErrorDefinition, PendingState } from '@trialkeep/contract';
import { sdkErrors } from './error-list.ts';
import type { ErrorText, SdkErrorCode } from './error-list.ts';

export { sdkErrors };
export type { ErrorText, SdkErrorCode };

/** What a `TrialkeepError` can carry beside its code. `detail` follows the sentence; it never holds a secret. */
export interface ErrorDetails {
  readonly detail?: string;
  readonly field?: string;
  readonly cause?: unknown;
}

/** What an answer of the server says beside its sentences. */
export interface AnswerDetails {
  readonly field?: string;
  readonly requestId?: string;
  readonly status?: number;
  readonly retryAfterMs?: number;
  readonly approval?: string;
  readonly signature?: NonNullable<ErrorBody['error']['signature']>;
}

const definitions: Readonly<Record<ErrorCode, ErrorDefinition>> = errors;

/**
 * The one error of the SDK: refusals of the server, with the server's sentences, and failures of the client's own side.
 * `code` is stable and closed, so that callers can branch on it.
 */
export class TrialkeepError extends Error {
  override readonly name: string = 'TrialkeepError';
  readonly code: ErrorCode | SdkErrorCode;
  /** What to do about it. */
  readonly fix: string;
  /** The input that is wrong, as a JSON pointer. */
  readonly field: string | undefined;
  /** The server's name for the request, to find it in the server's log. */
  readonly requestId: string | undefined;
  /** The HTTP status, where there was an answer. */
  readonly status: number | undefined;
  /** Set where this is no fault but a state with a next step; see `pendingOf`. */
  readonly state: PendingState | undefined;
  /** When the server wants to be asked again, ms from its answer. */
  readonly retryAfterMs: number | undefined;
  /** With `approval.needed`: the id of the request that is kept. */
  readonly approval: string | undefined;
  /** With `signature.needed`: what is to be signed. */
  readonly signature: AnswerDetails['signature'];

  constructor(
    code: ErrorCode | SdkErrorCode,
    text: ErrorText,
    more: AnswerDetails & { readonly cause?: unknown } = {},
  ) {
    super(text.message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.fix = text.fix;
    this.field = more.field;
    this.requestId = more.requestId;
    this.status = more.status;
    this.state = Object.hasOwn(errors, code) ? definitions[code as ErrorCode].state : undefined;
    this.retryAfterMs = more.retryAfterMs;
    this.approval = more.approval;
    this.signature = more.signature;
  }
}

/** An error of the SDK itself, with the sentence and fix of its code. */
export function sdkError(
  code: SdkErrorCode,
  details: ErrorDetails & { status?: number } = {},
): TrialkeepError {
  const { detail, ...more } = details;
  const { message, fix } = sdkErrors[code];
  return new TrialkeepError(
    code,
    { message: detail === undefined ? message : `${message} (${detail})`, fix },
    more,
  );
}

/** The codes of files: sealing, opening and exporting. */
export type FileErrorCode = Extract<SdkErrorCode, `seal.${string}` | `export.${string}`>;

/** An error about one file. `path` is the file or folder concerned. */
export class SealError extends TrialkeepError {
  override readonly name = 'SealError';
  declare readonly code: FileErrorCode;
  readonly path: string | undefined;

  constructor(code: FileErrorCode, path?: string, details: ErrorDetails = {}) {
    const { message, fix } = sdkErrors[code];
    const text = details.detail === undefined ? message : `${message} (${details.detail})`;
    super(code, { message: text, fix }, details);
    this.path = path;
  }
}
