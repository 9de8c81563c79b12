import type { SignatureMeaning } from './operation.ts';

/** What people approve: the request document of docs/formats/signature.md. */
export interface RequestDocument {
  readonly approval: string;
  /** The input of the operation, whole, as it will be used. */
  readonly input: Readonly<Record<string, unknown>>;
  /** The operation's id. */
  readonly operation: string;
  readonly origin: string;
  /** Milliseconds since 1970. */
  readonly requestedAt: number;
  /** Id of the person. */
  readonly requester: string;
  readonly v: 1;
}

/** Who signed what, when and with what meaning: the signature record of docs/formats/signature.md. */
export interface SignatureRecord {
  /** The request for approval that the document is of; absent where it is of a review. */
  readonly approval?: string;
  readonly components: readonly ['password', 'totp'];
  /** SHA-256 of the signed document, hexadecimal. */
  readonly hash: string;
  readonly meaning: SignatureMeaning;
  readonly name: string;
  /** Id of the operation that carried the signature. */
  readonly operation: string;
  readonly origin: string;
  /** Id of the person. */
  readonly person: string;
  /** The audit-trail review that the document is of; absent where it is of a request for approval. */
  readonly review?: string;
  /** The record's own id. */
  readonly signature: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** The same moment as ISO 8601. */
  readonly utc: string;
  readonly v: 1;
}
