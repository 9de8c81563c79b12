import type { KeyObject } from 'node:crypto';
import type { KeyPlace } from '@trialkeep/crypto';

/** What unwraps the instance key: one interface for every kind of module that can hold the root. */
export interface RootOfTrust {
  /** Tells one root from another; the database names the root that it belongs to. */
  readonly id: string;
  readonly kind: 'passphrase';
  /** Wraps a 256-bit key for its place. */
  wrap(place: KeyPlace, key: KeyObject): Promise<Uint8Array>;
  /** Gives back what `wrap` was given for the same place; throws a StartupError when this root did not wrap it. */
  unwrap(place: KeyPlace, wrapped: Uint8Array): Promise<KeyObject>;
}
