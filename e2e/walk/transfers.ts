/** What samples of bringing and exporting keys need: material that is wrapped, and who it can be exported to. */
import assert from 'node:assert/strict';
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { wrapRsaAes } from '@trialkeep/crypto';
import type { Client } from '@trialkeep/sdk/client';

/** Fresh material under the public key of an import, and the token of that. */
export interface Brought {
  readonly token: string;
  readonly wrapped: string;
}

export interface Transfers {
  /** A key and a version that are ready to be brought by the tenant's custodian. */
  readonly brought: Brought;
  readonly broughtVersion: Brought;
  /** A key that was brought. */
  readonly importedKey: string;
  /** A key that may leave, and whom it can be exported to. */
  readonly exportableKey: string;
  readonly destination: { readonly id: string; readonly name: string; readonly fingerprint: string };
}

export const provenance = { source: 'Example HSM, serial 7', statement: 'Made in the HSM.' };
const wrappingAlgorithm = 'RSA_3072' as const;

/** A public key that nobody has registered. */
export function somebodysRsaKey(): string {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 3072 });
  return publicKey.export({ format: 'der', type: 'spki' }).toString('base64');
}

/** @param custodian a person of the tenant with that role, signed in */
export async function makeTransfers(custodian: Client, system: string, reason: string): Promise<Transfers> {
  const key = { system, algorithm: 'AES_256', wrappingAlgorithm } as const;
  const first = wrapped(await custodian.call('keys.import-parameters', key));
  const { id: importedKey } = await custodian.call('keys.import', { ...first, ...provenance, reason });
  const version = { key: importedKey, wrappingAlgorithm };
  const { id: exportableKey } = await custodian.call('keys.create', { system, exportable: true });
  const place = { name: 'Sponsor', contact: 'The operators', publicKey: somebodysRsaKey() };
  const destination = await custodian.call('destinations.register', place);
  return {
    brought: wrapped(await custodian.call('keys.import-parameters', key)),
    broughtVersion: wrapped(await custodian.call('keys.import-version-parameters', version)),
    importedKey,
    exportableKey,
    destination,
  };
}

function wrapped({ publicKey, token }: { publicKey: string; token: string }): Brought {
  const key = createPublicKey({ key: Buffer.from(publicKey, 'base64'), format: 'der', type: 'spki' });
  assert.equal(key.asymmetricKeyType, 'rsa');
  return { token, wrapped: wrapRsaAes(key, randomBytes(32)).toString('base64') };
}
