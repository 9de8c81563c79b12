import type { SignatureAlgorithm, Signed } from '@trialkeep/crypto';
import type { CryptographicModule } from '../roots/index.ts';
import type { KeyKind } from './hierarchy.ts';

/** A version of a system's key that stays in an HSM: the id of the version is that of its object there. */
export interface ResidentVersion {
  readonly tenant: string;
  readonly key: string;
  readonly version: string;
  /** The token that it was made in, as its row has it: another one is not asked for it. Absent while it is made. */
  readonly token?: string;
}

/**
 * What keys need of the HSM that they stay in (hsm/). Every question has a time after which it is given up, and a bounded line, in which
 * tenants take turns.
 *
 * @throws OperationError `key.module_unreachable`, `key.module_gone`, `server.busy`
 */
export interface TokenKeys {
  /** The module and the token, as they describe themselves: they answer. */
  describe(): Promise<CryptographicModule>;
  /**
   * Makes the object. @throws OperationError `key.hsm_unsupported`
   *
   * @returns the public key, and the label and serial number of the token
   */
  make(version: ResidentVersion, kind: KeyKind): Promise<{ publicKey?: Uint8Array; token: string }>;
  /** HMAC of a message under a symmetric key. */
  mac(version: ResidentVersion, hash: 'sha256' | 'sha384' | 'sha512', message: Uint8Array): Promise<Buffer>;
  /** A signature; of ECDSA `r ‖ s`. */
  sign(version: ResidentVersion, algorithm: SignatureAlgorithm, signed: Signed): Promise<Buffer>;
  /** RSAES-OAEP with SHA-256 of a ciphertext below the modulus. @throws OperationError `ciphertext.invalid` */
  decrypt(version: ResidentVersion, ciphertext: Uint8Array): Promise<Buffer>;
  /** Destroys the object, if it is there. */
  remove(version: ResidentVersion): Promise<number>;
  /** The places in the list of those whose objects cannot be used. */
  findMissing(versions: readonly ResidentVersion[]): Promise<readonly number[]>;
  /** Ends what the questions are asked through. */
  close(): Promise<void>;
}
