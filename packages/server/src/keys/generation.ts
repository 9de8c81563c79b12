import { generateKeyMaterial, keyAlgorithm } from '@trialkeep/crypto';
import type { KeyMaterial } from '@trialkeep/crypto';
import { FairLimiter } from '../platform/fair-limiter.ts';

/**
 * RSA keys that are made at a time, and that may wait for it. Each keeps a thread busy for up to seconds, out of the few that passwords are
 * checked in and files are read by; whoever is further back in line would wait longer than anybody does.
 */
const bounds = { maxRunning: 1, maxRunningOfOwner: 1, maxWaiting: 128, maxWaitingOfOwner: 16 };

/** What the material is for: keys that stay, or pairs for callers, who can ask for any number. */
export type MaterialUse = 'key' | 'pair';

/** Makes key material; RSA in line, where tenants take turns, and where pairs for callers do not keep a tenant's own keys waiting. */
export class KeyGeneration {
  readonly #line = new FairLimiter(bounds);
  readonly #generate: typeof generateKeyMaterial;

  constructor(generate = generateKeyMaterial) {
    this.#generate = generate;
  }

  /** @throws OperationError `server.busy`; CryptoError `crypto.algorithm_unknown` */
  async make(tenant: string, algorithm: string, use: MaterialUse): Promise<KeyMaterial> {
    const generate = (): Promise<KeyMaterial> => this.#generate(algorithm);
    if (keyAlgorithm(algorithm).secret.form !== 'rsa') return generate();
    return this.#line.run(`${use} ${tenant}`, generate);
  }
}
