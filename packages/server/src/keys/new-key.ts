import type { MadeInToken } from './resident.ts';

/** A key that was just made, as its row holds it. */
export interface NewKey {
  readonly versionId: string;
  readonly wrapped: Uint8Array;
  /** SubjectPublicKeyInfo, DER; absent for symmetric keys. */
  readonly publicKey?: Uint8Array;
  /** Serial number of the token that it stays in; `wrapped` is empty then. */
  readonly token?: string;
  /** What the change that keeps it has to settle (resident.ts). */
  readonly inToken?: MadeInToken;
}

/** What a system's key is, for good. */
export interface KeyKind {
  readonly algorithm: string;
  readonly purpose: string;
  /** Software unless it says otherwise. */
  readonly protection?: 'software' | 'hsm';
}
