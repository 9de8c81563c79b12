import type { Static, TObject, TSchema } from 'typebox';
import type { ErrorCode } from './errors.ts';
import type { Permission } from './roles.ts';

/**
 * One thing that Trialkeep does, defined once: routing, OpenAPI, the SDK's types, the permission matrix, the
 * audit vocabulary and the traceability matrix all derive from it.
 */
export interface Operation<In extends TObject = TObject, Out extends TSchema = TSchema> {
  /** Stable name, `noun.verb`; also the ledger's word for it. */
  readonly id: string;
  readonly summary: string;
  readonly method: 'GET' | 'POST';
  /** Path with `{field}` for the inputs that travel in it; `{field*}` takes the rest of the path. */
  readonly path: string;
  /** All inputs, wherever they travel: path fields, then the query (GET) or the JSON body (POST). Closed. */
  readonly input: In;
  /** Longest body of a request, where that is more than the 256 KiB of all others. */
  readonly maxBodyBytes?: number;
  readonly output: Out;
  /** Many of that operation in one request, each with an outcome and an entry of its own: batches.ts. */
  readonly batchOf?: string;
  /** What the answer's body is; `json` unless a published format says otherwise. */
  readonly produces?: 'json' | 'text' | 'bytes';
  /** Set where the same request is answered in the same way for good, so that the caller's own cache may keep the answer. */
  readonly immutable?: true;
  /** Everything is denied unless a role grants the permission (URS-019), but for the doors of {@link Door}. */
  readonly permission: Permission | Door;
  /**
   * Dual control: the request is kept, and runs exactly once with exactly this input, when so many people, none of them the
   * requester, have approved it in time. Only a person can request it.
   */
  readonly approval?: Approval;
  /**
   * An electronic signature (21 CFR 11.50, 11.70, 11.200) with this meaning, by the person who asks: the input has an optional
   * member `signature` with the two components, and without it the answer says what is to be signed.
   */
  readonly signature?: { readonly meaning: SignatureMeaning };
  /** Only a person with a session may ask; what has `approval` or `signature` is so without it. */
  readonly personOnly?: true;
  /**
   * `change` commits rows and its ledger entry in one transaction; `use` changes no rows and shares a group commit;
   * `read` is as `use`, for questions. Design section 4.
   */
  readonly effect: 'change' | 'use' | 'read';
  /** Set where no authorisation reads what the change writes: the epoch stays, and nobody is authorised again because of it. */
  readonly keepsEpoch?: boolean;
  /** Must succeed on a full disk too: space is reserved for what takes rights away. */
  readonly urgent?: boolean;
  /** `entry`: every call, refused or not, is a ledger entry. `access-log`: only the server's own log. */
  readonly record: 'entry' | 'access-log';
  /** Inputs that the entry's encrypted payload carries. Plaintext, ciphertext and secrets never do. */
  readonly recorded: readonly (keyof In['properties'] & string)[];
  readonly reason: 'none' | 'optional' | 'required';
  /** What it can answer of its own; {@link errorsOf} adds what follows from the rest of the definition. */
  readonly errors: readonly ErrorCode[];
  /** The user requirements it serves. */
  readonly requirements: readonly string[];
}

/**
 * Ways in beside the permissions of roles: `public` needs no credential; `sign-in` takes the person's own proofs as inputs;
 * `enrolment` takes an invitation; `self` takes any session, for what concerns nobody but the person whose it is.
 */
const doors = ['public', 'sign-in', 'enrolment', 'self'] as const;
export type Door = (typeof doors)[number];

export function isDoor(permission: Permission | Door): permission is Door {
  return (doors as readonly string[]).includes(permission);
}

/** The meanings that a signature can have here (21 CFR 11.50(a)(3)). */
export const signatureMeanings = ['approval', 'rejection', 'review'] as const;
export type SignatureMeaning = (typeof signatureMeanings)[number];

export interface Approval {
  /** How many people beside the requester, at least 1. */
  readonly people: number;
  /** After so many days without them the request is over. */
  readonly withinDays: number;
}

/** What a caller hands to an operation. */
export type Input<O extends Operation> = Static<O['input']>;
/** What the operation answers. */
export type Output<O extends Operation> = O['produces'] extends 'bytes'
  ? Uint8Array
  : O['produces'] extends 'text'
    ? string
    : Static<O['output']>;

/** Keeps the literal types of a definition, so that `Input` and `Output` can be derived from it. */
export function define<const O extends Operation>(operation: O): O {
  return operation;
}

/** What dual control and signatures answer. */
const approvalErrors = [
  'access.person_required',
  'approval.needed',
  'approval.too_few_people',
  'approval.too_many_open',
] as const;
const signatureErrors = ['access.person_required', 'signature.needed'] as const;

/** What an operation can answer beside the errors that every operation can give. */
export function errorsOf({ approval, signature, personOnly, errors }: Operation): ErrorCode[] {
  const ofApproval = approval === undefined ? [] : approvalErrors;
  const ofSignature = signature === undefined ? [] : signatureErrors;
  const ofPersons = personOnly === true ? (['access.person_required'] as const) : [];
  return [...new Set<ErrorCode>([...ofApproval, ...ofSignature, ...ofPersons, ...errors])];
}

/** Where each input of an operation travels. */
export function inputPlaces(operation: Operation): { path: string[]; query: string[]; body: string[] } {
  const path = [...operation.path.matchAll(/\{(\w+)\*?\}/g)].map((match) => match[1] as string);
  const rest = Object.keys(operation.input.properties).filter((name) => !path.includes(name));
  return operation.method === 'GET' ? { path, query: rest, body: [] } : { path, query: [], body: rest };
}
