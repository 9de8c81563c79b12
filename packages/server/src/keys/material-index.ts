import { createHmac, createSecretKey } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { exportSecret, keyAlgorithm } from '@trialkeep/crypto';
import type { KeyMaterial } from '@trialkeep/crypto';
import type { Hierarchy } from './hierarchy.ts';

/** What fingerprints are of: the secret itself, or, as one RSA key has several forms, its public half. */
const forms = { secret: 1, public: 2 } as const;

/**
 * The keyed fingerprint of key material, 32 bytes, the same for every tenant (docs/formats/key-transfer.md). Without the instance key it
 * tells nothing of the material, and nobody can try material against it.
 */
export async function fingerprintOf(
  hierarchy: Hierarchy,
  algorithm: string,
  { secret, publicKey }: KeyMaterial,
): Promise<Buffer> {
  const key = deriveFingerprintKey(await hierarchy.ownerKey(null));
  if (keyAlgorithm(algorithm).secret.form === 'rsa' && publicKey !== undefined) {
    return createHmac('sha256', key).update(Buffer.of(forms.public)).update(publicKey).digest();
  }
  const bytes = exportSecret(algorithm, secret);
  try {
    return createHmac('sha256', key).update(Buffer.of(forms.secret)).update(bytes).digest();
  } finally {
    bytes.fill(0);
  }
}

function deriveFingerprintKey(instanceKey: KeyObject): KeyObject {
  const derived = createHmac('sha256', instanceKey).update('trialkeep/material/v1\0').digest();
  const key = createSecretKey(derived);
  derived.fill(0);
  return key;
}
