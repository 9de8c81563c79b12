import { constants, createHash, createPublicKey, verify } from 'node:crypto';
import type { SignatureScheme, TimestampHash } from './algorithms.ts';

/** What verifying a token needs of cryptography; a browser passes its own over Web Cryptography. */
export interface TimestampPrimitives {
  digest(hash: TimestampHash, data: Uint8Array): Uint8Array | Promise<Uint8Array>;
  /** @param publicKey SubjectPublicKeyInfo; ECDSA signatures are in DER. Anything that cannot be verified is false */
  verify(
    publicKey: Uint8Array,
    scheme: SignatureScheme,
    data: Uint8Array,
    signature: Uint8Array,
  ): boolean | Promise<boolean>;
}

const nodeHashes = { 'SHA-256': 'sha256', 'SHA-384': 'sha384', 'SHA-512': 'sha512' } as const;

/** Those of node:crypto. */
export const nodeTimestampPrimitives: TimestampPrimitives = {
  digest: (hash, data) => createHash(nodeHashes[hash]).update(data).digest(),
  verify: (publicKey, { scheme, hash, saltBytes }, data, signature) => {
    try {
      const key = createPublicKey({ key: Buffer.from(publicKey), format: 'der', type: 'spki' });
      const padding =
        scheme === 'RSASSA-PSS'
          ? { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: saltBytes }
          : scheme === 'RSASSA-PKCS1-v1_5'
            ? { padding: constants.RSA_PKCS1_PADDING }
            : { dsaEncoding: 'der' as const };
      return verify(nodeHashes[hash], data, { key, ...padding }, signature);
    } catch {
      return false;
    }
  },
};
