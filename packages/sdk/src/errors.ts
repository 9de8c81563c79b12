import { errors } from '@trialkeep/contract';
import type { ErrorBody, ErrorCode, ErrorDefinition, PendingState } from '@trialkeep/contract';

/** What the reader of an error sees: one sentence, and what to do about it. */
export interface ErrorText {
  readonly message: string;
  readonly fix: string;
}

/** Every error that arises in the SDK itself; the server's own are in the contract. Codes are stable; sentences may improve. */
export const sdkErrors = {
  'client.bad_url': {
    message: "The server's URL is not one that the client can use.",
    fix: 'Give scheme, host and port, such as https://keys.example.org, without user, query or fragment.',
  },
  'client.insecure_url': {
    message: 'The credential would cross a network in clear.',
    fix: 'Use an https URL; plain http is for a server on this machine (127.0.0.1, ::1 or localhost).',
  },
  'client.bad_credential': {
    message: 'The credential has characters that no credential has.',
    fix: 'Copy the credential again, without quotes, spaces or line ends.',
  },
  'client.invalid_input': {
    message: 'An input does not have the form that the operation takes, so nothing was sent.',
    fix: 'Correct the input that is named.',
  },
  'client.unreachable': {
    message: 'The server cannot be reached.',
    fix: 'Check that it runs and that URL, name resolution and certificate are right, then try again.',
  },
  'client.timeout': {
    message: 'The server did not answer in time, so it is not known whether the operation was done.',
    fix: 'Look in the ledger, or list what the operation would have made; then try again.',
  },
  'client.bad_answer': {
    message: 'What answered is not a Trialkeep server of a version that this client knows.',
    fix: 'Check the URL and what stands between (proxies, redirects), and the versions of client and server.',
  },
  'client.unknown_error': {
    message: 'The server gave an error that this client does not know.',
    fix: 'See the server log under the request id, and bring client and server to the same version.',
  },
  'client.document_altered': {
    message: 'The document of the request is not the one whose hash people are asked to approve.',
    fix: 'Decide nothing, and report it to the security officer: the document was altered on its way to you, or where it is kept.',
  },
  'seal.source_missing': {
    message: 'The source file does not exist.',
    fix: 'Check the path.',
  },
  'seal.source_unreadable': {
    message: 'The source file cannot be read.',
    fix: 'Give this account permission to read it; if it has it, check the disk.',
  },
  'seal.source_not_a_file': {
    message: 'The source is a folder or a device, not a regular file.',
    fix: 'Name the files themselves; pipes and devices go through the stream functions.',
  },
  'seal.source_changed': {
    message: 'The source file changed while it was read, so nothing was written under the target name.',
    fix: 'Seal it again when nothing writes to it, or seal a copy.',
  },
  'seal.target_exists': {
    message: 'The target exists, and nothing of it was touched.',
    fix: 'Choose another target, or say that it may be overwritten.',
  },
  'seal.target_not_a_file': {
    message: 'The target is a folder or a device, not a regular file.',
    fix: 'Name the file to write.',
  },
  'seal.target_unwritable': {
    message: 'The target cannot be written; nothing is left under its name.',
    fix: 'Check that its folder exists and that this account may write there.',
  },
  'seal.no_space': {
    message: 'There is no space left for the target; nothing is left under its name.',
    fix: 'Free space on that disk, or raise the quota, and try again.',
  },
  'seal.not_sealed': {
    message: 'The source is not a sealed file that this version reads.',
    fix: 'Name a file that Trialkeep or an AWS Encryption SDK wrote with the algorithm suites in docs/formats.',
  },
  'seal.damaged': {
    message:
      'The sealed file was altered, cut off or lengthened since it was written; nothing of it was kept.',
    fix: 'Take another copy, such as one from a backup.',
  },
  'seal.no_key': {
    message: 'No key that may open the sealed file is named in it.',
    fix: 'Name the key that sealed it among the allowed keys, or check that the file is the right one.',
  },
  'seal.context_mismatch': {
    message: 'The sealed file belongs to another encryption context than the one expected.',
    fix: 'Check that the file is the right one; its context is readable in its header.',
  },
  'seal.context_invalid': {
    message: 'The encryption context cannot be bound to a sealed file.',
    fix: 'Use at most 16 pairs of short names and values, and no name that begins with aws-crypto-.',
  },
  'verify.folder_unreadable': {
    message: 'The folder of the ledger cannot be read.',
    fix: 'Name the folder that holds the file "checkpoint" beside the folder "tile", readable by this account.',
  },
  'verify.key_unsupported': {
    message: 'The verifier key is of an algorithm that this version does not verify.',
    fix: 'Use the Ed25519 key of the log, or a newer version.',
  },
  'export.folder_not_empty': {
    message: 'The folder of the export holds something already, and nothing of it was touched.',
    fix: 'Name a new or an empty folder.',
  },
  'export.folder_unwritable': {
    message: 'The export cannot be written to the folder; what is there is incomplete.',
    fix: 'Check permissions and free space, empty the folder, and export again.',
  },
  'export.not_verified': {
    message: 'What the server sent does not fit its own checkpoint; what is in the folder is not evidence.',
    fix: 'Treat it as an incident: keep the folder, and compare with a mirror or an earlier export.',
  },
} as const satisfies Record<string, ErrorText>;
export type SdkErrorCode = keyof typeof sdkErrors;

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
