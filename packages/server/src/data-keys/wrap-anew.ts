import { createHash } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { CryptoError, decodeContext, rewrapDataKey } from '@trialkeep/crypto';

/** A version of a key as threads pass it to each other: the form of CompactKey, whose ids arrive as plain bytes. */
export interface PassedKey {
  readonly key: KeyObject;
  readonly keyVersionId: Uint8Array;
  readonly tenantId: Uint8Array;
  readonly keyId: Uint8Array;
}

/** What one worker wraps at a time. */
export interface Batch {
  readonly to: PassedKey;
  /** The versions that data keys are wrapped under, where they may process. */
  readonly from: readonly PassedKey[];
  readonly dataKeys: readonly {
    readonly reference: Uint8Array;
    readonly wrapped: Uint8Array;
    readonly context: Uint8Array;
    /** Index in `from`; undefined where the key has no such version that may process. */
    readonly version: number | undefined;
  }[];
}

export interface BatchResult {
  readonly rewrapped: readonly { readonly reference: Uint8Array; readonly wrapped: Uint8Array }[];
  /** References of those that do not open. */
  readonly failed: readonly Uint8Array[];
  /** References of those whose version is not in `from`. */
  readonly lost: readonly Uint8Array[];
  /** SHA-256 over reference ‖ SHA-256 of the newly wrapped data key, of all of `rewrapped` in order. */
  readonly hash: Uint8Array;
}

/** Wraps data keys under another version of their key. One that does not open is left out, and named. */
export function wrapAnew({ to, from, dataKeys }: Batch): BatchResult {
  const hash = createHash('sha256');
  const rewrapped: { reference: Uint8Array; wrapped: Uint8Array }[] = [];
  const failed: Uint8Array[] = [];
  const lost: Uint8Array[] = [];
  for (const { reference, wrapped: ciphertext, context: encoded, version } of dataKeys) {
    const old = version === undefined ? undefined : from[version];
    if (old === undefined) {
      lost.push(reference);
      continue;
    }
    try {
      const wrapped = rewrapDataKey({ ciphertext, from: old, to, context: decodeContext(encoded) });
      hash.update(reference).update(createHash('sha256').update(wrapped).digest());
      rewrapped.push({ reference, wrapped });
    } catch (error) {
      if (!(error instanceof CryptoError)) throw error;
      failed.push(reference);
    }
  }
  return { rewrapped, failed, lost, hash: hash.digest() };
}
