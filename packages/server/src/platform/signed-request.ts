/**
 * A request that is signed with a secret instead of carrying one (AWS Signature Version 4), read but not checked: everything in it is the
 * sender's word until the signature has been verified.
 */
export interface SignedRequest {
  /** Id of the access key that it says it is signed with. */
  readonly accessKey: string;
  /** What the signing key is derived for: a day (YYYYMMDD, UTC), any region, the service. */
  readonly scope: { readonly date: string; readonly region: string; readonly service: string };
  readonly stringToSign: string;
  /** HMAC-SHA-256, 32 bytes. */
  readonly signature: Uint8Array;
  /** When it was signed, by the sender's clock, ms. */
  readonly time: number;
}

/** By what a request shows who sends it: an Authorization header with a secret, or a signature. */
export type Authorization = string | SignedRequest | undefined;
