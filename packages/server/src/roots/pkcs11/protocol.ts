import type { StartupErrorCode } from '../../platform/errors.ts';
import type { CryptographicModule } from '../root.ts';
import type { Mechanism } from './settings.ts';

/** What the process that holds the module must know. The PIN is read there, and never leaves it. */
export interface TokenAddress {
  readonly module: string;
  readonly token: { readonly label?: string; readonly serial?: string };
  readonly pinFile: string;
  /** CKA_ID of the key, 16 bytes: the root's id. Absent where the token holds keys of systems and no root. */
  readonly keyId?: Uint8Array;
}

/** The object of the token that a version of a system's key is. */
export interface ObjectName {
  /** CKA_ID, 16 bytes: the id of the version. */
  readonly id: Uint8Array;
  /** CKA_LABEL, which names the key; an object with another label is not the one. */
  readonly label: string;
  /** The token that it was made in, as `describe` names it; absent where any will do. */
  readonly token?: string;
}

export type HashName = 'sha256' | 'sha384' | 'sha512';

/** How an object signs: HMAC and EdDSA a message, the others a digest. */
export type SigningWay =
  { readonly scheme: 'hmac' | 'pss'; readonly hash: HashName } | { readonly scheme: 'ecdsa' | 'eddsa' };

/** What can be asked. Bytes travel over the channel between the two processes, and nowhere else. */
export type Question =
  | { readonly ask: 'describe' }
  | { readonly ask: 'generate'; readonly label: string; readonly mechanism?: Mechanism }
  | { readonly ask: 'check'; readonly mechanism: Mechanism }
  | {
      readonly ask: 'wrap' | 'unwrap';
      readonly mechanism: Mechanism;
      readonly input: Uint8Array;
      readonly aad: Uint8Array;
    }
  | {
      readonly ask: 'make';
      readonly object: ObjectName;
      readonly algorithm: string;
      readonly purpose: string;
    }
  | {
      readonly ask: 'sign';
      readonly object: ObjectName;
      readonly way: SigningWay;
      readonly input: Uint8Array;
    }
  | { readonly ask: 'decrypt'; readonly object: ObjectName; readonly input: Uint8Array }
  | { readonly ask: 'remove'; readonly object: ObjectName }
  | { readonly ask: 'find-missing'; readonly objects: readonly ObjectName[] };

/** The answer to each. */
export interface Answers {
  readonly describe: CryptographicModule;
  readonly generate: Mechanism;
  readonly check: true;
  readonly wrap: Uint8Array;
  readonly unwrap: Uint8Array;
  /** SubjectPublicKeyInfo, DER; null of a symmetric key. */
  readonly make: Uint8Array | null;
  /** ECDSA: r ‖ s. */
  readonly sign: Uint8Array;
  readonly decrypt: Uint8Array;
  /** How many objects had that id: none, where it was removed before. */
  readonly remove: number;
  /** The places in the list of those that are not in the token, or are not what they should be. */
  readonly 'find-missing': readonly number[];
}

/** How the other process is addressed, and how it answers. It says `ready` once, and then answers each request. */
export interface Request {
  readonly id: number;
  readonly address: TokenAddress;
  readonly question: Question;
}
export type Reply =
  | { readonly ready: true }
  | { readonly id: number; readonly answer: Answers[keyof Answers] }
  | {
      readonly id: number;
      readonly error: {
        readonly code: StartupErrorCode;
        readonly detail: string;
        /** Whether it was the login that was refused. */
        readonly isPinRefused: boolean;
        /** Whether the token answers, and this question alone has failed. */
        readonly isAlone: boolean;
      };
    };
